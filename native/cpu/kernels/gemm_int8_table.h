// The int8 products of an ISA as their table.
#pragma once
#include "cpu/gemm_int8_kernels.h"
#include "cpu/kernels/gemm_int8_few_rows.h"
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
  return {kPanel, kPanel, Unit::rows, kFewVectorRows,      depth_granule,
          1,      false,  Unit::flip, few_rows_int8<Unit>, many_rows_int8<Unit>};
}

template <class Unit>
constexpr Int8Kernel int8_kernel() {
#if defined(OCTOFORMER_TILES)
  static_assert(Unit::flip == 0x80, "tiles multiply unsigned bytes");
  static_assert(Int8TileProduct::kTileDepth == kByteRun, "quantize_row() writes rows of tiles");
  return {kTilePanel, kTileColumns, kTileRow,   kFewTileRows,      Int8TileProduct::kTileDepth,
          kStripRows, true,         Unit::flip, few_rows_int8_amx, many_rows_int8_amx};
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
