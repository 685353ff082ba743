// int8 products on AMX tiles: 16 x 64 activations times 64 x 16 weights an instruction. In bytes all is as for bfloat16
// (gemm_amx.h): four k lie where a pair of bfloat16 does.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "cpu/gemm_int8_kernels.h"
#include "cpu/kernels/amx_blocks.h"
#include "cpu/kernels/amx_few_rows.h"
#include "cpu/kernels/amx_many_rows.h"
#include "cpu/kernels/gemm_int8_epilogue.h"
#include "cpu/kernels/gemm_int8_few_rows.h"

namespace octoformer {
namespace {

struct Int8TileProduct {
  using Task = Int8Task;
  using Sum = int32_t;
  static constexpr bool kIntegers = true;
  static constexpr int kTileDepth = 64;  // k of a step

  using Plain = PlainInt8Rows<kTilePanel, kTileRow>;

  static const GemmEpilogue& epilogue(const Task& task) { return task.epilogue.output; }
  static bool plain(const Task& task, int64_t row, int64_t column) { return Plain::fits(task, row, column); }
  static void finish(const Task& task, const int32_t* sums, int64_t row, int64_t rows, int64_t column) {
    finish_int8_rows<kTilePanel>(task, sums, row, rows, kTileRow, column);
  }
};

/// Up to so many rows the dot products of vectors keep up with memory, whose runs they read without tiles' waiting.
constexpr int kVectorRows = 8;

void few_rows_int8_amx(const Int8Task& task) {
  const int64_t rows = task.last_row - task.first_row;
  if (rows > kVectorRows) return few_rows_amx<Int8TileProduct>(task, task.sums);
  const FewRows tiled = {task.activations, kTileRowBytes, kTileRowBytes, kTileBytes};
  few_vector_rows_int8<Int8Unit, kVectorRows, kTilePanel / Vec::lanes, kTileColumns / Vec::lanes>(
      task, tiled, [&](const int32_t* sums, int64_t column) {
        finish_int8_rows<kTilePanel>(task, sums, task.first_row, rows, kTileRow, column);
      });
}

/// The sums begin with the two blocks being finished.
void many_rows_int8_amx(const Int8Task& task) {
  many_rows_amx<Int8TileProduct>(task, task.sums + 2 * kStripSums, task.sums);
}

static_assert(Int8Unit::flip == 0x80 && GeneralInt8Unit::flip == 0x80, "tiles multiply unsigned bytes");
static_assert(Int8TileProduct::kTileDepth == kByteRun, "quantize_row() writes rows of tiles");
constexpr Int8Kernel kInt8TileKernel = {.panel = kTilePanel,
                                        .packed_columns = kTileColumns,
                                        .row_tile = kTileRow,
                                        .few_rows_limit = kFewTileRows,
                                        .depth_granule = Int8TileProduct::kTileDepth,
                                        .row_granule = kStripRows,
                                        .tiled = true,
                                        .flip = Int8Unit::flip,
                                        .few_rows = few_rows_int8_amx,
                                        .many_rows = many_rows_int8_amx};

}  // namespace
}  // namespace octoformer
