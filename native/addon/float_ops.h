// The float32 ops by themselves, on typed arrays: the kernels that models run on, called synchronously.
#pragma once
#include <napi.h>

namespace octoformer {

/// floatProduct(a, b, m, n, k, transposeB) -> Float32Array [m, n]
Napi::Value multiply_float(const Napi::CallbackInfo& call);

/// floatAttention(q, k, v, { tokens, keys, heads, kvHeads, headDim, causal, window, scale, softcap, slopes | null })
/// -> Float32Array [tokens, heads * headDim]
Napi::Value attend_float(const Napi::CallbackInfo& call);

/// softmaxRows(x, rows, columns) -> Float32Array
Napi::Value softmax_rows(const Napi::CallbackInfo& call);

/// normRows(kind, x, rows, columns, weight | null, bias | null, weightOffset, epsilon) -> Float32Array
Napi::Value norm_rows(const Napi::CallbackInfo& call);

/// ropeRows(x, positions, invFreq, heads, headDim, pairing) -> Float32Array
Napi::Value rope_rows(const Napi::CallbackInfo& call);

}  // namespace octoformer
