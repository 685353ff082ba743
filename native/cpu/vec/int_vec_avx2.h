// Eight int32 lanes: AVX2. See int8_scalar.h for what each member means.
#pragma once
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

namespace octoformer {
namespace {

struct IntVec {
  using I = __m256i;
  static inline I set1(int32_t x) { return _mm256_set1_epi32(x); }
  static inline I load(const int32_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
  static inline void store(int32_t* p, I a) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a); }
  static inline I add(I a, I b) { return _mm256_add_epi32(a, b); }
  static inline I sub(I a, I b) { return _mm256_sub_epi32(a, b); }
  static inline I mul(I a, I b) { return _mm256_mullo_epi32(a, b); }
  static inline I times_256(I a) { return _mm256_slli_epi32(a, 8); }
  static inline Vec::F to_float(I a) { return _mm256_cvtepi32_ps(a); }
  static inline I byte_of_four(const int8_t* p, int index) {
    const __m256i quads = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    return _mm256_srai_epi32(_mm256_sll_epi32(quads, _mm_cvtsi32_si128(24 - 8 * index)), 24);
  }
  static inline I load_bytes(const int8_t* p) {
    return _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  }
  static inline void store_bytes(uint8_t* p, const Vec::F (&x)[4], int32_t zero_point, int32_t least, uint8_t flip) {
    // What 16 bits don't hold, 8 don't hold either, with any zero point.
    const __m256i shift = _mm256_set1_epi16(static_cast<int16_t>(zero_point));
    const __m256i first = _mm256_packs_epi32(_mm256_cvtps_epi32(x[0]), _mm256_cvtps_epi32(x[1]));
    const __m256i last = _mm256_packs_epi32(_mm256_cvtps_epi32(x[2]), _mm256_cvtps_epi32(x[3]));
    __m256i bytes = _mm256_packs_epi16(_mm256_adds_epi16(first, shift), _mm256_adds_epi16(last, shift));
    bytes = _mm256_max_epi8(bytes, _mm256_set1_epi8(static_cast<char>(least)));
    bytes = _mm256_xor_si256(bytes, _mm256_set1_epi8(static_cast<char>(flip)));
    // Packing works in halves of 128 bits: fours of bytes lie as 0 2 4 6 1 3 5 7.
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm256_permutevar8x32_epi32(bytes, order));
  }
  static inline uint32_t mask_less(Vec::F a, Vec::F b) {
    return static_cast<uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_LT_OQ)));
  }
};

}  // namespace
}  // namespace octoformer
