// AVX-512 F, BW, DQ, VL.
#include "cpu/vec/vec_avx512.h"

#include "cpu/vec/int8_avx512.h"

#include "cpu/vec/table_avx512.h"

#include "cpu/kernels/all_kernels.h"

namespace octoformer {

const KernelTable kernels_avx512 = kAllKernels;

}  // namespace octoformer
