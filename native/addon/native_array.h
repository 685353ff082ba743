// Native results as typed arrays.
#pragma once
#include <napi.h>

#include <cstdint>
#include <vector>

namespace octoformer {

// Large ones are handed over without a copy, which would hold up the event loop.
Napi::Value to_float32_array(Napi::Env env, std::vector<float> values);
Napi::Value to_uint8_array(Napi::Env env, std::vector<uint8_t> values);
Napi::Value to_int32_array(Napi::Env env, std::vector<int32_t> values);
Napi::Value to_uint32_array(Napi::Env env, std::vector<uint32_t> values);

}  // namespace octoformer
