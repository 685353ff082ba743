// The ops that work row by row: each spreads the rows over threads and calls one of RowKernels.
#pragma once
#include <span>

#include "backend/backend.h"
#include "cpu/row_kernels.h"

namespace octoformer {

/// Row `row` of what the op makes, into `out`.
void make_row(const RowKernels& kernels, const NormArguments& arguments, int64_t row, float* out);
void make_row(const RowKernels& kernels, const ActivationArguments& arguments, int64_t row, float* out);
void make_row(const RowKernels& kernels, const GatedActivationArguments& arguments, int64_t row, float* out);

/// Has the rows and columns of what the op makes.
const ConstMatrixView& first_input(const RowOrigin& origin);

void run_norm(const RowKernels& kernels, int threads, const NormArguments& arguments);
void run_rope(const RowKernels& kernels, int threads, const RopeArguments& arguments);
void run_gated_activation(const RowKernels& kernels, int threads, const GatedActivationArguments& arguments);
void run_activation(const RowKernels& kernels, int threads, const ActivationArguments& arguments);
void run_elementwise(const RowKernels& kernels, int threads, ElementwiseKind kind, ConstMatrixView left,
                     ConstMatrixView right, MatrixView out);
void run_scale(const RowKernels& kernels, int threads, ConstMatrixView input, float factor, float softcap,
               MatrixView out);
void run_gather_rows(int threads, ConstMatrixView input, std::span<const int32_t> rows, MatrixView out);

}  // namespace octoformer
