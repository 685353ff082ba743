// AArch64 with dotprod.
#include "cpu/vec/vec_neon.h"

#include "cpu/vec/int8_neon_dotprod.h"

#include "cpu/kernels/all_kernels.h"

namespace octoformer {

const KernelTable kernels_neon_dotprod = kAllKernels;

}  // namespace octoformer
