#include "quantization/llm_int8.h"

#include <algorithm>
#include <cmath>

#include "backend/error.h"
#include "quantization/row_range.h"

namespace octoformer {
namespace {

/// A limit of 0 turns the decomposition off, as in bitsandbytes.
bool is_outlier(float value, float limit) { return limit > 0.0f && std::fabs(value) >= limit; }

/// From which magnitude on an entry is an outlier, row by row.
std::vector<float> outlier_limits(ConstMatrixView a, const LlmInt8Options& options) {
  std::vector<float> limits;
  for (int64_t m = 0; m < a.rows; ++m)
    limits.push_back(options.threshold_unit == ThresholdUnit::absolute
                         ? options.threshold
                         : row_rms_limit(options.threshold, sum_of_squares(a.row(m), a.columns), a.columns));
  return limits;
}

void check_options(const LlmInt8Options& options) {
  if (!(options.threshold >= 0.0f))
    fail(ErrorCode::invalid_argument, "LLM.int8(): the threshold is ", options.threshold, "; it must be 0 or more");
}

/// Per entry of `a`: is it multiplied in float?
std::vector<uint8_t> float_entries(ConstMatrixView a, const LlmInt8Options& options,
                                   const std::vector<int64_t>& outlier_columns) {
  const std::vector<float> limits = outlier_limits(a, options);
  std::vector<uint8_t> out(static_cast<size_t>(a.rows * a.columns));
  for (int64_t m = 0; m < a.rows; ++m)
    for (int64_t k : outlier_columns)
      out[m * a.columns + k] = options.outliers != OutlierRule::token || is_outlier(a.row(m)[k], limits[m]);
  return out;
}

}  // namespace

LlmInt8Activations quantize_llm_int8(ConstMatrixView a, const LlmInt8Options& options) {
  check_options(options);
  const std::vector<float> limits = outlier_limits(a, options);
  LlmInt8Activations out;
  for (int64_t k = 0; k < a.columns; ++k) {
    bool any = false;
    for (int64_t m = 0; m < a.rows; ++m) any = any || is_outlier(a.row(m)[k], limits[m]);
    if (any) out.outlier_columns.push_back(k);
  }
  const std::vector<uint8_t> in_float = float_entries(a, options, out.outlier_columns);
  out.a = QuantizedMatrix{a.rows, a.columns, options.mapping, Int8Granularity::row, {}, {}, {}};
  out.a.data.resize(in_float.size());
  for (int64_t m = 0; m < a.rows; ++m) {
    ValueRange range;
    for (int64_t k = 0; k < a.columns; ++k) {
      const bool left_out = options.outliers == OutlierRule::whole_column ? in_float[m * a.columns + k] != 0
                                                                          : is_outlier(a.row(m)[k], limits[m]);
      if (!left_out) range.include(a.row(m)[k]);
    }
    const bool any = std::any_of(in_float.begin() + m * a.columns, in_float.begin() + (m + 1) * a.columns,
                                 [](uint8_t entry) { return entry != 0; });
    if (options.outliers_are_integers && any)
      range = range_beside_integers(range, sum_of_squares(a.row(m), a.columns), a.columns);
    const Int8Grid grid = int8_grid(range, options.mapping, absmax_factor(options.outliers, options.threshold));
    out.a.scale.push_back(grid.scale);
    if (options.mapping == Int8Mapping::zeropoint) out.a.zero_point.push_back(grid.zero_point);
    if (options.outliers_are_integers) {
      for (int64_t k = 0; k < a.columns; ++k) {
        const int32_t integer =
            in_float[m * a.columns + k] ? grid.integer(a.row(m)[k]) : int32_t{grid.quantize(a.row(m)[k])};
        out.integers.push_back(integer);
        out.a.data[m * a.columns + k] = static_cast<int8_t>(integer & 255);
      }
      continue;
    }
    // What goes to the float product stands for 0 here: the zero point itself, so that centered sums leave it out.
    for (int64_t k = 0; k < a.columns; ++k)
      out.a.data[m * a.columns + k] =
          in_float[m * a.columns + k] ? static_cast<int8_t>(grid.zero_point) : grid.quantize(a.row(m)[k]);
  }
  return out;
}

std::vector<float> llm_int8_product(ConstMatrixView a, const QuantizedMatrix& w, const float* outlier_weights,
                                    const float* bias, const LlmInt8Options& options) {
  const LlmInt8Activations activations = quantize_llm_int8(a, options);
  if (options.outliers_are_integers) return scaled_integer_product(activations.a, activations.integers, w, bias);
  const std::vector<uint8_t> in_float = float_entries(a, options, activations.outlier_columns);
  std::vector<float> out = scaled_int8_product(activations.a, w, nullptr);
  for (int64_t m = 0; m < a.rows; ++m)
    for (int64_t n = 0; n < w.rows; ++n) {
      float sum = 0.0f;
      for (int64_t k : activations.outlier_columns) {
        if (!in_float[m * a.columns + k]) continue;
        const float weight = outlier_weights ? outlier_weights[n * w.columns + k]
                                             : static_cast<float>(w.row(n)[k] - w.row_zero_point(n)) * w.row_scale(n);
        sum = std::fma(a.row(m)[k], weight, sum);
      }
      out[m * w.rows + n] += sum;
      if (bias) out[m * w.rows + n] += bias[n];
    }
  return out;
}

}  // namespace octoformer
