// The `linear` and `embedding` ops of int8 weights: which kernel, in which blocks, on how many threads.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>

#include "backend/backend.h"
#include "cpu/aligned_memory.h"
#include "cpu/int8_activations.h"
#include "cpu/int8_weight.h"
#include "cpu/row_kernels.h"

namespace octoformer {

/// Keeps the workspace between calls: one call of linear() at a time.
class Int8LinearDriver {
 public:
  /// `kernels` must outlive it. `threads` >= 1.
  Int8LinearDriver(const Int8Kernels& kernels, int threads) : kernels_(kernels), threads_(threads) {}

  /// See Backend. Weights must come from a driver with the same kernels.
  std::unique_ptr<LinearWeight> pack(const LinearWeightDescription& description, const RowSource& rows,
                                     const std::atomic<bool>* abort) const;
  void linear(const LinearArguments& arguments);
  /// `row_kernels` take the norm.
  void quantize_rows(const RowKernels& row_kernels, const QuantizeRowsArguments& arguments) const;
  void embedding(const EmbeddingArguments& arguments) const;

 private:
  static Int8Task task_of(const Int8Weight& weight, int64_t rows);
  void multiply_few_rows(const Int8Weight& weight, int64_t rows, const Int8Task& shared);
  void multiply_many_rows(const Int8Weight& weight, int64_t rows, const Int8Task& shared);
  void lend_scratch(const Int8Kernel& kernel, int64_t sums, int threads);
  void take_scratch(const Int8Kernel& kernel, int worker, Int8Task& task) const;

  const Int8Kernels& kernels_;
  int threads_;
  Int8Activations activations_;
  AlignedMemory scratch_;     // sums of every thread
  int64_t scratch_sums_ = 0;  // of one thread
};

}  // namespace octoformer
