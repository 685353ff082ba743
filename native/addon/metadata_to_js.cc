#include "addon/metadata_to_js.h"

#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "addon/js_error.h"
#include "backend/error.h"

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

/// A separator that none of the strings has.
std::optional<char> separator_of(const StringList& list) {
  for (const char candidate : {'\n', '\0', '\t', ' '}) {
    bool free = true;
    for (size_t i = 0; free && i < list.size(); ++i) free = list[i].find(candidate) == std::string_view::npos;
    if (free) return candidate;
  }
  return std::nullopt;
}

/// A call into the engine for each of 100,000 strings takes ten times as long as one for all, which are cut there.
Napi::Value list_to_js(Napi::Env env, const StringList& list) {
  const std::optional<char> separator = separator_of(list);
  if (list.size() < 2 || !separator) return list_to_js<StringList>(env, list);
  std::string joined;
  for (size_t i = 0; i < list.size(); ++i) {
    if (i > 0) joined += *separator;
    joined += list[i];
  }
  const Napi::Value text = to_js(env, std::string_view(joined));
  const Napi::Value cut = to_js(env, std::string_view(&*separator, 1));
  const Napi::Function split = text.As<Napi::String>().ToObject().Get("split").As<Napi::Function>();
  return split.Call(text, {cut});
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

bool is_list(const MetadataValue& value) {
  return std::visit(
      [](const auto& alternative) {
        using Alternative = std::decay_t<decltype(alternative)>;
        return !std::is_arithmetic_v<Alternative> && !std::is_same_v<Alternative, std::string>;
      },
      value.value);
}

}  // namespace

Napi::Object metadata_to_js(Napi::Env env, const std::shared_ptr<const Checkpoint>& checkpoint) {
  Napi::Object object = Napi::Object::New(env);
  constexpr auto kAttributes = static_cast<napi_property_attributes>(napi_enumerable | napi_configurable);
  const Metadata& metadata = checkpoint->metadata();
  for (size_t i = 0; i < metadata.size(); ++i) {
    const Napi::HandleScope scope(env);
    // Defined, not set: a key such as "__proto__" is data like any other.
    const Napi::Name key = to_js(env, std::string_view(metadata[i].key)).As<Napi::Name>();
    if (!is_list(metadata[i].value)) {
      object.DefineProperty(Napi::PropertyDescriptor::Value(key, to_js(env, metadata[i].value), kAttributes));
      continue;
    }
    // The list takes the getter's place when it is first asked for.
    const auto get = [held = std::weak_ptr(checkpoint), i](const Napi::CallbackInfo& call) -> Napi::Value {
      return guarded(call.Env(), [&] {
        const std::shared_ptr<const Checkpoint> open = held.lock();
        if (!open) fail(ErrorCode::disposed, "the checkpoint was disposed; open it again");
        const MetadataEntry& entry = open->metadata()[i];
        const Napi::Value list = to_js(call.Env(), entry.value);
        const Napi::Name name = to_js(call.Env(), std::string_view(entry.key)).As<Napi::Name>();
        call.This().As<Napi::Object>().DefineProperty(Napi::PropertyDescriptor::Value(name, list, kAttributes));
        return list;
      });
    };
    object.DefineProperty(Napi::PropertyDescriptor::Accessor(env, object, key, get, kAttributes));
  }
  return object;
}

}  // namespace octoformer
