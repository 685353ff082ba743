// AArch64 with dotprod, i8mm and bf16.
#include "cpu/vec/vec_neon.h"

#include "cpu/vec/int8_neon_i8mm.h"

#include "cpu/vec/bfloat16_unit_neon.h"

#include "cpu/kernels/all_kernels.h"

namespace octoformer {

const KernelTable kernels_neon_bf16 = kAllKernels;

}  // namespace octoformer
