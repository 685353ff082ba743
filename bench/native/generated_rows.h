// Weights and memory for benchmarks.
#pragma once
#include <cmath>
#include <cstdint>
#include <vector>

#include "backend/linear_weight.h"
#include "cpu/thread_pool.h"
#include "measure.h"

namespace octoformer::bench {

/// More than any last-level cache: what is read again after so much comes from memory.
inline constexpr int64_t kBeyondCaches = int64_t{768} << 20;

/// Values whose products sum to about 1: far larger ones would have activations give denormals. Distributed nearly as
/// models' weights are, each the sum of four uniform ones: what int8 products cost depends on how many weights come
/// near the largest (gemm_int8_narrowed.h).
class GeneratedRows final : public RowSource {
 public:
  explicit GeneratedRows(int64_t columns) : columns_(columns), scale_(0.5f / std::sqrt(static_cast<float>(columns))) {}
  void read_rows(int64_t first, int64_t count, float* out) const override {
    uint64_t state = static_cast<uint64_t>(first) * 0x9e3779b97f4a7c15u + 1;
    for (int64_t i = 0; i < count * columns_; ++i) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      const uint64_t bits = state ^ state >> 32;  // the upper half is the better one
      float sum = 0.0f;
      for (int part = 0; part < 64; part += 16)
        sum += static_cast<float>(static_cast<int16_t>(bits >> part)) * 0x1p-15f;
      out[i] = sum * scale_;
    }
  }

 private:
  int64_t columns_;
  float scale_;
};

/// Reads memory that no cache holds, one stretch after another.
class MemoryReader {
 public:
  explicit MemoryReader(const Options& options)
      : peaks_(peak_kernels(options.isa)),
        threads_(options.threads),
        memory_(static_cast<size_t>(kBeyondCaches / 4), 1.0f) {}

  /// About so many bytes, on all threads; those read.
  double read(int64_t bytes) {
    const int64_t part = bytes / 4 / 64 / threads_ * 64;
    if (position_ + part * threads_ > static_cast<int64_t>(memory_.size())) position_ = 0;
    ThreadPool::shared().parallel_for(threads_, threads_, [&](int64_t task, int) {
      sink_ = peaks_.read(memory_.data() + position_ + task * part, part);
    });
    position_ += part * threads_;
    return static_cast<double>(part * threads_ * 4);
  }

 private:
  const PeakKernels& peaks_;
  int threads_;
  std::vector<float> memory_;
  int64_t position_ = 0;
  volatile float sink_ = 0;
};

}  // namespace octoformer::bench
