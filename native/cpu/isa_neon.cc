// AArch64 baseline: Advanced SIMD.
#include "cpu/vec/vec_neon.h"

#include "cpu/vec/int8_neon.h"

#include "cpu/kernels/all_kernels.h"

namespace octoformer {

const KernelTable kernels_neon = kAllKernels;

}  // namespace octoformer
