// AVX-512 with VNNI and BF16, and AMX tiles.
#include "cpu/vec/vec_avx512.h"

#include "cpu/vec/int8_avx512_vnni.h"

#include "cpu/vec/amx_tile.h"
#include "cpu/vec/bfloat16_unit_avx512.h"
#include "cpu/vec/table_avx512.h"

#include "cpu/kernels/all_kernels.h"

namespace octoformer {

const KernelTable kernels_amx = kAllKernels;

}  // namespace octoformer
