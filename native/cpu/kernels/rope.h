// Rotary position embedding of one token's heads, in place.
#pragma once
#include <stdint.h>

#include "cpu/row_kernels.h"

namespace octoformer {
namespace {

/// (a, b) becomes (a cos - b sin, b cos + a sin).
void rope_half_row(const RopeRow& row) {
  const int64_t pairs = row.rotary_dim / 2;
  const float* cosines = row.table;
  const float* sines = row.table + pairs;
  for (int64_t head = 0; head < row.heads; ++head) {
    float* first = row.x + head * row.head_dim;
    float* second = first + pairs;
    const auto rotate = [](Vec::F a, Vec::F b, Vec::F cosine, Vec::F sine, Vec::F& left, Vec::F& right) {
      left = Vec::sub(Vec::mul(a, cosine), Vec::mul(b, sine));
      right = Vec::add(Vec::mul(b, cosine), Vec::mul(a, sine));
    };
    Vec::F left, right;
    int64_t i = 0;
    for (; i + Vec::lanes <= pairs; i += Vec::lanes) {
      rotate(Vec::load(first + i), Vec::load(second + i), Vec::load(cosines + i), Vec::load(sines + i), left, right);
      Vec::store(first + i, left);
      Vec::store(second + i, right);
    }
    if (const int64_t rest = pairs - i; rest > 0) {
      rotate(Vec::load_n(first + i, rest), Vec::load_n(second + i, rest), Vec::load_n(cosines + i, rest),
             Vec::load_n(sines + i, rest), left, right);
      Vec::store_n(first + i, left, rest);
      Vec::store_n(second + i, right, rest);
    }
  }
}

void rope_adjacent_row(const RopeRow& row) {
  const int64_t pairs = row.rotary_dim / 2;
  const float* cosines = row.table;
  const float* sines = row.table + pairs;
  for (int64_t head = 0; head < row.heads; ++head) {
    float* x = row.x + head * row.head_dim;
    for (int64_t i = 0; i < pairs; ++i) {
      const float a = x[2 * i], b = x[2 * i + 1];
      x[2 * i] = a * cosines[i] - b * sines[i];
      x[2 * i + 1] = b * cosines[i] + a * sines[i];
    }
  }
}

}  // namespace
}  // namespace octoformer
