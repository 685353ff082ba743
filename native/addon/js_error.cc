#include "addon/js_error.h"

#include <new>
#include <stdexcept>
#include <string>

#include "backend/error.h"

namespace octoformer {

namespace {
Napi::Error with_code(Napi::Env env, ErrorCode code, const std::string& message) {
  Napi::Error error = Napi::Error::New(env, message);
  error.Set("code", Napi::String::New(env, error_code_name(code)));
  return error;
}
}  // namespace

Napi::Error to_js_error(Napi::Env env, std::exception_ptr exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const Napi::Error& error) {
    return error;
  } catch (const Error& error) {
    return with_code(env, error.code(), error.what());
  } catch (const std::bad_alloc&) {
    return with_code(env, ErrorCode::out_of_memory, "memory ran out; use a smaller model, batch or context");
  } catch (const std::length_error&) {
    return with_code(env, ErrorCode::out_of_memory,
                     "a result would not fit into memory; use a smaller batch or context");
  } catch (const std::exception& error) {
    return with_code(env, ErrorCode::internal, error.what());
  } catch (...) {
    return with_code(env, ErrorCode::internal, "an unknown exception in native code");
  }
}

}  // namespace octoformer
