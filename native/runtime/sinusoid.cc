#include "runtime/sinusoid.h"

#include <algorithm>
#include <cmath>

namespace octoformer {

void fill_sinusoids(std::span<const int32_t> positions, std::span<const int32_t> ids, const SinusoidalOp& op,
                    MatrixView out) {
  const auto frequencies = static_cast<int64_t>(op.inv_freq.size());
  const int64_t step = op.interleaved ? 2 : 1;
  const int64_t first_cosine = op.interleaved ? 1 : frequencies;
  for (int64_t row = 0; row < out.rows; ++row) {
    const auto token = static_cast<size_t>(row);
    const auto position = static_cast<double>(positions[token] + op.offset);
    float* values = out.row(row);
    if (ids[token] == op.padding_id) {
      if (!op.accumulate) std::fill(values, values + out.columns, 0.0f);
      continue;
    }
    for (int64_t i = 0; i < frequencies; ++i) {
      const double angle = position * op.inv_freq[static_cast<size_t>(i)];
      float& sine = values[i * step];
      float& cosine = values[first_cosine + i * step];
      sine = static_cast<float>(std::sin(angle)) + (op.accumulate ? sine : 0.0f);
      cosine = static_cast<float>(std::cos(angle)) + (op.accumulate ? cosine : 0.0f);
    }
  }
}

}  // namespace octoformer
