// AVX512_BF16: products of pairs of bfloat16 summed in float32. Each lane adds both products of its pair to the sum, in
// the order and rounding of vdpbf16ps (denormals flush to zero).
#pragma once
#include <immintrin.h>
#include <stdint.h>

#include "cpu/vec/vec_avx512.h"

#define OCTOFORMER_BFLOAT16_UNIT 1

namespace octoformer {
namespace {

struct Bfloat16Unit {
  using Pairs = __m512i;
  static inline Pairs load(const uint16_t* p) { return _mm512_loadu_si512(p); }
  /// The pair at p in every lane.
  static inline Pairs broadcast(const uint16_t* p) {
    int32_t pair;
    __builtin_memcpy(&pair, p, sizeof pair);
    return _mm512_set1_epi32(pair);
  }
  /// Numbers of both vectors, first those of `first`, rounded to nearest even (denormals to zero).
  static inline Pairs narrow(Vec::F first, Vec::F second) { return (Pairs)_mm512_cvtne2ps_pbh(second, first); }
  static inline void store(uint16_t* p, Pairs a) { _mm512_storeu_si512(p, a); }
  /// sums + first products + second products
  static inline __m512 accumulate(Pairs a, Pairs b, __m512 sums) {
    return _mm512_dpbf16_ps(sums, (__m512bh)a, (__m512bh)b);
  }
};

}  // namespace
}  // namespace octoformer
