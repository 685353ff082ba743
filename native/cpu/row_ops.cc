#include "cpu/row_ops.h"

#include <cstring>

#include "cpu/parallel_rows.h"

namespace octoformer {

void make_row(const RowKernels& kernels, const NormArguments& arguments, int64_t row, float* out) {
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

void make_row(const RowKernels& kernels, const ActivationArguments& arguments, int64_t row, float* out) {
  kernels.activation(arguments.activation, arguments.input.row(row), out, arguments.input.columns);
}

void make_row(const RowKernels& kernels, const GatedActivationArguments& arguments, int64_t row, float* out) {
  kernels.gated_activation(arguments.activation, arguments.gate.row(row), arguments.up.row(row), out,
                           arguments.gate.columns);
}

const ConstMatrixView& first_input(const RowOrigin& origin) {
  struct Visitor {
    const ConstMatrixView& operator()(const ConstMatrixView& rows) const { return rows; }
    const ConstMatrixView& operator()(const NormArguments& norm) const { return norm.input; }
    const ConstMatrixView& operator()(const ActivationArguments& activation) const { return activation.input; }
    const ConstMatrixView& operator()(const GatedActivationArguments& gated) const { return gated.gate; }
  };
  return std::visit(Visitor{}, origin);
}

namespace {

void run(const RowKernels& kernels, int threads, const auto& arguments) {
  const MatrixView& out = arguments.out;
  parallel_rows(threads, out.rows, out.columns, [&](int64_t row) { make_row(kernels, arguments, row, out.row(row)); });
}

}  // namespace

void run_norm(const RowKernels& kernels, int threads, const NormArguments& arguments) {
  run(kernels, threads, arguments);
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

void run_gated_activation(const RowKernels& kernels, int threads, const GatedActivationArguments& arguments) {
  run(kernels, threads, arguments);
}

void run_activation(const RowKernels& kernels, int threads, const ActivationArguments& arguments) {
  run(kernels, threads, arguments);
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
