// The int8 schemes by themselves, on typed arrays: native/quantization's scalar reference, called synchronously.
#pragma once
#include <napi.h>

namespace octoformer {

/// quantizeInt8(x, rows, columns, mapping, granularity) -> { data, scale, zeroPoint }
Napi::Value quantize_int8(const Napi::CallbackInfo& call);

/// dequantizeInt8(matrix) -> Float32Array
Napi::Value dequantize_int8(const Napi::CallbackInfo& call);

/// int8Product(a, w) -> { data, centered, scaled }
Napi::Value multiply_int8(const Napi::CallbackInfo& call);

/// llmInt8Product(a, rows, w, outlierWeights | null, threshold, thresholdUnit, outliers) -> { data, outlierColumns }
Napi::Value multiply_llm_int8(const Napi::CallbackInfo& call);

}  // namespace octoformer
