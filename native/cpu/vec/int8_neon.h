// Dot products of four bytes: AArch64 baseline. See int8_scalar.h for what each member means.
#pragma once
#include "cpu/vec/int_vec_neon.h"

namespace octoformer {
namespace {

/// Products of bytes are exact in 16 bits; pairs of them are added into 32.
struct WideInt8Unit {
  static constexpr uint8_t flip = 0;
  static constexpr int rows = 2;
  struct Sum {
    int32x4_t low, high;  // pairs of k of the first and the last two lanes
  };
  using Weights = int8x16_t;
  using Activation = int8x8_t;
  static inline Sum zero() { return {vdupq_n_s32(0), vdupq_n_s32(0)}; }
  static inline Weights load(const int8_t* p) { return vld1q_s8(p); }
  static inline Activation broadcast(const uint8_t* p) {
    int32_t four;
    __builtin_memcpy(&four, p, sizeof four);
    return vreinterpret_s8_s32(vdup_n_s32(four));
  }
  static inline Sum accumulate(Activation a, Weights w, const Sum& sum) {
    return {vpadalq_s16(sum.low, vmull_s8(a, vget_low_s8(w))), vpadalq_s16(sum.high, vmull_s8(a, vget_high_s8(w)))};
  }
  static inline IntVec::I total(const Sum& sum) { return vpaddq_s32(sum.low, sum.high); }
};

using Int8Unit = WideInt8Unit;
using GeneralInt8Unit = WideInt8Unit;

}  // namespace
}  // namespace octoformer
