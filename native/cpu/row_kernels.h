// What one ISA offers for single rows of float32. `out` may be the same memory as an input everywhere, never a part of
// it shifted. A row's bits depend on that row alone.
#pragma once
#include <stdint.h>

#include "backend/activation.h"

namespace octoformer {

/// One row of `columns` values, of which every `group` neighbours are normalized together.
struct NormRow {
  const float* input;
  float* out;
  const float* weight;  // [group] or null
  const float* bias;    // [group] or null
  int64_t columns;
  int64_t group;
  float weight_offset;
  float epsilon;
};

/// One token's heads; `table` has rotary_dim / 2 cosines, then as many sines.
struct RopeRow {
  float* x;
  const float* table;
  int64_t heads;
  int64_t head_dim;
  int64_t rotary_dim;
};

/// What the logarithm of the sum of e^x over a row is made of (log_sum_exp() in cpu/log_probabilities.h puts it
/// together).
struct ExponentialSum {
  float largest;     // x; -infinity where no number is above that
  float base;        // 0, or `largest` where that is large: x - base is exact for all x that count
  float power;       // the integer next to (largest - base) / ln 2
  float of_largest;  // e^(largest - base - power ln 2), as it is in the sum
  double sum;        // of e^(x - base - power ln 2); NaN where an x is; 0 where `largest` is infinite
};

struct RowKernels {
  /// x / sqrt(mean(x^2) + epsilon) * (weight + weight_offset) + bias (Zhang and Sennrich, arXiv:1910.07467)
  void (*rms_norm)(const NormRow& row);
  /// (x - mean(x)) / sqrt(variance(x) + epsilon) * (weight + weight_offset) + bias (Ba et al., arXiv:1607.06450)
  void (*layer_norm)(const NormRow& row);

  /// Rotates column i with i + rotary_dim / 2 (Su et al., arXiv:2104.09864, in Llama's order)
  void (*rope_half)(const RopeRow& row);
  /// Rotates column 2i with 2i + 1
  void (*rope_adjacent)(const RopeRow& row);

  void (*activation)(Activation kind, const float* input, float* out, int64_t columns);
  /// out = activation(gate) * up
  void (*gated_activation)(Activation kind, const float* gate, const float* up, float* out, int64_t columns);
  void (*add)(const float* left, const float* right, float* out, int64_t columns);
  void (*multiply)(const float* left, const float* right, float* out, int64_t columns);
  /// out = input * factor, then, if softcap > 0, softcap * tanh(out / softcap)
  void (*scale)(const float* input, float factor, float softcap, float* out, int64_t columns);

  /// out = residual (or nothing, if null) + sum of weights[i] * input[i * columns ...], in this order
  void (*weighted_sum)(const float* input, const float* weights, int64_t pieces, const float* residual, float* out,
                       int64_t columns);

  /// exp(x - max(x)) / sum of the same
  void (*softmax)(const float* input, float* out, int64_t columns);
  /// Terms within one unit in the last place of float32, added in double; the same bits on every ISA.
  ExponentialSum (*sum_exponentials)(const float* input, int64_t columns);
  /// The first column from `first` on whose number is above `bound`, or `columns`. A NaN is above nothing.
  int64_t (*find_above)(const float* input, int64_t first, int64_t columns, float bound);
  /// kernels/math.h over an array; the bounds stated there are tested through these.
  void (*exp)(const float* input, float* out, int64_t columns);
  void (*softmax_exp2)(const float* input, float* out, int64_t columns);
};

}  // namespace octoformer
