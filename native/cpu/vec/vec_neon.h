// Four float32 lanes: AArch64 Advanced SIMD. See vec_scalar.h for what each member means.
#pragma once
#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/half.h"

namespace octoformer {
namespace {

struct Vec {
  static constexpr int lanes = 4;
  using F = float32x4_t;
  static inline F zero() { return vdupq_n_f32(0.0f); }
  static inline F set1(float x) { return vdupq_n_f32(x); }
  static inline F load(const float* p) { return vld1q_f32(p); }
  static inline void store(float* p, F a) { vst1q_f32(p, a); }
  static inline F load_n(const float* p, int64_t n) {
    float lane[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    for (int64_t i = 0; i < n; ++i) lane[i] = p[i];
    return vld1q_f32(lane);
  }
  static inline void store_n(float* p, F a, int64_t n) {
    float lane[4];
    vst1q_f32(lane, a);
    for (int64_t i = 0; i < n; ++i) p[i] = lane[i];
  }
  static inline F add(F a, F b) { return vaddq_f32(a, b); }
  static inline F sub(F a, F b) { return vsubq_f32(a, b); }
  static inline F mul(F a, F b) { return vmulq_f32(a, b); }
  static inline F div(F a, F b) { return vdivq_f32(a, b); }
  static inline F quotient(F a, F b) { return div(a, b); }
  static inline F fma(F a, F b, F c) { return vfmaq_f32(c, a, b); }
  static inline F min(F a, F b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
  static inline F max(F a, F b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
  static inline F abs(F a) { return vabsq_f32(a); }
  static inline F sqrt(F a) { return vsqrtq_f32(a); }
  static inline F round(F a) { return vrndnq_f32(a); }
  static inline F round(F a, F* rest) {
    const F whole = round(a);
    *rest = sub(a, whole);
    return whole;
  }
  static inline F copysign(F a, F b) { return vbslq_f32(vdupq_n_u32(0x80000000u), b, a); }
  static inline F select_less(F a, F b, F x, F y) { return vbslq_f32(vcltq_f32(a, b), x, y); }
  static inline F power_of_two(F n) {
    return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vcvtnq_s32_f32(n), vdupq_n_s32(127)), 23));
  }
  static inline F times_power_of_two(F a, F n) { return vmulq_f32(a, power_of_two(n)); }
  static inline F times_any_power_of_two(F a, F n) {
    const F half = round(mul(n, set1(0.5f)));
    return mul(mul(a, power_of_two(half)), power_of_two(sub(n, half)));
  }
  static inline float reduce_add(F a) {
    const float32x2_t half = vadd_f32(vget_low_f32(a), vget_high_f32(a));
    return vget_lane_f32(vpadd_f32(half, half), 0);
  }
  static inline float reduce_max(F a) { return vmaxvq_f32(a); }
  static inline bool any_less(F a, F b) { return vmaxvq_u32(vcltq_f32(a, b)) != 0; }
  struct Wide {
    float64x2_t low, high;
  };
  static inline Wide wide_zero() { return {vdupq_n_f64(0.0), vdupq_n_f64(0.0)}; }
  static inline Wide add_wide(Wide sums, F a) {
    return {vaddq_f64(sums.low, vcvt_f64_f32(vget_low_f32(a))), vaddq_f64(sums.high, vcvt_high_f64_f32(a))};
  }
  static inline void store_wide(double* p, Wide a) {
    vst1q_f64(p, a.low);
    vst1q_f64(p + 2, a.high);
  }
  static inline F load_bfloat16(const uint16_t* p) {
    return vreinterpretq_f32_u32(vshlq_n_u32(vmovl_u16(vld1_u16(p)), 16));
  }
  static inline F load_float16(const uint16_t* p) { return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p))); }
  static inline F load_first_bfloat16(const uint16_t* p) {
    return vreinterpretq_f32_u32(vshlq_n_u32(vreinterpretq_u32_u16(vld1q_u16(p)), 16));
  }
  static inline F load_second_bfloat16(const uint16_t* p) {
    return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_u16(vld1q_u16(p)), vdupq_n_u32(0xffff0000u)));
  }
  static inline void store_bfloat16(uint16_t* p, F a) {
    const uint32x4_t bits = vreinterpretq_u32_f32(a);
    const uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
    const uint32x4_t rounded = vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7fff)));
    const uint32x4_t quiet = vorrq_u32(bits, vdupq_n_u32(0x400000));
    const uint32x4_t ordered = vceqq_f32(a, a);
    vst1_u16(p, vshrn_n_u32(vbslq_u32(ordered, rounded, quiet), 16));
  }
};

}  // namespace
}  // namespace octoformer
