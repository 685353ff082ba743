// Native failures as JavaScript errors: an Error whose `code` is one of OctoformerErrorCode (ts/binding/error.ts).
#pragma once
#include <napi.h>

#include <exception>
#include <utility>

namespace octoformer {

/// Any exception: memory that ran out is OUT_OF_MEMORY, what nobody foresaw is INTERNAL, a JavaScript error stays
/// itself.
Napi::Error to_js_error(Napi::Env env, std::exception_ptr exception);

/// Runs `call` and throws what it throws as a JavaScript error.
template <class Call>
auto guarded(Napi::Env env, Call&& call) -> decltype(call()) {
  try {
    return call();
  } catch (const Napi::Error&) {
    throw;
  } catch (...) {
    throw to_js_error(env, std::current_exception());
  }
}

/// Runs `call`, which returns a promise; what it throws becomes the rejection of one.
template <class Call>
Napi::Value promised(Napi::Env env, Call&& call) {
  try {
    return call();
  } catch (...) {
    const auto deferred = Napi::Promise::Deferred::New(env);
    deferred.Reject(to_js_error(env, std::current_exception()).Value());
    return deferred.Promise();
  }
}

}  // namespace octoformer
