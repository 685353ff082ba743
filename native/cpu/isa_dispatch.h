// From an instruction set to its kernels.
#pragma once
#include "cpu/isa.h"
#include "cpu/kernel_table.h"

namespace octoformer {

/// The kernels for `isa`, one of available_isas().
const KernelTable& kernel_table(Isa isa);

}  // namespace octoformer
