// The `linear` and `embedding` ops of int8 weights: which kernel, in which blocks, on how many threads.
#pragma once
#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "backend/backend.h"
#include "cpu/aligned_memory.h"
#include "cpu/gemm_blocking.h"
#include "cpu/int8_activations.h"
#include "cpu/int8_weight.h"
#include "cpu/row_kernels.h"

namespace octoformer {

/// The task of panels [first, first + count) of another, numbered from 0. No residual.
Int8Task panels_of(const Int8Task& whole, const Int8Kernel& kernel, int64_t first, int64_t count);

/// Of columns that one thread has seen.
struct LargestColumn {
  float value = -std::numeric_limits<float>::infinity();
  int32_t column = -1;  // the first one that has it; -1: none is above -infinity
  bool nan = false;     // there is one

  /// Whether it is the one of both.
  bool comes_before(const LargestColumn& other) const {
    return value > other.value || (value == other.value && column < other.column);
  }
};

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
  bool largest_columns(const RowKernels& row_kernels, const LinearArguments& arguments, std::span<int32_t> columns);
  void embedding(const EmbeddingArguments& arguments) const;

 private:
  int64_t block_rows(const Int8Weight& weight, const Int8Weight& reader, int64_t rows) const;
  int64_t gated_block_rows(const Int8Weight& weight, const Int8Weight& reader, int64_t rows, int64_t columns) const;
  Int8Task begin(const LinearArguments& arguments);
  static Int8Task task_of(const Int8Weight& weight, int64_t rows);
  static bool takes_few_rows_at_once(const Int8Weight& weight, int64_t rows);
  void multiply_few_rows(const Int8Weight& weight, int64_t rows, const Int8Task& shared);
  void multiply_few_gated_rows(const RowKernels& row_kernels, const Int8Weight& weight, const Int8Task& whole,
                               const GatedActivationArguments& gated, int64_t gate_panel, int64_t up_panel);
  void multiply_many_rows(const Int8Weight& weight, int64_t rows, const Int8Task& shared);
  /// For the tasks of one product.
  void lend_scratch(const Int8Kernel& kernel, int64_t sums, int threads);
  void take_scratch(const Int8Kernel& kernel, int worker, Int8Task& task);

  /// Where the packed weights lie that are shared out.
  struct Place {
    const int8_t* values = nullptr;
    int64_t panels = 0, panel_stride = 0;
    int64_t at_once = 1;  // panels, from different places, that a task takes with each of these
    FewRowTasks tasks(int64_t rows, int threads) const {
      return FewRowTasks(panels, at_once * panel_stride, rows, threads);
    }
  };
  const Place& next_after(const Place& place);
  static void fetch_next(const Place& next, const FewRowTasks& tasks, int worker, Int8Task& task);
  template <class Multiply>
  void share_few_rows(const Int8Kernel& kernel, int64_t rows, const Place& place, const Int8Task& shared,
                      const Multiply& multiply);
  float* results_of(int worker, int64_t floats) const;

  const Int8Kernels& kernels_;
  int threads_;
  // Programs read their weights in the same order again and again: which one came after each, the last time. Addresses
  // only, for fetching ahead.
  std::unordered_map<const int8_t*, Place> next_weights_;
  const int8_t* last_weights_ = nullptr;
  Int8Activations activations_;
  AlignedMemory results_;                   // of every thread: those of a task that go no further
  std::vector<LargestColumn> largest_;      // of every thread and row
  AlignedMemory scratch_;                   // sums of every thread
  int64_t scratch_sums_ = 0;                // of one thread
  std::vector<Int8ArrangedRows> arranged_;  // of every thread
};

}  // namespace octoformer
