// The int8 products of an ISA as their table.
#pragma once
#include "cpu/gemm_int8_kernels.h"
#include "cpu/kernels/gemm_int8_few_rows.h"
#include "cpu/kernels/gemm_int8_narrowed.h"
#include "cpu/kernels/gemm_int8_tile.h"
#include "cpu/kernels/quantize_rows.h"
#include "cpu/kernels/table_row.h"
#if defined(OCTOFORMER_TILES)
#include "cpu/kernels/gemm_int8_amx.h"
#endif

namespace octoformer {
namespace {

template <class Unit>
constexpr Int8Kernel int8_vector_kernel() {
  constexpr int depth_granule = [] {
    if constexpr (requires { Unit::depth; }) return Unit::depth;
    return 4;
  }();
  static_assert(Unit::rows <= kLargestRowTile);
  Int8Kernel kernel = {.panel = kPanel,
                       .packed_columns = kPanel,
                       .row_tile = Unit::rows,
                       .few_rows_limit = kFewVectorRows,
                       .depth_granule = depth_granule,
                       .flip = Unit::flip,
                       .few_rows = few_rows_int8<Unit>,
                       .many_rows = many_rows_int8<Unit>};
  if constexpr (requires { typename Unit::Narrowed; }) {
    kernel.narrowed_rows = kNarrowedRows;
    // Narrowing a panel's weights pays from about as many rows on (32 on a Zen 3: 1.04 to 1.13x).
    kernel.few_rows_limit = kFewVectorRows / 2;
    kernel.many_rows = many_narrowed_rows_int8<Unit>;
  }
  return kernel;
}

template <class Unit>
constexpr Int8Kernel int8_kernel() {
#if defined(OCTOFORMER_TILES)
  return kInt8TileKernel;
#else
  return int8_vector_kernel<Unit>();
#endif
}

constexpr Int8Kernels kInt8Kernels = {int8_kernel<Int8Unit>(),
                                      int8_kernel<GeneralInt8Unit>(),
                                      scan_row,
                                      scan_outliers,
                                      quantize_row,
                                      int8_table_row,
                                      kPanel};

}  // namespace
}  // namespace octoformer
