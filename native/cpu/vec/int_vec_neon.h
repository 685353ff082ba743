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
  static inline I times_256(I a) { return vshlq_n_s32(a, 8); }
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
  static inline void store_bytes(uint8_t* p, const Vec::F (&x)[4], int32_t zero_point, int32_t least, uint8_t flip) {
    // What 16 bits don't hold, 8 don't hold either, with any zero point.
    const int16x8_t shift = vdupq_n_s16(static_cast<int16_t>(zero_point));
    const int16x8_t first = vcombine_s16(vqmovn_s32(vcvtnq_s32_f32(x[0])), vqmovn_s32(vcvtnq_s32_f32(x[1])));
    const int16x8_t last = vcombine_s16(vqmovn_s32(vcvtnq_s32_f32(x[2])), vqmovn_s32(vcvtnq_s32_f32(x[3])));
    int8x16_t bytes = vcombine_s8(vqmovn_s16(vqaddq_s16(first, shift)), vqmovn_s16(vqaddq_s16(last, shift)));
    bytes = vmaxq_s8(bytes, vdupq_n_s8(static_cast<int8_t>(least)));
    vst1q_u8(p, veorq_u8(vreinterpretq_u8_s8(bytes), vdupq_n_u8(flip)));
  }
  static inline uint32_t mask_less(Vec::F a, Vec::F b) {
    const uint32_t bits[4] = {1, 2, 4, 8};
    return vaddvq_u32(vandq_u32(vcltq_f32(a, b), vld1q_u32(bits)));
  }
};

}  // namespace
}  // namespace octoformer
