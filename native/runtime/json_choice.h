// Reads values that come up all over the JSON of a Program: one of several names, and numbers of float32.
#pragma once
#include <array>
#include <cmath>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "formats/json.h"

namespace octoformer {

template <class T, size_t N>
using JsonChoices = std::array<std::pair<std::string_view, T>, N>;

/// Throws INVALID_ARGUMENT with all the names when the text is none of them.
template <class T, size_t N>
T as_choice(const Json& json, const JsonChoices<T, N>& choices) {
  const std::string_view text = json.as_string();
  for (const auto& [name, choice] : choices) {
    if (name == text) return choice;
  }
  std::string names;
  for (const auto& [name, choice] : choices) {
    if (!names.empty()) names += ", ";
    names += name;
  }
  json.fail("'", text, "' is not one of: ", names);
}

inline float as_float(const Json& json) {
  const float value = static_cast<float>(json.as_double());
  if (!std::isfinite(value)) json.fail("the number must be finite in float32");
  return value;
}

inline float as_positive_float(const Json& json) {
  const float value = as_float(json);
  if (!(value > 0)) json.fail("the number must be above 0, found ", value);
  return value;
}

inline std::vector<float> as_floats(const Json& json) {
  std::vector<float> values;
  for (const Json& element : json.as_array()) values.push_back(as_float(element));
  return values;
}

}  // namespace octoformer
