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
  static inline Vec::F to_float(I a) { return _mm256_cvtepi32_ps(a); }
  static inline I byte_of_four(const int8_t* p, int index) {
    const __m256i quads = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    return _mm256_srai_epi32(_mm256_sll_epi32(quads, _mm_cvtsi32_si128(24 - 8 * index)), 24);
  }
  static inline I load_bytes(const int8_t* p) {
    return _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  }
  static inline void store_bytes(uint8_t* p, Vec::F x, uint8_t flip) {
    const __m256i wide = _mm256_cvtps_epi32(x);
    const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(wide), _mm256_extracti128_si256(wide, 1));
    const __m128i bytes = _mm_xor_si128(_mm_packs_epi16(words, words), _mm_set1_epi8(static_cast<char>(flip)));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p), bytes);
  }
  static inline uint32_t mask_less(Vec::F a, Vec::F b) {
    return static_cast<uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_LT_OQ)));
  }
};

}  // namespace
}  // namespace octoformer
