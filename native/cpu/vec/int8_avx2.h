// Dot products of four bytes: AVX2. See int8_scalar.h for what each member means.
#pragma once
#include "cpu/vec/int_vec_avx2.h"

namespace octoformer {
namespace {

/// Four unsigned bytes by four weights, of which no pair saturates: for gemm_int8_narrowed.h.
struct NarrowedInt8Unit {
  static constexpr int rows = 4;
  using Weights = __m256i;
  using Activations = __m256i;
  static inline Weights load(const int8_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
  static inline Activations broadcast(const uint8_t* p) {
    int32_t four;
    __builtin_memcpy(&four, p, sizeof four);
    return _mm256_set1_epi32(four);
  }
  static inline void store(int8_t* p, Weights w) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), w); }
  /// Four bytes of each of eight rows.
  static inline Activations load_rows(const uint8_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  static inline IntVec::I accumulate(Activations u, Weights w, IntVec::I sum) {
    return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(u, w), _mm256_set1_epi16(1)));
  }
  /// Pairs of a panel's weights for four k that add up to more than `limits`, two of 16 bits, in magnitude: pair p of
  /// column c is bit 2 c + p, but that columns 4 to 7 and 8 to 11 have changed places.
  static inline uint32_t find_wide(const Weights (&w)[2], int32_t limits) {
    const __m256i most = _mm256_set1_epi32(limits), one = _mm256_set1_epi8(1);
    const __m256i first = _mm256_cmpgt_epi16(_mm256_abs_epi16(_mm256_maddubs_epi16(one, w[0])), most);
    const __m256i last = _mm256_cmpgt_epi16(_mm256_abs_epi16(_mm256_maddubs_epi16(one, w[1])), most);
    return static_cast<uint32_t>(_mm256_movemask_epi8(_mm256_packs_epi16(first, last)));
  }
  /// The column that comes c-th there.
  static constexpr uint8_t wide_column[16] = {0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15};
  /// Lane c of x[r] and lane r of x[c] change places.
  static inline void transpose(IntVec::I (&x)[8]) {
    __m256i pairs[8], fours[8];
#pragma GCC unroll 4
    for (int i = 0; i < 8; i += 2) {
      pairs[i] = _mm256_unpacklo_epi32(x[i], x[i + 1]);
      pairs[i + 1] = _mm256_unpackhi_epi32(x[i], x[i + 1]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      const int low = i / 2 * 4 + i % 2;
      fours[2 * i] = _mm256_unpacklo_epi64(pairs[low], pairs[low + 2]);
      fours[2 * i + 1] = _mm256_unpackhi_epi64(pairs[low], pairs[low + 2]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      x[i] = _mm256_permute2x128_si256(fours[i], fours[i + 4], 0x20);
      x[i + 4] = _mm256_permute2x128_si256(fours[i], fours[i + 4], 0x31);
    }
  }
  /// The least and the largest of each k, 0 being among them, of `count` rows: a line of the cache at a time.
  static constexpr int range_step = 64;
  static inline void find_ranges(const uint8_t* first, int64_t stride, int64_t count, int8_t* least, int8_t* largest) {
    __m256i low[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    __m256i high[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    for (int64_t r = 0; r < count; ++r, first += stride) {
#pragma GCC unroll 2
      for (int half = 0; half < 2; ++half) {
        const __m256i x = load_rows(first + 32 * half);
        low[half] = _mm256_min_epi8(low[half], x);
        high[half] = _mm256_max_epi8(high[half], x);
      }
    }
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(least) + half, low[half]);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(largest) + half, high[half]);
    }
  }
  /// 32 bytes of each of eight rows, shifted: four of a row after those of the row before.
  static inline void arrange(const uint8_t* const (&row)[8], int64_t k, const uint8_t* shifts, uint8_t* to) {
    __m256i x[8];
#pragma GCC unroll 8
    for (int r = 0; r < 8; ++r) x[r] = load_rows(row[r] + k);
    transpose(x);
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to) + i, _mm256_add_epi8(x[i], broadcast(shifts + k + 4 * i)));
    }
  }
};

/// vpmaddubsw multiplies unsigned by signed bytes and adds pairs in 16 bits, saturating. With |a| and the weight that
/// took a's sign, and weights in [-127, 127], a pair is at most 2 * 128 * 127 = 32512: exact. Many rows multiply with
/// narrowed weights, unless too many of these lack something.
struct SignInt8Unit {
  static constexpr uint8_t flip = 0;
  static constexpr int rows = 4;
  using Narrowed = NarrowedInt8Unit;
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
  /// Of an Int8Digit: signed digits by weights + 128, which are unsigned; of a pair one digit is 0, so that none
  /// saturates. That is 128 times the digits too many, which the sums begin with.
  static inline IntVec::I begin_digits(int32_t sum) { return _mm256_set1_epi32(-128 * sum); }
  static inline IntVec::I add_digits(IntVec::I sum, const int8_t* w, int32_t digits) {
    const __m256i weights = _mm256_xor_si256(load(w), _mm256_set1_epi8(-128));
    const __m256i pairs = _mm256_maddubs_epi16(weights, _mm256_set1_epi32(digits));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
  }
};

/// Bytes widened to 16 bits, for weights of -128.
struct WideInt8Unit {
  static constexpr uint8_t flip = 0;
  static constexpr int rows = 2;
  using Narrowed = NarrowedInt8Unit;
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
