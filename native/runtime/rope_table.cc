#include "runtime/rope_table.h"

#include <cmath>

namespace octoformer {

RopeFrequencies rope_frequencies(const RopeTableOp& op, int64_t length, std::vector<float>& scratch) {
  if (op.long_context && length > op.long_context->original_max) {
    return {op.long_context->inv_freq, op.long_context->attention_factor};
  }
  if (op.dynamic && length > op.dynamic->max) {
    // _compute_dynamic_ntk_parameters: the base grows with the length.
    const auto dimension = static_cast<float>(2 * op.inv_freq.size());
    const float factor = op.dynamic->factor;
    const float stretch = factor * static_cast<float>(length) / static_cast<float>(op.dynamic->max) - (factor - 1.0f);
    const float base = op.dynamic->base * std::pow(stretch, dimension / (dimension - 2.0f));
    scratch.resize(op.inv_freq.size());
    for (size_t i = 0; i < scratch.size(); ++i) {
      scratch[i] = 1.0f / std::pow(base, static_cast<float>(2 * i) / dimension);
    }
    return {scratch, op.attention_factor};
  }
  return {op.inv_freq, op.attention_factor};
}

void fill_rope_table(std::span<const int32_t> positions, const RopeFrequencies& frequencies, MatrixView out) {
  const std::span<const float> inv_freq = frequencies.inv_freq;
  for (size_t row = 0; row < positions.size(); ++row) {
    const auto position = static_cast<float>(positions[row]);
    float* cosines = out.row(static_cast<int64_t>(row));
    float* sines = cosines + inv_freq.size();
    for (size_t i = 0; i < inv_freq.size(); ++i) {
      const float angle = position * inv_freq[i];
      cosines[i] = std::cos(angle) * frequencies.attention_factor;
      sines[i] = std::sin(angle) * frequencies.attention_factor;
    }
  }
}

}  // namespace octoformer
