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
  static inline I times_256(I a) { return _mm512_slli_epi32(a, 8); }
  static inline Vec::F to_float(I a) { return _mm512_cvtepi32_ps(a); }
  static inline I byte_of_four(const int8_t* p, int index) {
    const __m512i quads = _mm512_loadu_si512(p);
    return _mm512_srai_epi32(_mm512_sll_epi32(quads, _mm_cvtsi32_si128(24 - 8 * index)), 24);
  }
  static inline I load_bytes(const int8_t* p) {
    return _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static inline void store_bytes(uint8_t* p, const Vec::F (&x)[4], int32_t zero_point, int32_t least, uint8_t flip) {
    // What 16 bits don't hold, 8 don't hold either, with any zero point.
    const __m512i shift = _mm512_set1_epi16(static_cast<int16_t>(zero_point));
    const __m512i first = _mm512_packs_epi32(_mm512_cvtps_epi32(x[0]), _mm512_cvtps_epi32(x[1]));
    const __m512i last = _mm512_packs_epi32(_mm512_cvtps_epi32(x[2]), _mm512_cvtps_epi32(x[3]));
    __m512i bytes = _mm512_packs_epi16(_mm512_adds_epi16(first, shift), _mm512_adds_epi16(last, shift));
    bytes = _mm512_max_epi8(bytes, _mm512_set1_epi8(static_cast<char>(least)));
    bytes = _mm512_xor_si512(bytes, _mm512_set1_epi8(static_cast<char>(flip)));
    // Packing works in quarters of 128 bits, each of which gets a four of bytes of every vector.
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    _mm512_storeu_si512(p, _mm512_permutexvar_epi32(order, bytes));
  }
  static inline uint32_t mask_less(Vec::F a, Vec::F b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
};

}  // namespace
}  // namespace octoformer
