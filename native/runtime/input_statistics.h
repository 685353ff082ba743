// What linear layers read while a model runs: how large the entries of each feature are. Calibration finds the outlier
// features with it (Dettmers et al. 2022, "LLM.int8()", section 4.1).
#pragma once
#include <cstdint>
#include <vector>

#include "backend/matrix.h"

namespace octoformer {

struct InputStatistics {
  uint64_t rows = 0;
  std::vector<uint64_t> entries;  // [in_features]: rows whose entry has at least the threshold's magnitude
  std::vector<float> largest;     // [in_features]: largest magnitude; NaN once one was seen

  /// `input` has the columns of all inputs before it.
  void add(ConstMatrixView input, float threshold);
};

}  // namespace octoformer
