// Sixteen int32 lanes: AVX-512 F, BW, DQ, VL. See int8_scalar.h for what each member means.
#pragma once
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

namespace octoformer {
namespace {

struct IntVec {
  using I = __m512i;
  static inline I set1(int32_t x) { return _mm512_set1_epi32(x); }
  static inline I load(const int32_t* p) { return _mm512_loadu_si512(p); }
  static inline void store(int32_t* p, I a) { _mm512_storeu_si512(p, a); }
  static inline I add(I a, I b) { return _mm512_add_epi32(a, b); }
  static inline I sub(I a, I b) { return _mm512_sub_epi32(a, b); }
  static inline I mul(I a, I b) { return _mm512_mullo_epi32(a, b); }
  static inline Vec::F to_float(I a) { return _mm512_cvtepi32_ps(a); }
  static inline I byte_of_four(const int8_t* p, int index) {
    const __m512i quads = _mm512_loadu_si512(p);
    return _mm512_srai_epi32(_mm512_sll_epi32(quads, _mm_cvtsi32_si128(24 - 8 * index)), 24);
  }
  static inline I load_bytes(const int8_t* p) {
    return _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static inline void store_bytes(uint8_t* p, Vec::F x, uint8_t flip) {
    const __m128i bytes = _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(x));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm_xor_si128(bytes, _mm_set1_epi8(static_cast<char>(flip))));
  }
  static inline uint32_t mask_less(Vec::F a, Vec::F b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
};

}  // namespace
}  // namespace octoformer
