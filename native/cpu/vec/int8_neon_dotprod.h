// Dot products of four bytes: AArch64 with dotprod. See int8_scalar.h for what each member means.
#pragma once
#include "cpu/vec/int_vec_neon.h"

namespace octoformer {
namespace {

struct DotInt8Unit {
  static constexpr uint8_t flip = 0;
  static constexpr int rows = 6;
  using Sum = int32x4_t;
  using Weights = int8x16_t;
  using Activation = int8x16_t;
  static inline Sum zero() { return vdupq_n_s32(0); }
  static inline Weights load(const int8_t* p) { return vld1q_s8(p); }
  static inline Activation broadcast(const uint8_t* p) {
    int32_t four;
    __builtin_memcpy(&four, p, sizeof four);
    return vreinterpretq_s8_s32(vdupq_n_s32(four));
  }
  static inline Sum accumulate(Activation a, Weights w, Sum sum) { return vdotq_s32(sum, w, a); }
  static inline IntVec::I total(Sum sum) { return sum; }
};

using Int8Unit = DotInt8Unit;
using GeneralInt8Unit = DotInt8Unit;

}  // namespace
}  // namespace octoformer
