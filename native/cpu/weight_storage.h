// The memory of a packed weight, array by array: its own while the weight is packed, part of a file that is mapped when
// it was packed before.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "cpu/aligned_memory.h"

namespace octoformer {

class WeightStorage {
 public:
  /// Memory of its own. `purpose`: for OUT_OF_MEMORY.
  explicit WeightStorage(std::string purpose) : purpose_(std::move(purpose)) {}
  /// The sections() of a storage that was filled before, each aligned to 64 bytes; `owner` keeps them alive. They are
  /// only read.
  WeightStorage(std::span<const std::span<const std::byte>> sections, std::shared_ptr<const void> owner)
      : owner_(std::move(owner)), sections_(sections.begin(), sections.end()), adopted_(true) {}

  /// The next array. Of its own memory it is not initialized; of sections that don't fit it is empty.
  template <class T>
  std::span<T> array(size_t count) {
    std::byte* data = next(count * sizeof(T));
    return data == nullptr ? std::span<T>() : std::span<T>(reinterpret_cast<T*>(data), count);
  }
  /// Likewise, of zeros.
  template <class T>
  std::span<T> zeros(size_t count) {
    const std::span<T> array = this->array<T>(count);
    if (!adopted_) std::fill(array.begin(), array.end(), T{});
    return array;
  }

  /// Whether the arrays that were asked for are the sections that there are.
  bool fits() const { return fits_ && (!adopted_ || taken_ == sections_.size()); }
  const std::vector<std::span<const std::byte>>& sections() const { return sections_; }
  uint64_t bytes() const;

 private:
  std::byte* next(size_t bytes);

  std::string purpose_;
  std::vector<AlignedMemory> own_;
  std::shared_ptr<const void> owner_;
  std::vector<std::span<const std::byte>> sections_;
  size_t taken_ = 0;
  bool adopted_ = false;
  bool fits_ = true;
};

}  // namespace octoformer
