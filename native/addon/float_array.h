// Native results as Float32Arrays.
#pragma once
#include <napi.h>

#include <vector>

namespace octoformer {

/// Large ones are handed over without a copy, which would hold up the event loop.
Napi::Value to_float32_array(Napi::Env env, std::vector<float> values);

}  // namespace octoformer
