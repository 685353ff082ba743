// int8 products on AMX tiles: 16 x 64 activations times 64 x 16 weights an instruction. In bytes all is as for bfloat16
// (gemm_amx.h): four k of a panel lie where a pair of bfloat16 does.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "cpu/gemm_int8_kernels.h"
#include "cpu/kernels/gemm_amx.h"
#include "cpu/kernels/gemm_int8_epilogue.h"

namespace octoformer {
namespace {

constexpr int kInt8TileDepth = 64;                           // k of a step
constexpr int64_t kQuadBytes = 4 * kTilePanel;               // from four k to the next four
constexpr int64_t kStepBytes = kInt8TileDepth * kTilePanel;  // of weights

/// sums [rows, 64] = (or, unless `fresh`, +=) activations [rows, depth] x a run of a panel.
template <bool FromMemory>
inline void multiply_int8_tiles(const uint8_t* a, int64_t row_bytes, const int8_t* weights, int64_t depth, bool fresh,
                                int32_t* sums) {
  if (fresh) {
    TILE_ZERO(0);
    TILE_ZERO(1);
    TILE_ZERO(2);
    TILE_ZERO(3);
  } else {
    TILE_LOAD(0, sums, kSumBytes);
    TILE_LOAD(1, sums + kTileColumns, kSumBytes);
    TILE_LOAD(2, sums + 2 * kTileColumns, kSumBytes);
    TILE_LOAD(3, sums + 3 * kTileColumns, kSumBytes);
  }
  for (int64_t k = 0; k < depth; k += kInt8TileDepth, weights += kStepBytes) {
    if constexpr (FromMemory) {
      prefetch_step(reinterpret_cast<const uint16_t*>(weights + kPrefetchSteps * kStepBytes));
    }
    TILE_LOAD(4, a + k, row_bytes);
    TILE_LOAD(5, weights, kQuadBytes);
    TILE_MULTIPLY_UINT8_INT8(0, 4, 5);
    TILE_LOAD(6, weights + 4 * kTileColumns, kQuadBytes);
    TILE_MULTIPLY_UINT8_INT8(1, 4, 6);
    TILE_LOAD(7, weights + 8 * kTileColumns, kQuadBytes);
    TILE_MULTIPLY_UINT8_INT8(2, 4, 7);
    TILE_LOAD(5, weights + 12 * kTileColumns, kQuadBytes);
    TILE_MULTIPLY_UINT8_INT8(3, 4, 5);
  }
  TILE_STORE(0, sums, kSumBytes);
  TILE_STORE(1, sums + kTileColumns, kSumBytes);
  TILE_STORE(2, sums + 2 * kTileColumns, kSumBytes);
  TILE_STORE(3, sums + 3 * kTileColumns, kSumBytes);
}

/// Up to 16 rows by whole panels, over all of K. Tiles have as many rows as there are: fewer are faster.
void few_rows_int8_amx(const Int8Task& task) {
  const uint8_t* a = task.activations + task.first_row * task.row_stride;
  configure_tiles(static_cast<int>(task.last_row - task.first_row));
  for (int64_t panel = task.first_panel; panel < task.last_panel; ++panel) {
    multiply_int8_tiles<true>(a, task.row_stride, task.weights + panel * task.panel_stride, task.depth, true,
                              task.sums);
    finish_int8_tile(task, task.sums, task.first_row, kTileRow, panel);
  }
  TILE_RELEASE();
}

/// A block of a panel stays in the first-level cache while all rows pass by, 16 at a time; those beyond the last are
/// computed and dropped.
void many_rows_int8_amx(const Int8Task& task) {
  configure_tiles(kTileRow);
  const uint8_t* block = task.activations;
  for (int64_t first = 0; first < task.depth; first += task.depth_block, block += task.block_stride) {
    const int64_t rest = task.depth - first, depth = rest < task.depth_block ? rest : task.depth_block;
    int32_t* sums = task.sums;
    for (int64_t panel = task.first_panel; panel < task.last_panel; ++panel) {
      const int8_t* weights = task.weights + panel * task.panel_stride + first * kTilePanel;
      for (int64_t row = task.first_row; row < task.last_row; row += kTileRow, sums += kTileRow * kTilePanel) {
        multiply_int8_tiles<false>(block + row * task.row_stride, task.row_stride, weights, depth, first == 0, sums);
        if (first + depth == task.depth) finish_int8_tile(task, sums, row, kTileRow, panel);
      }
    }
  }
  TILE_RELEASE();
}

}  // namespace
}  // namespace octoformer
