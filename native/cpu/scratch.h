// 64-byte aligned memory that a thread keeps between ops, so that a step of decoding allocates nothing.
#pragma once
#include <cstddef>
#include <memory>
#include <new>

namespace octoformer {

class Scratch {
 public:
  /// At least `count` floats, uninitialized; valid until the next call.
  float* floats(size_t count) {
    if (count > count_) {
      memory_.reset();
      count_ = 0;
      memory_.reset(static_cast<float*>(::operator new(count * sizeof(float), kAlignment)));
      count_ = count;
    }
    return memory_.get();
  }

 private:
  static constexpr std::align_val_t kAlignment{64};
  struct Free {
    void operator()(float* memory) const { ::operator delete(memory, kAlignment); }
  };
  std::unique_ptr<float, Free> memory_;
  size_t count_ = 0;
};

}  // namespace octoformer
