// The ops that work row by row: each spreads the rows over threads and calls one of RowKernels.
#pragma once
#include <span>

#include "backend/backend.h"
#include "cpu/row_kernels.h"

namespace octoformer {

/// The norm of one row of arguments.input, into `out`.
void norm_row(const RowKernels& kernels, const NormArguments& arguments, int64_t row, float* out);
void run_norm(const RowKernels& kernels, int threads, const NormArguments& arguments);
void run_rope(const RowKernels& kernels, int threads, const RopeArguments& arguments);
void run_gated_activation(const RowKernels& kernels, int threads, ConstMatrixView gate, ConstMatrixView up,
                          Activation activation, MatrixView out);
void run_activation(const RowKernels& kernels, int threads, ConstMatrixView input, Activation activation,
                    MatrixView out);
void run_elementwise(const RowKernels& kernels, int threads, ElementwiseKind kind, ConstMatrixView left,
                     ConstMatrixView right, MatrixView out);
void run_scale(const RowKernels& kernels, int threads, ConstMatrixView input, float factor, float softcap,
               MatrixView out);
void run_gather_rows(int threads, ConstMatrixView input, std::span<const int32_t> rows, MatrixView out);

}  // namespace octoformer
