// Loops that do nothing but keep a unit busy: the ceilings that kernels are compared with.
#pragma once
#include <stdint.h>

namespace octoformer {

struct PeakKernels {
  /// Each does `rounds` of independent chains in registers and returns the multiply-adds done.
  double (*float32)(int64_t rounds);
  double (*bfloat16)(int64_t rounds);  // null: no units
  double (*int8)(int64_t rounds);
  /// Reads `count` floats (a multiple of 64) and returns something that depends on them.
  float (*read)(const float* values, int64_t count);
};

#if defined(__x86_64__) || defined(_M_X64)
extern const PeakKernels peak_avx2, peak_avx_vnni, peak_avx512, peak_avx512_bf16, peak_amx;
#elif defined(__aarch64__) || defined(_M_ARM64)
extern const PeakKernels peak_neon, peak_neon_dotprod, peak_neon_bf16;
#endif
extern const PeakKernels peak_scalar;

}  // namespace octoformer
