// One float32 lane: the vocabulary of the kernels in plain C++. Every ISA's Vec has exactly these members.
//
// Kernel files (native/cpu/kernels) are written against `Vec` and compiled once per ISA inside an anonymous namespace;
// they include no library code beyond stdint, stddef and intrinsics (docs/design.md section 4).
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "backend/half.h"

namespace octoformer {
namespace {

struct Vec {
  static constexpr int lanes = 1;
  using F = float;
  static inline F zero() { return 0.0f; }
  static inline F set1(float x) { return x; }
  static inline F load(const float* p) { return *p; }
  static inline void store(float* p, F a) { *p = a; }
  /// The first n lanes (0 <= n <= lanes); the others read as 0 and are not touched in memory.
  static inline F load_n(const float* p, int64_t n) { return n > 0 ? *p : 0.0f; }
  static inline void store_n(float* p, F a, int64_t n) {
    if (n > 0) *p = a;
  }
  static inline F add(F a, F b) { return a + b; }
  static inline F sub(F a, F b) { return a - b; }
  static inline F mul(F a, F b) { return a * b; }
  static inline F div(F a, F b) { return a / b; }
  /// a / b within two units in the last place, for b in [1, 2^100]; NaN gives NaN.
  static inline F quotient(F a, F b) { return a / b; }
  /// a * b + c, rounded once
  static inline F fma(F a, F b, F c) { return __builtin_fmaf(a, b, c); }
  /// The second operand where either is NaN, as x86 does.
  static inline F min(F a, F b) { return a < b ? a : b; }
  static inline F max(F a, F b) { return a > b ? a : b; }
  static inline F abs(F a) { return __builtin_fabsf(a); }
  static inline F sqrt(F a) { return __builtin_sqrtf(a); }
  static inline F round(F a) { return __builtin_rintf(a); }  // half to even
  /// The same, and a - round(a), for |a| < 2^23.
  static inline F round(F a, F* rest) {
    const F whole = round(a);
    *rest = sub(a, whole);
    return whole;
  }
  /// a with the sign of b
  static inline F copysign(F a, F b) { return __builtin_copysignf(a, b); }
  /// a < b ? x : y, lane by lane
  static inline F select_less(F a, F b, F x, F y) { return a < b ? x : y; }
  /// 2^n for integral n in [-126, 127]
  static inline F power_of_two(F n) {
    const int32_t exponent = n == n ? static_cast<int32_t>(n) : 0;  // NaN gives any power, but no undefined conversion
    return float_of(static_cast<uint32_t>(exponent + 127) << 23);
  }
  /// a * 2^n for such n, where the product is not subnormal
  static inline F times_power_of_two(F a, F n) { return a * power_of_two(n); }
  /// a * 2^n for integral n in [-252, 254], rounded once.
  static inline F times_any_power_of_two(F a, F n) {
    const F half = round(n * 0.5f);
    return a * power_of_two(half) * power_of_two(n - half);
  }
  /// In halves: lanes i and i + lanes / 2 first, and so on.
  static inline float reduce_add(F a) { return a; }
  static inline float reduce_max(F a) { return a; }
  /// Whether any lane of a is less than that of b.
  static inline bool any_less(F a, F b) { return a < b; }
  /// `lanes` sums in double precision.
  using Wide = double;
  static inline Wide wide_zero() { return 0.0; }
  static inline Wide add_wide(Wide sums, F a) { return sums + static_cast<double>(a); }
  static inline void store_wide(double* p, Wide a) { *p = a; }
  /// Widens `lanes` halves, exactly.
  static inline F load_bfloat16(const uint16_t* p) { return bfloat16_to_float(*p); }
  static inline F load_float16(const uint16_t* p) { return float16_to_float(*p); }
  /// Widens the first or second of each of `lanes` pairs of bfloat16.
  static inline F load_first_bfloat16(const uint16_t* p) { return bfloat16_to_float(p[0]); }
  static inline F load_second_bfloat16(const uint16_t* p) { return bfloat16_to_float(p[1]); }
  /// Narrows to bfloat16, nearest even.
  static inline void store_bfloat16(uint16_t* p, F a) { *p = float_to_bfloat16(a); }
};

}  // namespace
}  // namespace octoformer
