#include "quantization/quantized_matrix.h"

#include <algorithm>
#include <cmath>

#include "backend/error.h"
#include "quantization/row_range.h"

namespace octoformer {
namespace {

void include_row(ValueRange& range, const float* row, int64_t columns) {
  for (int64_t k = 0; k < columns; ++k) range.include(row[k]);
}

void check_product(const QuantizedMatrix& a, const QuantizedMatrix& w) {
  if (a.columns != w.columns)
    fail(ErrorCode::shape_mismatch, "int8 product: a has ", a.columns, " columns, w has ", w.columns,
         "; both must have the same inner size");
  if (a.columns > kLargestInt8Depth)
    fail(ErrorCode::invalid_argument, "int8 product: the inner size ", a.columns, " exceeds ", kLargestInt8Depth,
         ", beyond which int32 sums could overflow; split the product along it");
}

}  // namespace

QuantizedMatrix quantize(ConstMatrixView x, Int8Mapping mapping, Int8Granularity granularity) {
  QuantizedMatrix out{x.rows, x.columns, mapping, granularity, {}, {}, {}, 0};
  out.data.resize(static_cast<size_t>(x.rows * x.columns));
  const bool by_row = granularity == Int8Granularity::row;
  ValueRange whole;
  if (!by_row)
    for (int64_t i = 0; i < x.rows; ++i) include_row(whole, x.row(i), x.columns);
  Int8Grid grid = int8_grid(whole, mapping);
  const auto keep = [&] {
    out.scale.push_back(grid.scale);
    if (mapping == Int8Mapping::zeropoint) out.zero_point.push_back(grid.zero_point);
  };
  if (!by_row) keep();
  for (int64_t i = 0; i < x.rows; ++i) {
    if (by_row) {
      ValueRange range;
      include_row(range, x.row(i), x.columns);
      grid = int8_grid(range, mapping);
      keep();
    }
    for (int64_t k = 0; k < x.columns; ++k) out.data[i * x.columns + k] = grid.quantize(x.row(i)[k]);
  }
  return out;
}

QuantizedMatrix quantize_groups(ConstMatrixView x, int64_t group) {
  QuantizedMatrix out{x.rows, x.columns, Int8Mapping::absmax, Int8Granularity::row, {}, {}, {}, group};
  for (int64_t i = 0; i < x.rows; ++i)
    for (int64_t k = 0; k < x.columns; k += group) {
      const int64_t count = std::min(group, x.columns - k);
      const QuantizedMatrix part = quantize({x.row(i) + k, 1, count, count}, out.mapping, out.granularity);
      out.data.insert(out.data.end(), part.data.begin(), part.data.end());
      out.scale.push_back(part.scale[0]);
    }
  return out;
}

std::vector<float> dequantize(const QuantizedMatrix& quantized) {
  std::vector<float> out(quantized.data.size());
  for (int64_t i = 0; i < quantized.rows; ++i)
    for (int64_t k = 0; k < quantized.columns; ++k)
      out[i * quantized.columns + k] =
          static_cast<float>(quantized.row(i)[k] - quantized.row_zero_point(i)) * quantized.scale_at(i, k);
  return out;
}

std::vector<int32_t> int8_product(const QuantizedMatrix& a, const QuantizedMatrix& w) {
  check_product(a, w);
  std::vector<int32_t> out(static_cast<size_t>(a.rows * w.rows));
  for (int64_t m = 0; m < a.rows; ++m)
    for (int64_t n = 0; n < w.rows; ++n) {
      int32_t sum = 0;
      for (int64_t k = 0; k < a.columns; ++k) sum += int32_t{a.row(m)[k]} * int32_t{w.row(n)[k]};
      out[m * w.rows + n] = sum;
    }
  return out;
}

namespace {

/// value(m, k): the integer of `a`, zero point included.
std::vector<int32_t> centered_product(const QuantizedMatrix& a, const QuantizedMatrix& w, const auto& value) {
  check_product(a, w);
  std::vector<int32_t> out(static_cast<size_t>(a.rows * w.rows));
  for (int64_t m = 0; m < a.rows; ++m)
    for (int64_t n = 0; n < w.rows; ++n) {
      int64_t sum = 0;
      for (int64_t k = 0; k < a.columns; ++k)
        sum += int64_t{value(m, k) - a.row_zero_point(m)} * int64_t{w.row(n)[k] - w.row_zero_point(n)};
      if (sum < INT32_MIN || sum > INT32_MAX)
        fail(ErrorCode::invalid_argument, "int8 product: the centered sum of row ", m, " and row ", n,
             " leaves int32; split the product along its inner size ", a.columns);
      out[m * w.rows + n] = static_cast<int32_t>(sum);
    }
  return out;
}

std::vector<float> scaled_sums(const QuantizedMatrix& a, const QuantizedMatrix& w, const std::vector<int32_t>& sums,
                               const float* bias) {
  std::vector<float> out(sums.size());
  for (int64_t m = 0; m < a.rows; ++m)
    for (int64_t n = 0; n < w.rows; ++n) {
      const float scaled = static_cast<float>(sums[m * w.rows + n]) * a.row_scale(m) * w.row_scale(n);
      out[m * w.rows + n] = bias ? scaled + bias[n] : scaled;
    }
  return out;
}

}  // namespace

std::vector<int32_t> centered_int8_product(const QuantizedMatrix& a, const QuantizedMatrix& w) {
  return centered_product(a, w, [&](int64_t m, int64_t k) { return int32_t{a.row(m)[k]}; });
}

std::vector<float> scaled_int8_product(const QuantizedMatrix& a, const QuantizedMatrix& w, const float* bias) {
  return scaled_sums(a, w, centered_int8_product(a, w), bias);
}

std::vector<float> scaled_integer_product(const QuantizedMatrix& a, std::span<const int32_t> integers,
                                          const QuantizedMatrix& w, const float* bias) {
  const auto value = [&](int64_t m, int64_t k) { return integers[static_cast<size_t>(m * a.columns + k)]; };
  return scaled_sums(a, w, centered_product(a, w, value), bias);
}

}  // namespace octoformer
