// Plain C++, for any machine.
#include "cpu/vec/vec_scalar.h"

#include "cpu/vec/int8_scalar.h"

#include "cpu/kernels/all_kernels.h"

namespace octoformer {

const KernelTable kernels_scalar = kAllKernels;

}  // namespace octoformer
