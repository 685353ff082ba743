// Sinusoidal positions (Vaswani et al. 2017, section 3.5).
#pragma once
#include <cstdint>
#include <span>

#include "backend/matrix.h"
#include "runtime/program.h"

namespace octoformer {

/// Writes or adds the rows of tokens at `positions` to `out` [tokens, 2 * inv_freq]. Angles, sines and cosines are
/// computed in float64 and rounded once.
void fill_sinusoids(std::span<const int32_t> positions, std::span<const int32_t> ids, const SinusoidalOp& op,
                    MatrixView out);

}  // namespace octoformer
