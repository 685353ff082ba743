// AVX2, FMA, F16C.
#include "cpu/vec/vec_avx2.h"

#include "cpu/vec/int8_avx2.h"

#include "cpu/kernels/all_kernels.h"

namespace octoformer {

const KernelTable kernels_avx2 = kAllKernels;

}  // namespace octoformer
