// The `linear` and `embedding` ops: which kernel, in which blocks, on how many threads.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>

#include "backend/backend.h"
#include "cpu/aligned_memory.h"
#include "cpu/gemm_kernels.h"

namespace octoformer {

/// Of every form but int8 with int8 activations (Int8LinearDriver). Keeps the workspace between calls: one call of
/// linear() at a time.
class LinearDriver {
 public:
  /// `kernels` must outlive it. `threads` >= 1.
  LinearDriver(const GemmKernels& kernels, int threads) : kernels_(kernels), threads_(threads) {}

  /// See Backend. Weights must come from a driver with the same kernels.
  std::unique_ptr<LinearWeight> pack(const LinearWeightDescription& description, const RowSource& rows,
                                     const std::atomic<bool>* abort) const;
  void linear(const LinearArguments& arguments);
  void embedding(const EmbeddingArguments& arguments) const;

 private:
  template <class A, class W>
  struct Product;
  struct WeightLayout;
  template <class A, class W>
  void multiply(const GemmKernel<A, W>& kernel, const W* weights, const WeightLayout& layout,
                const LinearArguments& arguments);
  template <class A, class W>
  void prepare_activations(Product<A, W>& product);
  template <class A, class W>
  void narrow_to_tiles(const Product<A, W>& product, int64_t row, int64_t first, int64_t count, int64_t filled,
                       uint16_t* tiles) const;
  template <class A, class W>
  void multiply_few_rows(Product<A, W>& product);
  template <class A, class W>
  void multiply_many_rows(Product<A, W>& product);

  const GemmKernels& kernels_;
  int threads_;
  AlignedMemory activations_;  // rounded or blocked for the kernels
  AlignedMemory scratch_;      // partial sums of every thread
};

}  // namespace octoformer
