// A tile of integer sums for units that multiply two rows of activations by two output features, eight k a step
// (matrix multiply-accumulate). The weights lie as for all units, four k of a feature side by side: two loads, a
// quarter of a panel each, are zipped to eight.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "cpu/gemm_int8_kernels.h"
#include "cpu/kernels/gemm_tile.h"

namespace octoformer {
namespace {

/// As multiply_int8_tile (gemm_int8_tile.h); depth is a multiple of 8. An odd last row is paired with itself.
template <class Unit, int Rows>
[[gnu::always_inline]] inline void multiply_int8_pairs(const uint8_t* a, int64_t stride, const int8_t* weights,
                                                       int64_t depth, bool fresh, int32_t* sums) {
  constexpr int kPairs = (Rows + 1) / 2;
  typename Unit::Sum sum[kPairs][kPanelVectors][2];  // features 0 and 1 of a vector, then 2 and 3
#pragma GCC unroll 16
  for (int pair = 0; pair < kPairs; ++pair) {
#pragma GCC unroll 16
    for (int v = 0; v < kPanelVectors; ++v) sum[pair][v][0] = sum[pair][v][1] = Unit::zero();
  }
  for (int64_t k = 0; k < depth; k += 8, weights += 8 * kPanel) {
    typename Unit::Pair x[kPairs];
#pragma GCC unroll 16
    for (int pair = 0; pair < kPairs; ++pair) {
      const uint8_t* first = a + 2 * pair * stride + k;
      x[pair] = Unit::load_rows(first, 2 * pair + 1 < Rows ? first + stride : first);
    }
#pragma GCC unroll 16
    for (int v = 0; v < kPanelVectors; ++v) {
      typename Unit::Pair w[2];
      Unit::load_weights(weights + v * 4 * Vec::lanes, 4 * kPanel, w);
#pragma GCC unroll 16
      for (int pair = 0; pair < kPairs; ++pair) {
        sum[pair][v][0] = Unit::accumulate(x[pair], w[0], sum[pair][v][0]);
        sum[pair][v][1] = Unit::accumulate(x[pair], w[1], sum[pair][v][1]);
      }
    }
  }
#pragma GCC unroll 16
  for (int pair = 0; pair < kPairs; ++pair) {
#pragma GCC unroll 16
    for (int v = 0; v < kPanelVectors; ++v) {
#pragma GCC unroll 2
      for (int odd = 0; odd < 2; ++odd) {
        const int row = 2 * pair + odd;
        if (row >= Rows) continue;
        int32_t* to = sums + (row * kPanelVectors + v) * Vec::lanes;
        const IntVec::I total = Unit::row_total(sum[pair][v][0], sum[pair][v][1], odd);
        IntVec::store(to, fresh ? total : IntVec::add(IntVec::load(to), total));
      }
    }
  }
}

}  // namespace
}  // namespace octoformer
