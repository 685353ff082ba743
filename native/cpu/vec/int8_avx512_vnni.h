// Dot products of four bytes: AVX-512 VNNI. See int8_scalar.h for what each member means.
#pragma once
#include "cpu/vec/int_vec_avx512.h"

namespace octoformer {
namespace {

struct DotInt8Unit {
  static constexpr uint8_t flip = 0x80;
  static constexpr int rows = 6;
  using Sum = __m512i;
  using Weights = __m512i;
  using Activation = __m512i;
  static inline Sum zero() { return _mm512_setzero_si512(); }
  static inline Weights load(const int8_t* p) { return _mm512_loadu_si512(p); }
  static inline Activation broadcast(const uint8_t* p) {
    int32_t four;
    __builtin_memcpy(&four, p, sizeof four);
    return _mm512_set1_epi32(four);
  }
  static inline Sum accumulate(Activation a, Weights w, Sum sum) { return _mm512_dpbusd_epi32(sum, a, w); }
  static inline IntVec::I total(Sum sum) { return sum; }
  /// Of an Int8Digit: signed digits by weights + 128, which are unsigned. That is 128 times the digits too many, which
  /// the sums begin with.
  static inline IntVec::I begin_digits(int32_t sum) { return _mm512_set1_epi32(-128 * sum); }
  static inline IntVec::I add_digits(IntVec::I sum, const int8_t* w, int32_t digits) {
    const __m512i weights = _mm512_xor_si512(load(w), _mm512_set1_epi8(static_cast<char>(0x80)));
    return _mm512_dpbusd_epi32(sum, weights, _mm512_set1_epi32(digits));
  }
};

using Int8Unit = DotInt8Unit;
using GeneralInt8Unit = DotInt8Unit;

}  // namespace
}  // namespace octoformer
