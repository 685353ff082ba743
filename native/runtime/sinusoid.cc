#include "runtime/sinusoid.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

namespace octoformer {

void fill_sinusoids(std::span<const int32_t> positions, std::span<const int32_t> ids, const SinusoidalOp& op,
                    MatrixView out) {
  const auto frequencies = static_cast<int64_t>(op.inv_freq.size());
  const int64_t step = op.interleaved ? 2 : 1;
  const int64_t first_cosine = op.interleaved ? 1 : frequencies;
  // Of the position before: sequences of a step are mostly at the same one.
  thread_local std::vector<float> waves;
  waves.resize(2 * op.inv_freq.size());
  float* const sines = waves.data();
  float* const cosines = sines + frequencies;
  std::optional<int32_t> known;
  for (int64_t row = 0; row < out.rows; ++row) {
    const auto token = static_cast<size_t>(row);
    float* values = out.row(row);
    if (ids[token] == op.padding_id) {
      if (!op.accumulate) std::fill(values, values + out.columns, 0.0f);
      continue;
    }
    if (known != positions[token]) {
      known = positions[token];
      const auto position = static_cast<double>(positions[token] + op.offset);
      for (int64_t i = 0; i < frequencies; ++i) {
        const double angle = position * op.inv_freq[static_cast<size_t>(i)];
        sines[i] = static_cast<float>(std::sin(angle));
        cosines[i] = static_cast<float>(std::cos(angle));
      }
    }
    for (int64_t i = 0; i < frequencies; ++i) {
      float& sine = values[i * step];
      float& cosine = values[first_cosine + i * step];
      sine = sines[i] + (op.accumulate ? sine : 0.0f);
      cosine = cosines[i] + (op.accumulate ? cosine : 0.0f);
    }
  }
}

}  // namespace octoformer
