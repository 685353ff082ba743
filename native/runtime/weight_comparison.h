// How far a loaded weight is from the numbers of the checkpoint that it was made of.
#pragma once
#include <atomic>
#include <cstddef>
#include <vector>

#include "formats/checkpoint.h"
#include "runtime/model.h"

namespace octoformer {

/// Of one part of a weight, in double precision.
struct WeightDifference {
  double squared_error = 0.0;  // sum of (kept - stored)^2
  double squared_norm = 0.0;   // sum of stored^2
  double largest_error = 0.0;
  double largest_stored = 0.0;  // magnitudes
};

/// Of each part of weight `index`. Extra memory: two blocks of rows. Throws what WeightSource does where the checkpoint
/// is another one; ABORTED.
std::vector<WeightDifference> compare_weight(Model& model, size_t index, const Checkpoint& checkpoint,
                                             const std::atomic<bool>* abort);

}  // namespace octoformer
