// Arm BF16: products of pairs of bfloat16 summed in float32 by BFDOT (its rounding is the processor's own: see "BFDOT"
// in the Arm Architecture Reference Manual).
#pragma once
#include <arm_neon.h>
#include <stdint.h>

#include "cpu/vec/vec_neon.h"

#define OCTOFORMER_BFLOAT16_UNIT 1

namespace octoformer {
namespace {

struct Bfloat16Unit {
  using Pairs = bfloat16x8_t;
  static inline Pairs load(const uint16_t* p) { return vreinterpretq_bf16_u16(vld1q_u16(p)); }
  /// The pair at p in every lane.
  static inline Pairs broadcast(const uint16_t* p) {
    uint32_t pair;
    __builtin_memcpy(&pair, p, sizeof pair);
    return vreinterpretq_bf16_u32(vdupq_n_u32(pair));
  }
  /// sums + first products + second products
  static inline float32x4_t accumulate(Pairs a, Pairs b, float32x4_t sums) { return vbfdotq_f32(sums, a, b); }
};

}  // namespace
}  // namespace octoformer
