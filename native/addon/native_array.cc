#include "addon/native_array.h"

#include <algorithm>
#include <memory>

namespace octoformer {

namespace {

/// Below this a copy (a few microseconds) is cheaper than an external buffer with its finalizer.
constexpr size_t kCopiedBytes = 65536;

template <class Array, class Number>
Napi::Value to_array(Napi::Env env, std::vector<Number> values) {
  const size_t length = values.size();
  if (length * sizeof(Number) > kCopiedBytes) {
    auto owner = std::make_unique<std::vector<Number>>(std::move(values));
    napi_value buffer = nullptr;
    const napi_status status = napi_create_external_arraybuffer(
        env, owner->data(), length * sizeof(Number),
        [](napi_env, void*, void* hint) { delete static_cast<std::vector<Number>*>(hint); }, owner.get(), &buffer);
    if (status == napi_ok) {
      static_cast<void>(owner.release());
      return Array::New(env, length, Napi::ArrayBuffer(env, buffer), 0);
    }
    values = std::move(*owner);  // hosts that forbid external memory (Electron) get a copy
  }
  auto array = Array::New(env, length);
  std::copy(values.begin(), values.end(), array.Data());
  return array;
}

}  // namespace

Napi::Value to_float32_array(Napi::Env env, std::vector<float> values) {
  return to_array<Napi::Float32Array>(env, std::move(values));
}

Napi::Value to_uint8_array(Napi::Env env, std::vector<uint8_t> values) {
  return to_array<Napi::Uint8Array>(env, std::move(values));
}

Napi::Value to_int32_array(Napi::Env env, std::vector<int32_t> values) {
  return to_array<Napi::Int32Array>(env, std::move(values));
}

Napi::Value to_uint32_array(Napi::Env env, std::vector<uint32_t> values) {
  return to_array<Napi::Uint32Array>(env, std::move(values));
}

}  // namespace octoformer
