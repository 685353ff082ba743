// Typed arrays as arguments of functions that are done when they return: views, not copies. Each reader throws naming
// the argument: INVALID_ARGUMENT for a wrong type, SHAPE_MISMATCH for a wrong length.
#pragma once
#include <napi.h>

#include <cstdint>
#include <string>
#include <vector>

#include "addon/arguments.h"
#include "backend/error.h"

namespace octoformer {

/// Rows and columns of a matrix in one typed array, whose length a double holds exactly.
inline constexpr int64_t kMaxLength = int64_t{1} << 32;

/// A view of a typed array: valid during the call only.
template <class Number>
struct Numbers {
  const Number* data = nullptr;
  int64_t length = 0;

  std::vector<Number> copy() const {
    return length == 0 ? std::vector<Number>() : std::vector<Number>(data, data + length);
  }
};

template <class Number, napi_typedarray_type kType>
Numbers<Number> as_numbers(Napi::Value value, const std::string& argument, const char* expected) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != kType) {
    fail(ErrorCode::invalid_argument, argument, " must be ", expected);
  }
  const auto array = value.As<Napi::TypedArrayOf<Number>>();
  return {array.Data(), static_cast<int64_t>(array.ElementLength())};
}

inline Numbers<float> as_floats(Napi::Value value, const std::string& argument) {
  return as_numbers<float, napi_float32_array>(value, argument, "a Float32Array");
}

inline void require_length(const std::string& argument, int64_t length, int64_t wanted) {
  if (length != wanted) {
    fail(ErrorCode::shape_mismatch, argument, " has ", length, " numbers, but its shape needs ", wanted);
  }
}

inline int64_t as_length(Napi::Value value, const std::string& argument) {
  return as_integer(value, argument, 0, kMaxLength);
}

/// A whole number of rows of `columns` columns; the product stays within 64 bits, since both are at most kMaxLength
/// and the array bounds it.
inline void require_shape(const std::string& argument, int64_t length, int64_t rows, int64_t columns) {
  if (rows != 0 && columns > kMaxLength / rows) {
    fail(ErrorCode::shape_mismatch, argument, ": ", rows, " x ", columns, " is more than an array can hold");
  }
  require_length(argument, length, rows * columns);
}

}  // namespace octoformer
