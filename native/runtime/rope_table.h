// Cosines and sines of rotary position embeddings (Su et al., "RoFormer", 2021), in float32 arithmetic as Hugging
// Face's modeling_rope_utils computes them.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "backend/matrix.h"
#include "runtime/program.h"

namespace octoformer {

/// The frequencies and the factor that hold for a sequence of `length` tokens (past and new): `long` and `dynamic` of
/// the op depend on it. `inv_freq` may point into `scratch`.
struct RopeFrequencies {
  std::span<const float> inv_freq;
  float attention_factor = 1.0f;
};
RopeFrequencies rope_frequencies(const RopeTableOp& op, int64_t length, std::vector<float>& scratch);

/// Fills row i with the cosines, then the sines, of float(positions[i]) * inv_freq, times the factor.
void fill_rope_table(std::span<const int32_t> positions, const RopeFrequencies& frequencies, MatrixView out);

}  // namespace octoformer
