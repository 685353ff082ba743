// AVX2, FMA, F16C and AVX-VNNI.
#include "cpu/vec/vec_avx2.h"

#include "cpu/vec/int8_avx_vnni.h"

#include "cpu/kernels/all_kernels.h"

namespace octoformer {

const KernelTable kernels_avx_vnni = kAllKernels;

}  // namespace octoformer
