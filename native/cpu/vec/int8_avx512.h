// Dot products of four bytes: AVX-512 BW, without VNNI. See int8_scalar.h for what each member means.
#pragma once
#include "cpu/vec/int_vec_avx512.h"

namespace octoformer {
namespace {

/// As AVX2's SignInt8Unit; the sign is taken over by a masked subtraction.
struct SignInt8Unit {
  static constexpr uint8_t flip = 0;
  static constexpr int rows = 4;
  using Sum = __m512i;
  using Weights = __m512i;
  struct Activation {
    __m512i magnitude;
    __mmask64 negative;
  };
  static inline Sum zero() { return _mm512_setzero_si512(); }
  static inline Weights load(const int8_t* p) { return _mm512_loadu_si512(p); }
  static inline Activation broadcast(const uint8_t* p) {
    int32_t four;
    __builtin_memcpy(&four, p, sizeof four);
    const __m512i value = _mm512_set1_epi32(four);
    return {_mm512_abs_epi8(value), _mm512_movepi8_mask(value)};
  }
  static inline Sum accumulate(const Activation& a, Weights w, Sum sum) {
    const __m512i with_sign = _mm512_mask_sub_epi8(w, a.negative, _mm512_setzero_si512(), w);
    const __m512i pairs = _mm512_maddubs_epi16(a.magnitude, with_sign);
    return _mm512_add_epi32(sum, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
  }
  static inline IntVec::I total(Sum sum) { return sum; }
  /// As AVX2's.
  static inline IntVec::I begin_digits(int32_t sum) { return _mm512_set1_epi32(-128 * sum); }
  static inline IntVec::I add_digits(IntVec::I sum, const int8_t* w, int32_t digits) {
    const __m512i weights = _mm512_xor_si512(load(w), _mm512_set1_epi8(-128));
    const __m512i pairs = _mm512_maddubs_epi16(weights, _mm512_set1_epi32(digits));
    return _mm512_add_epi32(sum, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
  }
};

/// Bytes widened to 16 bits, for weights of -128.
struct WideInt8Unit {
  static constexpr uint8_t flip = 0;
  static constexpr int rows = 2;
  struct Sum {
    __m512i low, high;  // pairs of k of the first and the last eight lanes
  };
  struct Weights {
    __m512i low, high;
  };
  using Activation = __m512i;
  static inline Sum zero() { return {_mm512_setzero_si512(), _mm512_setzero_si512()}; }
  static inline Weights load(const int8_t* p) {
    const __m256i* from = reinterpret_cast<const __m256i*>(p);
    return {_mm512_cvtepi8_epi16(_mm256_loadu_si256(from)), _mm512_cvtepi8_epi16(_mm256_loadu_si256(from + 1))};
  }
  static inline Activation broadcast(const uint8_t* p) {
    int32_t four;
    __builtin_memcpy(&four, p, sizeof four);
    return _mm512_cvtepi8_epi16(_mm256_set1_epi32(four));
  }
  static inline Sum accumulate(Activation a, const Weights& w, const Sum& sum) {
    return {_mm512_add_epi32(sum.low, _mm512_madd_epi16(a, w.low)),
            _mm512_add_epi32(sum.high, _mm512_madd_epi16(a, w.high))};
  }
  static inline IntVec::I total(const Sum& sum) {
    const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const __m512i odd = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
    return _mm512_add_epi32(_mm512_permutex2var_epi32(sum.low, even, sum.high),
                            _mm512_permutex2var_epi32(sum.low, odd, sum.high));
  }
};

using Int8Unit = SignInt8Unit;
using GeneralInt8Unit = WideInt8Unit;

}  // namespace
}  // namespace octoformer
