#include "runtime/input_statistics.h"

#include <cmath>

namespace octoformer {

void InputStatistics::add(ConstMatrixView input, float threshold) {
  entries.resize(static_cast<size_t>(input.columns));
  largest.resize(static_cast<size_t>(input.columns));
  rows += static_cast<uint64_t>(input.rows);
  for (int64_t i = 0; i < input.rows; ++i) {
    const float* row = input.row(i);
    for (size_t k = 0; k < entries.size(); ++k) {
      const float magnitude = std::fabs(row[k]);
      entries[k] += magnitude >= threshold ? 1 : 0;
      if (magnitude > largest[k] || std::isnan(magnitude)) largest[k] = magnitude;
    }
  }
}

}  // namespace octoformer
