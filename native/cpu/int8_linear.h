// The `linear` and `embedding` ops of int8 weights: which kernel, in which blocks, on how many threads.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <unordered_map>

#include "backend/backend.h"
#include "cpu/aligned_memory.h"
#include "cpu/gemm_blocking.h"
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
  /// `row_kernels` make the rows.
  void quantize_rows(const RowKernels& row_kernels, const QuantizeRowsArguments& arguments) const;
  void linear_to_quantized(const RowKernels& row_kernels, const LinearArguments& arguments, const LinearWeight& reader,
                           QuantizedRows& rows);
  void gated_linear_to_quantized(const RowKernels& row_kernels, const LinearArguments& arguments,
                                 const GatedActivationArguments& gated, const LinearWeight& reader,
                                 QuantizedRows& rows);
  void embedding(const EmbeddingArguments& arguments) const;

 private:
  int64_t block_rows(const Int8Weight& weight, const Int8Weight& reader, int64_t rows) const;
  int64_t gated_block_rows(const Int8Weight& weight, const Int8Weight& reader, int64_t rows, int64_t columns) const;
  Int8Task begin(const LinearArguments& arguments);
  static Int8Task task_of(const Int8Weight& weight, int64_t rows);
  void multiply_few_rows(const Int8Weight& weight, int64_t rows, const Int8Task& shared);
  void multiply_many_rows(const Int8Weight& weight, int64_t rows, const Int8Task& shared);
  void lend_scratch(const Int8Kernel& kernel, int64_t sums, int threads);
  void take_scratch(const Int8Kernel& kernel, int worker, Int8Task& task) const;

  /// Where packed weights lie.
  struct Place {
    const int8_t* values = nullptr;
    int64_t panels = 0, panel_stride = 0;
  };
  const Place& next_after(const Int8Weight& weight);
  static void fetch_next(const Place& next, const FewRowTasks& tasks, int worker, Int8Task& task);

  const Int8Kernels& kernels_;
  int threads_;
  // Programs read their weights in the same order again and again: which one came after each, the last time. Addresses
  // only, for fetching ahead.
  std::unordered_map<const int8_t*, Place> next_weights_;
  const int8_t* last_weights_ = nullptr;
  Int8Activations activations_;
  AlignedMemory up_blocks_;   // of every thread: what gates of some panels multiply
  AlignedMemory scratch_;     // sums of every thread
  int64_t scratch_sums_ = 0;  // of one thread
};

}  // namespace octoformer
