// The memory of a Program's buffers: one block that grows when a run needs more and is reused otherwise.
#pragma once
#include <atomic>
#include <cstddef>
#include <memory>
#include <new>

namespace octoformer {

class Arena {
 public:
  /// At least `floats` floats, aligned to 64 bytes; the contents are not kept. Throws OUT_OF_MEMORY.
  float* reserve(size_t floats);
  /// May be asked from any thread.
  size_t bytes() const { return bytes_.load(); }

 private:
  struct Free {
    void operator()(float* memory) const { ::operator delete(memory, std::align_val_t{64}); }
  };
  std::unique_ptr<float, Free> memory_;
  std::atomic<size_t> bytes_ = 0;
};

}  // namespace octoformer
