// Loops over the columns of a row: whole vectors, then what remains. A column's value does not depend on where it lies.
#pragma once
#include <stdint.h>

namespace octoformer {
namespace {

template <class Function>
inline void map_row(const float* input, float* out, int64_t columns, const Function& function) {
  int64_t i = 0;
  for (; i + Vec::lanes <= columns; i += Vec::lanes) Vec::store(out + i, function(Vec::load(input + i)));
  if (i < columns) Vec::store_n(out + i, function(Vec::load_n(input + i, columns - i)), columns - i);
}

template <class Function>
inline void map_rows(const float* left, const float* right, float* out, int64_t columns, const Function& function) {
  int64_t i = 0;
  for (; i + Vec::lanes <= columns; i += Vec::lanes) {
    Vec::store(out + i, function(Vec::load(left + i), Vec::load(right + i)));
  }
  if (i < columns) {
    const int64_t rest = columns - i;
    Vec::store_n(out + i, function(Vec::load_n(left + i, rest), Vec::load_n(right + i, rest)), rest);
  }
}

}  // namespace
}  // namespace octoformer
