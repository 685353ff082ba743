// Every kernel of an ISA: included once by each isa_<name>.cc, after its Vec.
#pragma once
#include "cpu/kernel_table.h"
#include "cpu/kernels/attention_table.h"
#include "cpu/kernels/gemm_int8_table.h"
#include "cpu/kernels/gemm_table.h"
#include "cpu/kernels/row_table.h"

namespace octoformer {
namespace {

constexpr KernelTable kAllKernels = {kGemmKernels, kInt8Kernels, kRowKernels, kAttentionKernels};

}  // namespace
}  // namespace octoformer
