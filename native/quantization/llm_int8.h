// LLM.int8(): vector-wise int8 with the outliers of the activations multiplied in float (Dettmers et al. 2022,
// section 3.2).
#pragma once
#include <cstdint>
#include <vector>

#include "quantization/quantized_matrix.h"

namespace octoformer {

struct LlmInt8Options {
  float threshold = 6.0f;  // 0: no outliers
  ThresholdUnit threshold_unit = ThresholdUnit::absolute;
  OutlierRule outliers = OutlierRule::column;
  Int8Mapping mapping = Int8Mapping::absmax;
  /// As outliers_are_integers() of settings says: a threshold in root mean squares, outliers by token.
  bool outliers_are_integers = false;
};

/// The int8 part: outliers (or whole outlier columns) are 0 in `a`, and a row's range leaves out outlier *values*; with
/// `whole_column` all that is 0 in `a` for it. Where outliers are integers, `a` has the last 8 bits of each
/// (range_beside_integers()).
struct LlmInt8Activations {
  QuantizedMatrix a;
  std::vector<int64_t> outlier_columns;  // increasing; the columns with at least one outlier
  std::vector<int32_t> integers;         // [rows, columns], where outliers are integers: `a`, but these whole
};

LlmInt8Activations quantize_llm_int8(ConstMatrixView a, const LlmInt8Options& options);

/// out [M, N] = int8 part + outliers in float32 + bias (may be null); where outliers are integers, the centered sums of
/// all integers, scaled, + bias. The outliers' weights are `outlier_weights` [N, K] where it is given (the paper keeps
/// 16-bit rows), else the dequantized int8 weights (bitsandbytes). NaN in a row makes the row NaN; an infinity is an
/// outlier and takes part as the float it is.
std::vector<float> llm_int8_product(ConstMatrixView a, const QuantizedMatrix& w, const float* outlier_weights,
                                    const float* bias, const LlmInt8Options& options);

}  // namespace octoformer
