// Reads JavaScript arguments, copying arrays into native memory. Each throws INVALID_ARGUMENT naming the argument.
#pragma once
#include <napi.h>

#include <cstdint>
#include <string>
#include <vector>

namespace octoformer {

bool is_absent(Napi::Value value);  // undefined or null
Napi::Object as_object(Napi::Value value, const std::string& argument);
Napi::Array as_array(Napi::Value value, const std::string& argument);
std::string as_string(Napi::Value value, const std::string& argument);
bool as_boolean(Napi::Value value, const std::string& argument);
double as_number(Napi::Value value, const std::string& argument);
/// A whole number in [minimum, maximum].
int64_t as_integer(Napi::Value value, const std::string& argument, int64_t minimum, int64_t maximum);
/// A bigint in [0, 2^64).
uint64_t as_uint64(Napi::Value value, const std::string& argument);
std::vector<int32_t> as_int32s(Napi::Value value, const std::string& argument);
std::vector<std::string> as_strings(Napi::Value value, const std::string& argument);

}  // namespace octoformer
