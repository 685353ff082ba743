// The kernels of one ISA as plain function pointers. Each native/cpu/isa_<name>.cc is compiled with its own flags and
// exports exactly one constant, `kernels_<name>`; everything else in it lives in an anonymous namespace.
#pragma once
#include "cpu/attention_kernels.h"
#include "cpu/gemm_int8_kernels.h"
#include "cpu/gemm_kernels.h"
#include "cpu/row_kernels.h"

namespace octoformer {

struct KernelTable {
  GemmKernels gemm;            // kernels/gemm_*.h
  Int8Kernels int8;            // kernels/gemm_int8_*.h, quantize_rows.h
  RowKernels rows;             // kernels/norm.h, rope.h, activation.h, elementwise.h ...
  AttentionKernels attention;  // kernels/attention.h
};

#if defined(__x86_64__) || defined(_M_X64)
extern const KernelTable kernels_avx2, kernels_avx_vnni, kernels_avx512, kernels_avx512_bf16, kernels_amx;
#elif defined(__aarch64__) || defined(_M_ARM64)
extern const KernelTable kernels_neon, kernels_neon_dotprod, kernels_neon_bf16;
#endif
extern const KernelTable kernels_scalar;

}  // namespace octoformer
