// int8 products on AMX tiles: 16 x 64 activations times 64 x 16 weights an instruction. In bytes all is as for bfloat16
// (gemm_amx.h): four k of a panel lie where a pair of bfloat16 does.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "cpu/gemm_int8_kernels.h"
#include "cpu/kernels/amx_blocks.h"
#include "cpu/kernels/gemm_int8_epilogue.h"

namespace octoformer {
namespace {

struct Int8TileProduct {
  using Task = Int8Task;
  using Sum = int32_t;
  static constexpr bool kIntegers = true;
  static constexpr int kTileDepth = 64;  // k of a step

  static const GemmEpilogue& epilogue(const Task& task) { return task.epilogue.output; }
  static void finish(const Task& task, const int32_t* sums, int64_t row, int64_t rows, int64_t column) {
    finish_int8_rows<kTilePanel>(task, sums, row, rows, kTileRow, column);
  }
};

void few_rows_int8_amx(const Int8Task& task) { few_rows_amx<Int8TileProduct>(task, task.sums); }

/// The sums begin with the two strips being finished.
void many_rows_int8_amx(const Int8Task& task) {
  many_rows_amx<Int8TileProduct>(task, task.sums + 2 * kStripSums, task.sums);
}

}  // namespace
}  // namespace octoformer
