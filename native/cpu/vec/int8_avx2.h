// Dot products of four bytes: AVX2. See int8_scalar.h for what each member means.
#pragma once
#include "cpu/vec/int_vec_avx2.h"

namespace octoformer {
namespace {

/// vpmaddubsw multiplies unsigned by signed bytes and adds pairs in 16 bits, saturating. With |a| and the weight that
/// took a's sign, and weights in [-127, 127], a pair is at most 2 * 128 * 127 = 32512: exact.
struct SignInt8Unit {
  static constexpr uint8_t flip = 0;
  static constexpr int rows = 4;
  using Sum = __m256i;
  using Weights = __m256i;
  struct Activation {
    __m256i value, magnitude;
  };
  static inline Sum zero() { return _mm256_setzero_si256(); }
  static inline Weights load(const int8_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
  static inline Activation broadcast(const uint8_t* p) {
    int32_t four;
    __builtin_memcpy(&four, p, sizeof four);
    const __m256i value = _mm256_set1_epi32(four);
    return {value, _mm256_abs_epi8(value)};
  }
  static inline Sum accumulate(const Activation& a, Weights w, Sum sum) {
    const __m256i pairs = _mm256_maddubs_epi16(a.magnitude, _mm256_sign_epi8(w, a.value));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
  }
  static inline IntVec::I total(Sum sum) { return sum; }
};

/// Bytes widened to 16 bits, for weights of -128.
struct WideInt8Unit {
  static constexpr uint8_t flip = 0;
  static constexpr int rows = 2;
  struct Sum {
    __m256i low, high;  // pairs of k of the first and the last four lanes
  };
  struct Weights {
    __m256i low, high;
  };
  using Activation = __m256i;
  static inline Sum zero() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
  static inline Weights load(const int8_t* p) {
    const __m128i* from = reinterpret_cast<const __m128i*>(p);
    return {_mm256_cvtepi8_epi16(_mm_loadu_si128(from)), _mm256_cvtepi8_epi16(_mm_loadu_si128(from + 1))};
  }
  static inline Activation broadcast(const uint8_t* p) {
    int32_t four;
    __builtin_memcpy(&four, p, sizeof four);
    return _mm256_cvtepi8_epi16(_mm_set1_epi32(four));
  }
  static inline Sum accumulate(Activation a, const Weights& w, const Sum& sum) {
    return {_mm256_add_epi32(sum.low, _mm256_madd_epi16(a, w.low)),
            _mm256_add_epi32(sum.high, _mm256_madd_epi16(a, w.high))};
  }
  static inline IntVec::I total(const Sum& sum) {
    // Adding neighbours leaves lanes 0 1 4 5 2 3 6 7.
    return _mm256_permute4x64_epi64(_mm256_hadd_epi32(sum.low, sum.high), 0xd8);
  }
};

using Int8Unit = SignInt8Unit;
using GeneralInt8Unit = WideInt8Unit;

}  // namespace
}  // namespace octoformer
