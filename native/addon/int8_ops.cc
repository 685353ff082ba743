#include "addon/int8_ops.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "addon/arguments.h"
#include "addon/js_error.h"
#include "addon/native_array.h"
#include "addon/typed_arrays.h"
#include "backend/error.h"
#include "quantization/llm_int8.h"
#include "quantization/row_range.h"

namespace octoformer {

namespace {

Int8Mapping as_mapping(Napi::Value value) {
  const std::string name = as_string(value, "mapping");
  if (name == "absmax") return Int8Mapping::absmax;
  if (name == "zeropoint") return Int8Mapping::zeropoint;
  fail(ErrorCode::invalid_argument, "mapping must be absmax or zeropoint, found ", name);
}

Int8Granularity as_granularity(Napi::Value value) {
  const std::string name = as_string(value, "granularity");
  if (name == "row") return Int8Granularity::row;
  if (name == "tensor") return Int8Granularity::tensor;
  fail(ErrorCode::invalid_argument, "granularity must be row or tensor, found ", name);
}

QuantizedMatrix as_matrix(Napi::Value value, const std::string& argument) {
  const Napi::Object object = as_object(value, argument);
  QuantizedMatrix matrix;
  matrix.rows = as_length(object.Get("rows"), argument + ".rows");
  matrix.columns = as_length(object.Get("cols"), argument + ".cols");
  const auto data = as_numbers<int8_t, napi_int8_array>(object.Get("data"), argument + ".data", "an Int8Array");
  require_shape(argument + ".data", data.length, matrix.rows, matrix.columns);
  matrix.data = data.copy();
  const auto scale = as_floats(object.Get("scale"), argument + ".scale");
  matrix.granularity = scale.length == 1 && matrix.rows != 1 ? Int8Granularity::tensor : Int8Granularity::row;
  const int64_t ranges = matrix.granularity == Int8Granularity::row ? matrix.rows : 1;
  require_length(argument + ".scale", scale.length, ranges);
  matrix.scale = scale.copy();
  const Napi::Value zero_point = object.Get("zeroPoint");
  if (!is_absent(zero_point)) {
    matrix.mapping = Int8Mapping::zeropoint;
    matrix.zero_point = as_int32s(zero_point, argument + ".zeroPoint");
    require_length(argument + ".zeroPoint", static_cast<int64_t>(matrix.zero_point.size()), ranges);
    for (const int32_t zero : matrix.zero_point) {
      if (zero < -128 || zero > 127) {
        fail(ErrorCode::invalid_argument, argument, ".zeroPoint must lie in [-128, 127], found ", zero);
      }
    }
  }
  return matrix;
}

void require_depths(int64_t a, int64_t w, bool affine) {
  if (a != w) fail(ErrorCode::shape_mismatch, "rows of a have ", a, " numbers, but those of the weight ", w);
  const int64_t largest = affine ? kLargestAffineInt8Depth : kLargestInt8Depth;
  if (a > largest) {
    fail(ErrorCode::invalid_argument, "rows have ", a, " numbers; beyond ", largest, " int32 sums could overflow");
  }
}

template <class Array, class Number>
Array to_array(Napi::Env env, const std::vector<Number>& values) {
  Array array = Array::New(env, values.size());
  std::copy(values.begin(), values.end(), array.Data());
  return array;
}

}  // namespace

Napi::Value quantize_int8(const Napi::CallbackInfo& call) {
  const Napi::Env env = call.Env();
  return guarded(env, [&]() -> Napi::Value {
    const auto x = as_floats(call[0], "x");
    const int64_t rows = as_length(call[1], "rows");
    const int64_t columns = as_length(call[2], "cols");
    require_shape("x", x.length, rows, columns);
    const QuantizedMatrix quantized =
        quantize({x.data, rows, columns, columns}, as_mapping(call[3]), as_granularity(call[4]));
    Napi::Object object = Napi::Object::New(env);
    object.Set("data", to_array<Napi::Int8Array>(env, quantized.data));
    object.Set("scale", to_float32_array(env, quantized.scale));
    if (!quantized.zero_point.empty()) object.Set("zeroPoint", to_array<Napi::Int32Array>(env, quantized.zero_point));
    return object;
  });
}

Napi::Value dequantize_int8(const Napi::CallbackInfo& call) {
  return guarded(call.Env(), [&] { return to_float32_array(call.Env(), dequantize(as_matrix(call[0], "matrix"))); });
}

Napi::Value multiply_int8(const Napi::CallbackInfo& call) {
  const Napi::Env env = call.Env();
  return guarded(env, [&]() -> Napi::Value {
    const QuantizedMatrix a = as_matrix(call[0], "a");
    const QuantizedMatrix w = as_matrix(call[1], "weight");
    require_depths(a.columns, w.columns, !a.zero_point.empty() && !w.zero_point.empty());
    Napi::Object object = Napi::Object::New(env);
    object.Set("data", to_array<Napi::Int32Array>(env, int8_product(a, w)));
    object.Set("centered", to_array<Napi::Int32Array>(env, centered_int8_product(a, w)));
    object.Set("scaled", to_float32_array(env, scaled_int8_product(a, w, nullptr)));
    return object;
  });
}

Napi::Value multiply_llm_int8(const Napi::CallbackInfo& call) {
  const Napi::Env env = call.Env();
  return guarded(env, [&]() -> Napi::Value {
    const auto a = as_floats(call[0], "a");
    const int64_t rows = as_length(call[1], "m");
    const QuantizedMatrix w = as_matrix(call[2], "weight");
    require_shape("a", a.length, rows, w.columns);
    require_depths(w.columns, w.columns, !w.zero_point.empty());
    const float* outlier_weights = nullptr;
    if (!is_absent(call[3])) {
      const auto given = as_floats(call[3], "outlierWeights");
      require_shape("outlierWeights", given.length, w.rows, w.columns);
      outlier_weights = given.data;
    }
    LlmInt8Options options;
    options.threshold = static_cast<float>(as_number(call[4], "threshold"));
    options.threshold_unit =
        as_string(call[5], "thresholdUnit") == "row-rms" ? ThresholdUnit::row_rms : ThresholdUnit::absolute;
    const std::string outliers = as_string(call[6], "outliers");
    options.outliers = outliers == "token"    ? OutlierRule::token
                       : outliers == "column" ? OutlierRule::column
                                              : OutlierRule::whole_column;
    options.mapping = w.mapping;
    options.outliers_are_integers =
        outliers_are_integers(options.threshold_unit, options.outliers, outlier_weights != nullptr);
    const ConstMatrixView view{a.data, rows, w.columns, w.columns};
    const std::vector<int64_t> columns = quantize_llm_int8(view, options).outlier_columns;
    Napi::Object object = Napi::Object::New(env);
    object.Set("data", to_float32_array(env, llm_int8_product(view, w, outlier_weights, nullptr, options)));
    object.Set("outlierColumns", to_array<Napi::Int32Array>(env, std::vector<int32_t>(columns.begin(), columns.end())));
    return object;
  });
}

}  // namespace octoformer
