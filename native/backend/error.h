// Every failure that leaves native code is an Error: a code of the public union (ts/binding/error.ts) and a message
// that names the culprit and the remedy. The addon turns it into an OctoformerError.
#pragma once
#include <sstream>
#include <stdexcept>
#include <string>

namespace octoformer {

enum class ErrorCode {
  invalid_argument,
  unsupported_option,
  unsupported_architecture,
  invalid_checkpoint,
  missing_weight,
  shape_mismatch,
  not_found,
  device_unavailable,
  out_of_memory,
  context_overflow,
  aborted,
  disposed,
  internal,
};

/// The spelling that TypeScript sees, such as "INVALID_CHECKPOINT".
const char* error_code_name(ErrorCode code);

class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const { return code_; }

 private:
  ErrorCode code_;
};

/// Throws an Error whose message is the parts written one after another.
template <class... Parts>
[[noreturn]] void fail(ErrorCode code, const Parts&... parts) {
  std::ostringstream message;
  (message << ... << parts);
  throw Error(code, message.str());
}

}  // namespace octoformer
