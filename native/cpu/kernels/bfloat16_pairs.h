// One step of products on a machine's bfloat16 unit, for matrix products and attention alike.
#pragma once
#include <stddef.h>
#include <stdint.h>

#if defined(OCTOFORMER_BFLOAT16_UNIT)
namespace octoformer {
namespace {

/// sums[r][v] += the pair at left[r * stride] times the pairs of right[v]
template <int Rows, int Vectors>
[[gnu::always_inline]] inline void multiply_pairs(const uint16_t* left, int64_t stride,
                                                  const Bfloat16Unit::Pairs (&right)[Vectors],
                                                  Vec::F (&sums)[Rows][Vectors]) {
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
    const Bfloat16Unit::Pairs x = Bfloat16Unit::broadcast(left + r * stride);
#pragma GCC unroll 16
    for (int v = 0; v < Vectors; ++v) sums[r][v] = Bfloat16Unit::accumulate(x, right[v], sums[r][v]);
  }
}

}  // namespace
}  // namespace octoformer
#endif
