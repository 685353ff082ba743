#include "backend/error.h"

namespace octoformer {

const char* error_code_name(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument:
      return "INVALID_ARGUMENT";
    case ErrorCode::unsupported_option:
      return "UNSUPPORTED_OPTION";
    case ErrorCode::unsupported_architecture:
      return "UNSUPPORTED_ARCHITECTURE";
    case ErrorCode::invalid_checkpoint:
      return "INVALID_CHECKPOINT";
    case ErrorCode::missing_weight:
      return "MISSING_WEIGHT";
    case ErrorCode::shape_mismatch:
      return "SHAPE_MISMATCH";
    case ErrorCode::not_found:
      return "NOT_FOUND";
    case ErrorCode::device_unavailable:
      return "DEVICE_UNAVAILABLE";
    case ErrorCode::out_of_memory:
      return "OUT_OF_MEMORY";
    case ErrorCode::context_overflow:
      return "CONTEXT_OVERFLOW";
    case ErrorCode::aborted:
      return "ABORTED";
    case ErrorCode::disposed:
      return "DISPOSED";
    case ErrorCode::internal:
      return "INTERNAL";
  }
  return "INTERNAL";
}

}  // namespace octoformer
