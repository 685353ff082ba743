// Memory for weights and workspaces: aligned for the widest vectors, on huge pages where it is large.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>

namespace octoformer {

class AlignedMemory {
 public:
  AlignedMemory() = default;
  /// Uninitialized. Throws OUT_OF_MEMORY naming `purpose` and the size.
  AlignedMemory(size_t bytes, const char* purpose);

  std::byte* data() const { return data_.get(); }
  size_t bytes() const { return bytes_; }

  /// Makes it at least `bytes` long; what it held is lost if it grows.
  void reserve(size_t bytes, const char* purpose) {
    if (bytes <= bytes_) return;
    *this = AlignedMemory();
    *this = AlignedMemory(bytes, purpose);
  }

 private:
  struct Free {
    size_t alignment;  // as allocated
    void operator()(std::byte* data) const;
  };
  std::unique_ptr<std::byte, Free> data_;
  size_t bytes_ = 0;
};

}  // namespace octoformer
