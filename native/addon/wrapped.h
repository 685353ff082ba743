// What all classes of the addon share: objects are tagged, so that a foreign object is refused instead of misread, and
// those that JavaScript can't construct are made from a native value.
#pragma once
#include <napi.h>

#include <memory>
#include <string>
#include <utility>

#include "backend/error.h"

namespace octoformer {

/// Marks the external that carries a native value to a constructor.
inline constexpr napi_type_tag kConstructionTag = {0x5d0c2f8f3c1b4e76, 0x9a5e4a0d7cb1e833};

/// The native object behind `value`. Throws INVALID_ARGUMENT naming `argument` when it is no `T`.
template <class T>
T& unwrap(Napi::Value value, const std::string& argument) {
  if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&T::kTag)) {
    fail(ErrorCode::invalid_argument, argument, " must be an object of class ", T::kClassName);
  }
  return *T::Unwrap(value.As<Napi::Object>());
}

/// The same for an element of an array, whose name is made where it is needed only.
template <class T>
T& unwrap_element(Napi::Value value, const char* array, uint32_t index) {
  if (value.IsObject() && value.As<Napi::Object>().CheckTypeTag(&T::kTag)) {
    return *T::Unwrap(value.As<Napi::Object>());
  }
  return unwrap<T>(value, std::string(array) + "[" + std::to_string(index) + "]");
}

/// Constructs a JavaScript object of a class around `native`, whose type its constructor takes with `take_native`.
template <class Native>
Napi::Object construct(Napi::Env env, const Napi::FunctionReference& constructor, Native native) {
  Napi::EscapableHandleScope scope(env);
  auto external = Napi::External<Native>::New(env, &native);
  external.TypeTag(&kConstructionTag);
  return scope.Escape(constructor.New({external})).template As<Napi::Object>();
}

template <class Native>
Native take_native(const Napi::CallbackInfo& info, const char* class_name) {
  if (info.Length() != 1 || !info[0].IsExternal() ||
      !info[0].As<Napi::External<Native>>().CheckTypeTag(&kConstructionTag)) {
    fail(ErrorCode::invalid_argument, "objects of class ", class_name, " can't be constructed directly");
  }
  return std::move(*info[0].As<Napi::External<Native>>().Data());
}

}  // namespace octoformer
