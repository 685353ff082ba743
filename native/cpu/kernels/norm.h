// RMS and layer normalization. Sums run in four vectors of lanes that are added pairwise: with thousands of columns
// each lane sums few numbers, so float32 loses next to nothing.
#pragma once
#include <stdint.h>

#include "cpu/kernels/row_map.h"
#include "cpu/row_kernels.h"

namespace octoformer {
namespace {

/// The sum of function(x) over x[0, count), in an order that depends on count alone.
template <class Function>
inline float sum_row(const float* x, int64_t count, const Function& function) {
  Vec::F sum[4] = {Vec::zero(), Vec::zero(), Vec::zero(), Vec::zero()};
  int64_t i = 0;
  for (; i + 4 * Vec::lanes <= count; i += 4 * Vec::lanes) {
#pragma GCC unroll 4
    for (int part = 0; part < 4; ++part) {
      sum[part] = Vec::add(sum[part], function(Vec::load(x + i + part * Vec::lanes)));
    }
  }
  for (; i + Vec::lanes <= count; i += Vec::lanes) sum[0] = Vec::add(sum[0], function(Vec::load(x + i)));
  if (i < count) {  // lanes past the end count as 0, whatever function makes of them
    float rest[Vec::lanes] = {};
    Vec::store_n(rest, function(Vec::load_n(x + i, count - i)), count - i);
    sum[1] = Vec::add(sum[1], Vec::load(rest));
  }
  return Vec::reduce_add(Vec::add(Vec::add(sum[0], sum[1]), Vec::add(sum[2], sum[3])));
}

/// out = (x - shift) * factor * (weight + weight_offset) + bias over one group
template <bool Weight, bool Bias>
inline void scale_and_shift_by(const NormRow& row, const float* x, float* out, float shift, float factor) {
  const Vec::F minus = Vec::set1(shift), by = Vec::set1(factor), offset = Vec::set1(row.weight_offset);
  const auto value_at = [&](int64_t i, const auto& load) {
    Vec::F value = Vec::mul(Vec::sub(load(x + i), minus), by);
    if constexpr (Weight) value = Vec::mul(value, Vec::add(load(row.weight + i), offset));
    if constexpr (Bias) value = Vec::add(value, load(row.bias + i));
    return value;
  };
  map_columns(out, row.group, value_at);
}

inline void scale_and_shift(const NormRow& row, const float* x, float* out, float shift, float factor) {
  if (row.weight == nullptr) {
    row.bias == nullptr ? scale_and_shift_by<false, false>(row, x, out, shift, factor)
                        : scale_and_shift_by<false, true>(row, x, out, shift, factor);
  } else {
    row.bias == nullptr ? scale_and_shift_by<true, false>(row, x, out, shift, factor)
                        : scale_and_shift_by<true, true>(row, x, out, shift, factor);
  }
}

void rms_norm_row(const NormRow& row) {
  const float columns = static_cast<float>(row.group);
  for (int64_t first = 0; first < row.columns; first += row.group) {
    const float* x = row.input + first;
    const float squares = sum_row(x, row.group, [](Vec::F v) { return Vec::mul(v, v); });
    const float factor = 1.0f / __builtin_sqrtf(squares / columns + row.epsilon);
    scale_and_shift(row, x, row.out + first, 0.0f, factor);
  }
}

/// Two passes: the variance is taken of differences from the mean, so a large mean does not cancel it.
void layer_norm_row(const NormRow& row) {
  const float columns = static_cast<float>(row.group);
  for (int64_t first = 0; first < row.columns; first += row.group) {
    const float* x = row.input + first;
    const float mean = sum_row(x, row.group, [](Vec::F v) { return v; }) / columns;
    const Vec::F minus = Vec::set1(mean);
    const float squares = sum_row(x, row.group, [=](Vec::F v) {
      const Vec::F difference = Vec::sub(v, minus);
      return Vec::mul(difference, difference);
    });
    const float factor = 1.0f / __builtin_sqrtf(squares / columns + row.epsilon);
    scale_and_shift(row, x, row.out + first, mean, factor);
  }
}

}  // namespace
}  // namespace octoformer
