// Dot products of four bytes: AVX-VNNI. See int8_scalar.h for what each member means.
#pragma once
#include "cpu/vec/int_vec_avx2.h"

namespace octoformer {
namespace {

struct DotInt8Unit {
  static constexpr uint8_t flip = 0x80;
  static constexpr int rows = 6;
  using Sum = __m256i;
  using Weights = __m256i;
  using Activation = __m256i;
  static inline Sum zero() { return _mm256_setzero_si256(); }
  static inline Weights load(const int8_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
  static inline Activation broadcast(const uint8_t* p) {
    int32_t four;
    __builtin_memcpy(&four, p, sizeof four);
    return _mm256_set1_epi32(four);
  }
  static inline Sum accumulate(Activation a, Weights w, Sum sum) { return _mm256_dpbusd_avx_epi32(sum, a, w); }
  static inline IntVec::I total(Sum sum) { return sum; }
  /// Of an Int8Digit: signed digits by weights + 128, which are unsigned. That is 128 times the digits too many, which
  /// the sums begin with.
  static inline IntVec::I begin_digits(int32_t sum) { return _mm256_set1_epi32(-128 * sum); }
  static inline IntVec::I add_digits(IntVec::I sum, const int8_t* w, int32_t digits) {
    const __m256i weights = _mm256_xor_si256(load(w), _mm256_set1_epi8(static_cast<char>(0x80)));
    return _mm256_dpbusd_avx_epi32(sum, weights, _mm256_set1_epi32(digits));
  }
};

using Int8Unit = DotInt8Unit;
using GeneralInt8Unit = DotInt8Unit;

}  // namespace
}  // namespace octoformer
