// Four int32 lanes: AArch64 Advanced SIMD. See int8_scalar.h for what each member means.
#pragma once
#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>

namespace octoformer {
namespace {

struct IntVec {
  using I = int32x4_t;
  static inline I set1(int32_t x) { return vdupq_n_s32(x); }
  static inline I load(const int32_t* p) { return vld1q_s32(p); }
  static inline void store(int32_t* p, I a) { vst1q_s32(p, a); }
  static inline I add(I a, I b) { return vaddq_s32(a, b); }
  static inline I sub(I a, I b) { return vsubq_s32(a, b); }
  static inline I mul(I a, I b) { return vmulq_s32(a, b); }
  static inline Vec::F to_float(I a) { return vcvtq_f32_s32(a); }
  static inline I byte_of_four(const int8_t* p, int index) {
    const int32x4_t quads = vreinterpretq_s32_s8(vld1q_s8(p));
    return vshrq_n_s32(vshlq_s32(quads, vdupq_n_s32(24 - 8 * index)), 24);
  }
  static inline I load_bytes(const int8_t* p) {
    int32_t four;
    __builtin_memcpy(&four, p, sizeof four);
    return vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_s32(vdup_n_s32(four)))));
  }
  static inline void store_bytes(uint8_t* p, Vec::F x, uint8_t flip) {
    const int16x4_t words = vmovn_s32(vcvtnq_s32_f32(x));
    const uint8x8_t bytes = vreinterpret_u8_s8(vmovn_s16(vcombine_s16(words, words)));
    const uint32_t four = vget_lane_u32(vreinterpret_u32_u8(veor_u8(bytes, vdup_n_u8(flip))), 0);
    __builtin_memcpy(p, &four, sizeof four);
  }
  static inline uint32_t mask_less(Vec::F a, Vec::F b) {
    const uint32_t bits[4] = {1, 2, 4, 8};
    return vaddvq_u32(vandq_u32(vcltq_f32(a, b), vld1q_u32(bits)));
  }
};

}  // namespace
}  // namespace octoformer
