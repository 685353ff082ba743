// Scale and zero point of one range of values: where every scheme starts. Shared by the reference's files.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "quantization/quantized_matrix.h"

namespace octoformer {

/// What is known of the values of a range before they are quantized. NaN sticks.
struct ValueRange {
  float low = 0.0f;   // min(0, values)
  float high = 0.0f;  // max(0, values)
  bool finite = true;

  void include(float value) {
    if (!std::isfinite(value)) finite = false;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  float absmax() const { return high > -low ? high : -low; }
};

/// In 32 chains of fused multiply-adds (k mod 32), which are added pairwise: the same bits however wide a kernel's
/// vectors are, and chains enough to hide the latency of the widest.
inline float sum_of_squares(const float* row, int64_t columns) {
  float chain[32] = {};
  for (int64_t k = 0; k < columns; ++k) chain[k % 32] = std::fma(row[k], row[k], chain[k % 32]);
  for (int width = 16; width > 0; width /= 2) {
    for (int i = 0; i < width; ++i) chain[i] += chain[i + width];
  }
  return chain[0];
}

/// Squares of magnitudes below this vanish or round coarsely in float32.
inline constexpr float kLeastSquares = 1e-30f;

/// From which magnitude on the entries of a row are outliers where the threshold counts in the row's root mean square;
/// 0: none are, as in a row of zeros, or in one whose squares overflow or vanish.
inline float row_rms_limit(float threshold, float squares, int64_t columns) {
  if (columns == 0 || squares < kLeastSquares) return 0.0f;
  const float limit = threshold * std::sqrt(squares / static_cast<float>(columns));
  return std::isfinite(limit) ? limit : 0.0f;
}

/// Whether outliers stay integers, steps of their row as all its numbers but of more than a byte, instead of float32:
/// those by token, whose threshold counts in root mean squares, with int8 weights.
inline bool outliers_are_integers(ThresholdUnit unit, OutlierRule outliers, bool float_weights) {
  return unit == ThresholdUnit::row_rms && outliers == OutlierRule::token && !float_weights;
}
inline bool outliers_are_integers(const Int8Settings& settings) {
  return settings.threshold > 0.0f &&
         outliers_are_integers(settings.threshold_unit, settings.outliers, settings.float_outlier_weights);
}

/// That of a row whose outliers are integers of the same steps: `rest`, the range without them, but 2.5 root mean
/// squares of the row at least. No number of a row of K is larger than sqrt(K) of these, 255 sqrt(K) / 2.5 < 127 * 256
/// steps, so that it is a byte and a digit of another one; all magnitudes add up to no more than K of them, 102 K
/// steps, so that sums stay within what those of K bytes reach.
inline ValueRange range_beside_integers(ValueRange rest, float squares, int64_t columns) {
  constexpr float kLeastRange = 2.5f;
  rest.high = std::max(rest.high, rest.low + kLeastRange * std::sqrt(squares / static_cast<float>(columns)));
  return rest;
}

/// x -> clamp(rint(x * multiplier) + zero_point): the multiplication by the float32 quotient comes first and decides
/// ties.
struct Int8Grid {
  float scale = 0.0f;
  float multiplier = 0.0f;  // absmax: 127 / absmax, rounded as AbsmaxFactor says
  float step = 0.0f;        // zeropoint divides by its step instead; 0 for absmax
  int32_t zero_point = 0;
  int32_t least = -127;

  /// Before bounds.
  float scaled(float value) const {
    return step > 0.0f ? std::rint(value / step) + static_cast<float>(zero_point) : std::rint(value * multiplier);
  }
  /// Without bounds: of values whose integer is below 2^24.
  int32_t integer(float value) const { return scale > 0.0f ? static_cast<int32_t>(scaled(value)) : 0; }

  int8_t quantize(float value) const {
    if (!(scale > 0.0f)) return 0;  // zeros, or poisoned by NaN
    const float number = scaled(value);
    if (number <= static_cast<float>(least)) return static_cast<int8_t>(least);
    return number >= 127.0f ? int8_t{127} : static_cast<int8_t>(number);
  }
};

/// How the factor of absmax is rounded.
enum class AbsmaxFactor {
  quotient,    // 127 / absmax, rounded once
  reciprocal,  // the rounded reciprocal times 127: what PyTorch computes for `127 / absmax`, and so bitsandbytes
};

/// That of activations. `column` is bitsandbytes' rule.
inline AbsmaxFactor absmax_factor(OutlierRule outliers, float threshold) {
  return outliers == OutlierRule::column && threshold > 0.0f ? AbsmaxFactor::reciprocal : AbsmaxFactor::quotient;
}

inline Int8Grid int8_grid(const ValueRange& range, Int8Mapping mapping, AbsmaxFactor factor = AbsmaxFactor::quotient) {
  Int8Grid grid;
  if (!range.finite) {
    grid.scale = std::numeric_limits<float>::quiet_NaN();
    return grid;
  }
  if (mapping == Int8Mapping::absmax) {
    const float absmax = range.absmax();
    const float multiplier = factor == AbsmaxFactor::quotient ? 127.0f / absmax : 1.0f / absmax * 127.0f;
    if (absmax == 0.0f || std::isinf(multiplier)) return grid;
    grid.scale = absmax / 127.0f;
    grid.multiplier = multiplier;
    return grid;
  }
  const float step = (range.high - range.low) / 255.0f;
  if (std::isinf(step)) {
    grid.scale = std::numeric_limits<float>::quiet_NaN();
    return grid;
  }
  if (step == 0.0f || std::isinf(1.0f / step)) return grid;
  grid.least = -128;
  grid.scale = step;
  grid.step = step;
  const float zero = std::rint(-128.0f - range.low / step);
  grid.zero_point = static_cast<int32_t>(zero < -128.0f ? -128.0f : zero > 127.0f ? 127.0f : zero);
  return grid;
}

}  // namespace octoformer
