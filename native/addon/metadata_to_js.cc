#include "addon/metadata_to_js.h"

#include <string_view>
#include <type_traits>

namespace octoformer {

namespace {

/// Up to here every integer is a double.
constexpr int64_t kMaxSafeInteger = (int64_t{1} << 53) - 1;

Napi::Value to_js(Napi::Env env, const MetadataValue& value);

Napi::Value to_js(Napi::Env env, bool value) { return Napi::Boolean::New(env, value); }
Napi::Value to_js(Napi::Env env, double value) { return Napi::Number::New(env, value); }
Napi::Value to_js(Napi::Env env, std::string_view value) { return Napi::String::New(env, value.data(), value.size()); }

Napi::Value to_js(Napi::Env env, int64_t value) {
  if (value >= -kMaxSafeInteger && value <= kMaxSafeInteger) return to_js(env, static_cast<double>(value));
  return Napi::BigInt::New(env, value);
}

Napi::Value to_js(Napi::Env env, uint64_t value) {
  if (value <= static_cast<uint64_t>(kMaxSafeInteger)) return to_js(env, static_cast<double>(value));
  return Napi::BigInt::New(env, value);
}

template <class List>
Napi::Value list_to_js(Napi::Env env, const List& list) {
  Napi::Array array = Napi::Array::New(env, list.size());
  for (size_t i = 0; i < list.size(); ++i) {
    const Napi::HandleScope scope(env);
    array.Set(static_cast<uint32_t>(i), to_js(env, list[i]));
  }
  return array;
}

Napi::Value to_js(Napi::Env env, const MetadataValue& value) {
  return std::visit(
      [env](const auto& alternative) -> Napi::Value {
        using Alternative = std::decay_t<decltype(alternative)>;
        if constexpr (std::is_same_v<Alternative, std::string>) {
          return to_js(env, std::string_view(alternative));
        } else if constexpr (std::is_arithmetic_v<Alternative>) {
          return to_js(env, alternative);
        } else {
          return list_to_js(env, alternative);
        }
      },
      value.value);
}

}  // namespace

Napi::Object metadata_to_js(Napi::Env env, const Metadata& metadata) {
  Napi::Object object = Napi::Object::New(env);
  for (const MetadataEntry& entry : metadata) {
    const Napi::HandleScope scope(env);
    // Defined, not set: a key such as "__proto__" is data like any other.
    const Napi::Value key = to_js(env, std::string_view(entry.key));
    object.DefineProperty(
        Napi::PropertyDescriptor::Value(key.As<Napi::Name>(), to_js(env, entry.value),
                                        static_cast<napi_property_attributes>(napi_enumerable | napi_configurable)));
  }
  return object;
}

}  // namespace octoformer
