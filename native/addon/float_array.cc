#include "addon/float_array.h"

#include <algorithm>
#include <memory>

namespace octoformer {

namespace {

/// Below this a copy (a few microseconds) is cheaper than an external buffer with its finalizer.
constexpr size_t kCopiedFloats = 16384;

}  // namespace

Napi::Value to_float32_array(Napi::Env env, std::vector<float> values) {
  const size_t length = values.size();
  if (length > kCopiedFloats) {
    auto owner = std::make_unique<std::vector<float>>(std::move(values));
    napi_value buffer = nullptr;
    const napi_status status = napi_create_external_arraybuffer(
        env, owner->data(), length * sizeof(float),
        [](napi_env, void*, void* hint) { delete static_cast<std::vector<float>*>(hint); }, owner.get(), &buffer);
    if (status == napi_ok) {
      static_cast<void>(owner.release());
      return Napi::Float32Array::New(env, length, Napi::ArrayBuffer(env, buffer), 0);
    }
    values = std::move(*owner);  // hosts that forbid external memory (Electron) get a copy
  }
  auto array = Napi::Float32Array::New(env, length);
  std::copy(values.begin(), values.end(), array.Data());
  return array;
}

}  // namespace octoformer
