// Memory for keys and values, in pages of kKeyValuePageTokens positions of all layers. A page is shared by reference
// count; freed pages are kept for reuse up to a limit.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "runtime/program.h"

namespace octoformer {

/// Where every layer lies in a page.
struct KeyValueLayout {
  std::vector<KeyValueLayer> layers;
  size_t page_bytes = 0;
};

KeyValueLayout plan_key_value_layout(std::span<const CacheLayerDescription> layers, const Backend& backend);

/// A reference to a page; the last one gives it back to its pool. `use_count()` tells whether it is shared.
using KeyValuePage = std::shared_ptr<std::byte>;

/// Thread-safe. Pages keep their pool alive.
class KeyValuePagePool : public std::enable_shared_from_this<KeyValuePagePool> {
 public:
  /// Freed pages are kept up to this many bytes: enough that calls without a cache (encoders) and short chats don't go
  /// to the system for every page, little beside the weights of any model.
  static constexpr size_t kIdleBytes = size_t{64} << 20;

  static std::shared_ptr<KeyValuePagePool> create(KeyValueLayout layout);
  ~KeyValuePagePool();
  KeyValuePagePool(const KeyValuePagePool&) = delete;
  KeyValuePagePool& operator=(const KeyValuePagePool&) = delete;

  const KeyValueLayout& layout() const { return layout_; }
  /// A page with anything in it, aligned to 64 bytes. Throws OUT_OF_MEMORY.
  KeyValuePage acquire();
  /// A page with the contents of `page`.
  KeyValuePage copy(const KeyValuePage& page);
  /// Its model is gone: idle pages are freed, and those in use as soon as they come back.
  void close();
  bool closed() const;
  /// Bytes of all pages, in use or idle.
  size_t bytes() const;

 private:
  explicit KeyValuePagePool(KeyValueLayout layout) : layout_(std::move(layout)) {}
  std::byte* take();
  void free_idle();
  void give_back(std::byte* page) noexcept;

  const KeyValueLayout layout_;
  mutable std::mutex mutex_;
  std::vector<std::byte*> idle_;
  size_t pages_ = 0;
  bool closed_ = false;
};

}  // namespace octoformer
