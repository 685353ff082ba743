// Products of 2 x 8 by 8 x 2 bytes: AArch64 with i8mm (SMMLA). For kernels/gemm_int8_pairs.h.
#pragma once
#include "cpu/vec/int_vec_neon.h"

namespace octoformer {
namespace {

struct MatrixInt8Unit {
  static constexpr uint8_t flip = 0;
  static constexpr int rows = 4;   // 16 registers of sums; gcc 12 spills those of 6 rows
  static constexpr int depth = 8;  // k a step
  using Sum = int32x4_t;           // row 0 by features 0 and 1, then row 1 by both
  using Pair = int8x16_t;          // eight k of a row (a feature), then of the next one
  static inline Sum zero() { return vdupq_n_s32(0); }
  static inline Pair load_rows(const uint8_t* first, const uint8_t* second) {
    return vreinterpretq_s8_u8(vcombine_u8(vld1_u8(first), vld1_u8(second)));
  }
  /// Four features: `p` has four k of each, `p + step` the next four.
  static inline void load_weights(const int8_t* p, int64_t step, Pair (&w)[2]) {
    const int32x4_t low = vreinterpretq_s32_s8(vld1q_s8(p)), high = vreinterpretq_s32_s8(vld1q_s8(p + step));
    w[0] = vreinterpretq_s8_s32(vzip1q_s32(low, high));
    w[1] = vreinterpretq_s8_s32(vzip2q_s32(low, high));
  }
  static inline Sum accumulate(Pair a, Pair w, Sum sum) { return vmmlaq_s32(sum, a, w); }
  /// Row 0's (or 1's) sums with four features.
  static inline IntVec::I row_total(Sum first, Sum second, int row) {
    return row == 0 ? vcombine_s32(vget_low_s32(first), vget_low_s32(second))
                    : vcombine_s32(vget_high_s32(first), vget_high_s32(second));
  }
};

using Int8Unit = MatrixInt8Unit;
using GeneralInt8Unit = MatrixInt8Unit;

}  // namespace
}  // namespace octoformer
