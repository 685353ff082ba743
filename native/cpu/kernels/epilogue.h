// The one epilogue of every matrix product: finished sums become output.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "cpu/gemm_kernels.h"
#include "cpu/kernels/activation.h"

namespace octoformer {
namespace {

/// `sums` [rows, panel] with `sums_stride` floats from row to row are those of rows [row, row + rows) and columns
/// [column, column + columns). A missing bias or residual is not added at all: -0 stays -0.
[[gnu::noinline]] void finish_tile(const GemmEpilogue& epilogue, const float* sums, int64_t sums_stride, int64_t row,
                                   int64_t rows, int64_t column, int64_t columns) {
  with_activation(epilogue.activation, [&](auto tag) {
    constexpr Activation kind = decltype(tag)::kind;
    for (int64_t r = 0; r < rows; ++r) {
      const float* sum = sums + r * sums_stride;
      const float* scale = epilogue.column_scale ? epilogue.column_scale + column : nullptr;
      const float* bias = epilogue.bias ? epilogue.bias + column : nullptr;
      const float* residual =
          epilogue.residual ? epilogue.residual + (row + r) * epilogue.residual_stride + column : nullptr;
      float* out = epilogue.out + (row + r) * epilogue.out_stride + column;
      int64_t i = 0;
      for (; i + Vec::lanes <= columns; i += Vec::lanes) {
        Vec::F x = Vec::load(sum + i);
        if (scale) x = Vec::mul(x, Vec::load(scale + i));
        if (bias) x = Vec::add(x, Vec::load(bias + i));
        x = activate<kind>(x);
        if (residual) x = Vec::add(x, Vec::load(residual + i));
        Vec::store(out + i, x);
      }
      if (i < columns) {
        const int64_t rest = columns - i;
        Vec::F x = Vec::load(sum + i);
        if (scale) x = Vec::mul(x, Vec::load(scale + i));
        if (bias) x = Vec::add(x, Vec::load_n(bias + i, rest));
        x = activate<kind>(x);
        if (residual) x = Vec::add(x, Vec::load_n(residual + i, rest));
        Vec::store_n(out + i, x, rest);
      }
    }
  });
}

}  // namespace
}  // namespace octoformer
