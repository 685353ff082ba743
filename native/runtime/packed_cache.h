// Whether a model's packed weights lie on the disk already, and where they do.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "formats/checkpoint.h"
#include "runtime/packed_file.h"

namespace octoformer {

struct PackedCacheOptions {
  std::string folder;
  /// The weights of the Program as text: which tensors they are made of, and how.
  std::string weights;
  /// Fewer bytes than this are packed anew sooner than found.
  uint64_t least_bytes = 0;
};

/// One for each model: looks first, then keeps what a file has for the next start.
class PackedCache {
 public:
  explicit PackedCache(PackedCacheOptions options) : options_(std::move(options)) {}

  /// The weights of these descriptions from the file that has them, or nothing. Throws ABORTED.
  std::vector<std::unique_ptr<LinearWeight>> find(std::span<const LinearWeightDescription> descriptions,
                                                  const Checkpoint& checkpoint, Backend& backend,
                                                  const std::atomic<bool>* abort);

  /// The file of these weights, whether it is there or not; empty for a model that is too small for one.
  const std::string& path() const { return path_; }
  bool found() const { return found_; }
  /// Writes that file. Throws what PackedFile::write does.
  void write(std::span<const LinearWeight* const> weights) const;

 private:
  const PackedCacheOptions options_;
  std::string path_;
  PackedKey key_{};
  bool found_ = false;
};

}  // namespace octoformer
