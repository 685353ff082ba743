#include "addon/arguments.h"

#include <cmath>

#include "backend/error.h"

namespace octoformer {

namespace {
void require(bool holds, const std::string& argument, const char* expected) {
  if (!holds) fail(ErrorCode::invalid_argument, argument, " must be ", expected);
}
}  // namespace

bool is_absent(Napi::Value value) { return value.IsUndefined() || value.IsNull(); }

Napi::Object as_object(Napi::Value value, const std::string& argument) {
  require(value.IsObject(), argument, "an object");
  return value.As<Napi::Object>();
}

Napi::Array as_array(Napi::Value value, const std::string& argument) {
  require(value.IsArray(), argument, "an array");
  return value.As<Napi::Array>();
}

std::string as_string(Napi::Value value, const std::string& argument) {
  require(value.IsString(), argument, "a string");
  return value.As<Napi::String>().Utf8Value();
}

bool as_boolean(Napi::Value value, const std::string& argument) {
  require(value.IsBoolean(), argument, "a boolean");
  return value.As<Napi::Boolean>().Value();
}

double as_number(Napi::Value value, const std::string& argument) {
  require(value.IsNumber(), argument, "a number");
  return value.As<Napi::Number>().DoubleValue();
}

int64_t as_integer(Napi::Value value, const std::string& argument, int64_t minimum, int64_t maximum) {
  const double number = as_number(value, argument);
  require(std::trunc(number) == number, argument, "a whole number");
  if (!(number >= static_cast<double>(minimum) && number <= static_cast<double>(maximum))) {
    fail(ErrorCode::invalid_argument, argument, " must be in [", minimum, ", ", maximum, "], found ", number);
  }
  return static_cast<int64_t>(number);
}

uint64_t as_uint64(Napi::Value value, const std::string& argument) {
  require(value.IsBigInt(), argument, "a bigint");
  bool lossless = false;
  const uint64_t number = value.As<Napi::BigInt>().Uint64Value(&lossless);
  require(lossless, argument, "a bigint of 64 bits without sign (BigInt.asUintN(64, value) makes one)");
  return number;
}

std::vector<int32_t> as_int32s(Napi::Value value, const std::string& argument) {
  require(value.IsTypedArray() && value.As<Napi::TypedArray>().TypedArrayType() == napi_int32_array, argument,
          "an Int32Array");
  const auto array = value.As<Napi::Int32Array>();
  if (array.ElementLength() == 0) return {};
  return {array.Data(), array.Data() + array.ElementLength()};
}

std::vector<std::string> as_strings(Napi::Value value, const std::string& argument) {
  const Napi::Array array = as_array(value, argument);
  std::vector<std::string> strings;
  for (uint32_t i = 0; i < array.Length(); ++i) {
    const Napi::HandleScope scope(value.Env());
    strings.push_back(as_string(array.Get(i), argument + "[" + std::to_string(i) + "]"));
  }
  return strings;
}

}  // namespace octoformer
