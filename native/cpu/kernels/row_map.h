// Loops over the columns of a row: whole vectors, then what remains. A column's value does not depend on where it lies.
#pragma once
#include <stdint.h>

namespace octoformer {
namespace {

/// out[i] = function(i, load), where load(p) reads the vector at p, or as many lanes of it as columns remain.
template <class Function>
inline void map_columns(float* out, int64_t columns, const Function& function) {
  int64_t i = 0;
  for (; i + Vec::lanes <= columns; i += Vec::lanes) {
    Vec::store(out + i, function(i, [](const float* p) { return Vec::load(p); }));
  }
  if (const int64_t rest = columns - i; rest > 0) {
    Vec::store_n(out + i, function(i, [rest](const float* p) { return Vec::load_n(p, rest); }), rest);
  }
}

template <class Function>
inline void map_row(const float* input, float* out, int64_t columns, const Function& function) {
  map_columns(out, columns, [&](int64_t i, const auto& load) { return function(load(input + i)); });
}

template <class Function>
inline void map_rows(const float* left, const float* right, float* out, int64_t columns, const Function& function) {
  map_columns(out, columns, [&](int64_t i, const auto& load) { return function(load(left + i), load(right + i)); });
}

}  // namespace
}  // namespace octoformer
