#include "cpu/row_ops.h"

#include <cstring>

#include "cpu/parallel_rows.h"

namespace octoformer {

void norm_row(const RowKernels& kernels, const NormArguments& arguments, int64_t row, float* out) {
  const auto kernel = arguments.kind == NormKind::rms ? kernels.rms_norm : kernels.layer_norm;
  kernel({.input = arguments.input.row(row),
          .out = out,
          .weight = arguments.weight,
          .bias = arguments.bias,
          .columns = arguments.input.columns,
          .group = arguments.group,
          .weight_offset = arguments.weight_offset,
          .epsilon = arguments.epsilon});
}

void run_norm(const RowKernels& kernels, int threads, const NormArguments& arguments) {
  parallel_rows(threads, arguments.input.rows, arguments.input.columns,
                [&](int64_t row) { norm_row(kernels, arguments, row, arguments.out.row(row)); });
}

void run_rope(const RowKernels& kernels, int threads, const RopeArguments& arguments) {
  const auto kernel = arguments.pairing == RopePairing::half ? kernels.rope_half : kernels.rope_adjacent;
  parallel_rows(threads, arguments.x.rows, arguments.heads * arguments.rotary_dim, [&](int64_t row) {
    kernel({.x = arguments.x.row(row),
            .table = arguments.table.row(row),
            .heads = arguments.heads,
            .head_dim = arguments.head_dim,
            .rotary_dim = arguments.rotary_dim});
  });
}

void run_gated_activation(const RowKernels& kernels, int threads, ConstMatrixView gate, ConstMatrixView up,
                          Activation activation, MatrixView out) {
  parallel_rows(threads, out.rows, out.columns, [&](int64_t row) {
    kernels.gated_activation(activation, gate.row(row), up.row(row), out.row(row), out.columns);
  });
}

void run_activation(const RowKernels& kernels, int threads, ConstMatrixView input, Activation activation,
                    MatrixView out) {
  parallel_rows(threads, out.rows, out.columns,
                [&](int64_t row) { kernels.activation(activation, input.row(row), out.row(row), out.columns); });
}

void run_elementwise(const RowKernels& kernels, int threads, ElementwiseKind kind, ConstMatrixView left,
                     ConstMatrixView right, MatrixView out) {
  const auto kernel = kind == ElementwiseKind::add ? kernels.add : kernels.multiply;
  parallel_rows(threads, out.rows, out.columns,
                [&](int64_t row) { kernel(left.row(row), right.row(row), out.row(row), out.columns); });
}

void run_scale(const RowKernels& kernels, int threads, ConstMatrixView input, float factor, float softcap,
               MatrixView out) {
  parallel_rows(threads, out.rows, out.columns,
                [&](int64_t row) { kernels.scale(input.row(row), factor, softcap, out.row(row), out.columns); });
}

void run_gather_rows(int threads, ConstMatrixView input, std::span<const int32_t> rows, MatrixView out) {
  parallel_rows(threads, static_cast<int64_t>(rows.size()), out.columns, [&](int64_t row) {
    std::memcpy(out.row(row), input.row(rows[static_cast<size_t>(row)]),
                static_cast<size_t>(out.columns) * sizeof(float));
  });
}

}  // namespace octoformer
