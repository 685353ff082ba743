// The scalar reference of every int8 scheme (docs/design.md section 3; Dettmers et al. 2022, "LLM.int8()", sections 2
// and 3). Obvious loops in float32: the fast kernels are compared with these bit for bit.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "backend/int8_settings.h"
#include "backend/matrix.h"

namespace octoformer {

/// x ~ (data - zero_point) * scale. `scale` and `zero_point` have one entry, or one a row, or (absmax only) one for
/// each group of columns of a row; absmax has no zero points.
struct QuantizedMatrix {
  int64_t rows = 0;
  int64_t columns = 0;
  Int8Mapping mapping = Int8Mapping::absmax;
  Int8Granularity granularity = Int8Granularity::row;
  std::vector<int8_t> data;
  std::vector<float> scale;
  std::vector<int32_t> zero_point;
  int64_t group = 0;  // columns of a group, of which the last may have fewer; 0: all

  int64_t groups() const { return group > 0 ? (columns + group - 1) / group : 1; }
  /// Of the number at [index, column].
  float scale_at(int64_t index, int64_t column) const {
    return group > 0 ? scale[index * groups() + column / group] : row_scale(index);
  }
  const int8_t* row(int64_t index) const { return data.data() + index * columns; }
  float row_scale(int64_t index) const { return scale[granularity == Int8Granularity::row ? index : 0]; }
  int32_t row_zero_point(int64_t index) const {
    return zero_point.empty() ? 0 : zero_point[granularity == Int8Granularity::row ? index : 0];
  }
};

/// Quantizes x. What is special:
///  - a range of zeros has scale 0 and quantizes to zeros (zero point 0), and so does one whose largest magnitude is so
///  small
///    that 127 / absmax (255 / range) overflows;
///  - a range that holds a NaN or an infinity has scale NaN and quantizes to zeros: its products are NaN, its
///  neighbours' are not.
QuantizedMatrix quantize(ConstMatrixView x, Int8Mapping mapping, Int8Granularity granularity);

/// absmax with a scale for every `group` > 0 columns of each row, as if each group were a row of its own: llama.cpp's
/// Q8_0 with groups of 32, but for the form of its scales.
QuantizedMatrix quantize_groups(ConstMatrixView x, int64_t group);

/// (data - zero_point) * scale, row-major.
std::vector<float> dequantize(const QuantizedMatrix& quantized);

/// a [M, K] times w [N, K] transposed: the int32 sums of the stored int8 values, [M, N]. K <= kLargestInt8Depth.
std::vector<int32_t> int8_product(const QuantizedMatrix& a, const QuantizedMatrix& w);

/// The sums with both zero points taken off: sum over k of (a - za) (w - zw).
std::vector<int32_t> centered_int8_product(const QuantizedMatrix& a, const QuantizedMatrix& w);

/// centered sums * scale of a's row * scale of w's row (neither has groups) + bias (may be null), [M, N] in float32.
std::vector<float> scaled_int8_product(const QuantizedMatrix& a, const QuantizedMatrix& w, const float* bias);

/// The same of `integers` [M, K], of which int8 holds only a part; `a` has their scales and zero points.
std::vector<float> scaled_integer_product(const QuantizedMatrix& a, std::span<const int32_t> integers,
                                          const QuantizedMatrix& w, const float* bias);

}  // namespace octoformer
