// The ops of a mixture of experts: rows are routed, gathered by expert, multiplied, and put back where they came from.
#pragma once
#include <cstdint>
#include <vector>

#include "backend/backend.h"
#include "cpu/aligned_memory.h"
#include "cpu/row_kernels.h"

namespace octoformer {

void run_expert_routing(const RowKernels& kernels, int threads, const ExpertRoutingArguments& arguments);
void run_weighted_sum(const RowKernels& kernels, int threads, const WeightedSumArguments& arguments);

/// The rows of a grouped linear layer in the order of their experts. Keeps its memory between calls: one call at a
/// time.
class ExpertGroups {
 public:
  /// Calls linear(arguments) once for every expert that some row chose, lowest number first, on the rows that chose it.
  template <class Linear>
  void for_each_expert(int threads, const GroupedLinearArguments& arguments, const Linear& linear) {
    sort(arguments);
    for (size_t expert = 0; expert < arguments.weights.size(); ++expert) {
      if (starts_[expert] == starts_[expert + 1]) continue;
      LinearArguments call = gather(threads, arguments, expert);
      linear(call);
      scatter(threads, arguments, expert, call.out);
    }
  }

 private:
  void sort(const GroupedLinearArguments& arguments);
  LinearArguments gather(int threads, const GroupedLinearArguments& arguments, size_t expert);
  void scatter(int threads, const GroupedLinearArguments& arguments, size_t expert, const MatrixView& results) const;

  std::vector<int64_t> starts_;  // of each expert's places, and their number
  std::vector<int64_t> places_;  // row * slots + slot, by expert, then by row
  AlignedMemory inputs_;
  AlignedMemory results_;
};

}  // namespace octoformer
