// AVX512_BF16: products of pairs of bfloat16 summed in float32. Each lane adds both products of its pair to the sum, in
// the order and rounding of vdpbf16ps (denormals flush to zero).
#pragma once
#include <immintrin.h>
#include <stdint.h>

#include "cpu/vec/vec_avx512.h"

#define OCTOFORMER_BFLOAT16_UNIT 1
// What attention needs beside products is there, too.
#define OCTOFORMER_BFLOAT16_ATTENTION 1

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
  /// The largest lane, or the sum of lanes, of four vectors: their pairs are folded into one another, half of the steps
  /// that each by itself would take.
  static inline void reduce_max(const Vec::F (&rows)[4], float* out) {
    reduce(rows, out, [](Vec::F a, Vec::F b) { return Vec::max(a, b); });
  }
  static inline void reduce_add(const Vec::F (&rows)[4], float* out) {
    reduce(rows, out, [](Vec::F a, Vec::F b) { return Vec::add(a, b); });
  }
  /// x - floor(x); 0 for infinities
  static inline Vec::F fraction(Vec::F x) { return _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
  /// a * 2^floor(x), whatever x
  static inline Vec::F times_power_of_floor(Vec::F a, Vec::F x) { return _mm512_scalef_ps(a, x); }
  /// sums + first products + second products
  static inline __m512 accumulate(Pairs a, Pairs b, __m512 sums) {
    return _mm512_dpbf16_ps(sums, (__m512bh)a, (__m512bh)b);
  }

 private:
  template <class Fold>
  static inline void reduce(const Vec::F (&rows)[4], float* out, const Fold& fold) {
    const auto fold_pair = [&](Vec::F a, Vec::F b) { return fold(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b)); };
    const Vec::F low = fold_pair(rows[0], rows[1]), high = fold_pair(rows[2], rows[3]);
    // Four lanes: one of each row.
    const Vec::F all = fold(_mm512_shuffle_ps(low, high, 0x44), _mm512_shuffle_ps(low, high, 0xee));
    const Vec::F half = fold(all, _mm512_shuffle_f32x4(all, all, 0x4e));
    _mm_storeu_ps(out, _mm512_castps512_ps128(fold(half, _mm512_shuffle_f32x4(half, half, 0xb1))));
  }
};

}  // namespace
}  // namespace octoformer
