// What a decoder's cross attentions read: the keys and values that an encoder's run projects out of one sequence, for
// every layer of the decoder. Computed once a sequence; all forks of a cache share it.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "runtime/key_value_pages.h"

namespace octoformer {

class EncodedSequence {
 public:
  /// Room for `length` positions. Throws OUT_OF_MEMORY.
  EncodedSequence(std::shared_ptr<KeyValuePagePool> pool, int64_t length);
  EncodedSequence(const EncodedSequence&) = delete;
  EncodedSequence& operator=(const EncodedSequence&) = delete;

  /// Tokens that the encoder was given.
  int64_t length() const { return length_; }
  size_t bytes() const { return pages_.size() * pool_->layout().page_bytes; }
  /// Layers of the pages are those of `Program::cross_layers`.
  const KeyValueLayer& layer(int32_t index) const { return pool_->layout().layers[static_cast<size_t>(index)]; }
  std::span<std::byte* const> pages() const { return addresses_; }

 private:
  const std::shared_ptr<KeyValuePagePool> pool_;
  const int64_t length_;
  std::vector<KeyValuePage> pages_;
  std::vector<std::byte*> addresses_;
};

}  // namespace octoformer
