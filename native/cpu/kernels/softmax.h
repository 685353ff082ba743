// Softmax of a row. An entry more than 87 below the largest gets exactly 0, and so does -inf; a NaN, +inf or nothing
// but -inf makes the row NaN, as in PyTorch.
#pragma once
#include <stdint.h>

#include "cpu/kernels/math.h"
#include "cpu/kernels/row_map.h"

namespace octoformer {
namespace {

/// Where maxima start: the lowest finite number, so that -inf minus a maximum is -inf and never NaN.
constexpr float kLowestMaximum = -3.40282347e+38f;

void softmax_row(const float* input, float* out, int64_t columns) {
  Vec::F maximum = Vec::set1(kLowestMaximum);
  int64_t i = 0;
  for (; i + Vec::lanes <= columns; i += Vec::lanes) maximum = Vec::max(Vec::load(input + i), maximum);
  float largest = Vec::reduce_max(maximum);
  for (; i < columns; ++i) largest = input[i] > largest ? input[i] : largest;

  const Vec::F shift = Vec::set1(largest);
  map_row(input, out, columns, [=](Vec::F x) { return softmax_exponential(Vec::sub(x, shift)); });

  Vec::F sums = Vec::zero();
  for (i = 0; i + Vec::lanes <= columns; i += Vec::lanes) sums = Vec::add(sums, Vec::load(out + i));
  sums = Vec::add(sums, Vec::load_n(out + i, columns - i));
  const Vec::F total = Vec::set1(Vec::reduce_add(sums));
  map_row(out, out, columns, [=](Vec::F x) { return Vec::div(x, total); });
}

}  // namespace
}  // namespace octoformer
