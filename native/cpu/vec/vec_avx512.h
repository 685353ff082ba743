// Sixteen float32 lanes: AVX-512 F, BW, DQ, VL. See vec_scalar.h for what each member means.
#pragma once
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/half.h"

namespace octoformer {
namespace {

struct Vec {
  static constexpr int lanes = 16;
  using F = __m512;
  static inline F zero() { return _mm512_setzero_ps(); }
  static inline F set1(float x) { return _mm512_set1_ps(x); }
  static inline F load(const float* p) { return _mm512_loadu_ps(p); }
  static inline void store(float* p, F a) { _mm512_storeu_ps(p, a); }
  static inline __mmask16 mask(int64_t n) { return static_cast<__mmask16>((1u << n) - 1u); }
  static inline F load_n(const float* p, int64_t n) { return _mm512_maskz_loadu_ps(mask(n), p); }
  static inline void store_n(float* p, F a, int64_t n) { _mm512_mask_storeu_ps(p, mask(n), a); }
  static inline F add(F a, F b) { return _mm512_add_ps(a, b); }
  static inline F sub(F a, F b) { return _mm512_sub_ps(a, b); }
  static inline F mul(F a, F b) { return _mm512_mul_ps(a, b); }
  static inline F div(F a, F b) { return _mm512_div_ps(a, b); }
  /// A division takes 16 cycles of the one unit that has it, this about 3: a reciprocal with 14 bits and a Newton step,
  /// whose two factors are multiplied by `a` in between.
  static inline F quotient(F a, F b) {
    const F reciprocal = _mm512_rcp14_ps(b);
    return mul(mul(a, reciprocal), _mm512_fnmadd_ps(b, reciprocal, set1(2.0f)));
  }
  static inline F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
  static inline F min(F a, F b) { return _mm512_min_ps(a, b); }
  static inline F max(F a, F b) { return _mm512_max_ps(a, b); }
  static inline F abs(F a) { return _mm512_abs_ps(a); }
  static inline F sqrt(F a) { return _mm512_sqrt_ps(a); }
  static inline F round(F a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  /// The rest takes one step, rounding two.
  static inline F round(F a, F* rest) {
    *rest = _mm512_reduce_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    return sub(a, *rest);
  }
  static inline F copysign(F a, F b) {
    const __m512i sign = _mm512_set1_epi32(static_cast<int>(0x80000000u));
    // 0xca: mask ? b : a
    return _mm512_castsi512_ps(_mm512_ternarylogic_epi32(sign, _mm512_castps_si512(b), _mm512_castps_si512(a), 0xca));
  }
  static inline F select_less(F a, F b, F x, F y) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), y, x);
  }
  static inline F power_of_two(F n) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127)), 23));
  }
  static inline F times_power_of_two(F a, F n) { return _mm512_scalef_ps(a, n); }
  static inline F times_any_power_of_two(F a, F n) { return times_power_of_two(a, n); }
  static inline float reduce_add(F a) { return _mm512_reduce_add_ps(a); }
  static inline float reduce_max(F a) { return _mm512_reduce_max_ps(a); }
  static inline bool any_less(F a, F b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ) != 0; }
  struct Wide {
    __m512d low, high;
  };
  static inline Wide wide_zero() { return {_mm512_setzero_pd(), _mm512_setzero_pd()}; }
  static inline Wide add_wide(Wide sums, F a) {
    return {_mm512_add_pd(sums.low, _mm512_cvtps_pd(_mm512_castps512_ps256(a))),
            _mm512_add_pd(sums.high, _mm512_cvtps_pd(_mm512_extractf32x8_ps(a, 1)))};
  }
  static inline void store_wide(double* p, Wide a) {
    _mm512_storeu_pd(p, a.low);
    _mm512_storeu_pd(p + 8, a.high);
  }
  static inline F load_bfloat16(const uint16_t* p) {
    const __m256i half = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
  }
  static inline F load_float16(const uint16_t* p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  static inline F load_first_bfloat16(const uint16_t* p) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_loadu_si512(p), 16));
  }
  static inline F load_second_bfloat16(const uint16_t* p) {
    return _mm512_castsi512_ps(_mm512_maskz_loadu_epi16(0xaaaaaaaau, p));  // a mask costs no vector register
  }
  static inline void store_bfloat16(uint16_t* p, F a) {
    const __m512i bits = _mm512_castps_si512(a);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    const __mmask16 nan = _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q);
    rounded = _mm512_mask_or_epi32(rounded, nan, bits, _mm512_set1_epi32(0x400000));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16)));
  }
};

}  // namespace
}  // namespace octoformer
