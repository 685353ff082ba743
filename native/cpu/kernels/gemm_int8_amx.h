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
constexpr int64_t kQuadTile = 4 * kTileColumns;              // from a tile of weights to the one beside it
constexpr int64_t kStepBytes = kInt8TileDepth * kTilePanel;  // of weights

/// Tiles 0 to 4 (sums and, in decoding, activations) have `rows` rows.
inline void configure_int8_tiles(int rows) {
  TileConfiguration configuration;
  for (int tile = 0; tile < 8; ++tile) {
    configuration.row_bytes[tile] = 64;
    configuration.rows[tile] = static_cast<uint8_t>(tile < 5 ? rows : 16);
  }
  TILE_CONFIGURE(configuration);
}

/// sums [rows, 64] = activations [rows, depth] x a panel, its weights read once, from memory.
inline void multiply_int8_panel(const uint8_t* a, int64_t row_bytes, const int8_t* weights, int64_t depth,
                                int32_t* sums) {
  TILE_ZERO(0);
  TILE_ZERO(1);
  TILE_ZERO(2);
  TILE_ZERO(3);
  for (int64_t k = 0; k < depth; k += kInt8TileDepth, weights += kStepBytes) {
    prefetch_step(reinterpret_cast<const uint16_t*>(weights + kPrefetchSteps * kStepBytes));
    TILE_LOAD(4, a + k, row_bytes);
    TILE_LOAD(5, weights, kQuadBytes);
    TILE_MULTIPLY_UINT8_INT8(0, 4, 5);
    TILE_LOAD(6, weights + kQuadTile, kQuadBytes);
    TILE_MULTIPLY_UINT8_INT8(1, 4, 6);
    TILE_LOAD(7, weights + 2 * kQuadTile, kQuadBytes);
    TILE_MULTIPLY_UINT8_INT8(2, 4, 7);
    TILE_LOAD(5, weights + 3 * kQuadTile, kQuadBytes);
    TILE_MULTIPLY_UINT8_INT8(3, 4, 5);
  }
  TILE_STORE(0, sums, kSumBytes);
  TILE_STORE(1, sums + kTileColumns, kSumBytes);
  TILE_STORE(2, sums + 2 * kTileColumns, kSumBytes);
  TILE_STORE(3, sums + 3 * kTileColumns, kSumBytes);
}

/// sums [32, 32 of 64] = (or, unless `fresh`, +=) activations [32, depth] x half the width of a panel. Two tiles of
/// each meet each other: one load a product is the least that eight tiles allow, and loads are what limits.
inline void multiply_int8_tiles(const uint8_t* a, int64_t row_bytes, const int8_t* weights, int64_t depth, bool fresh,
                                int32_t* sums) {
  int32_t* below = sums + kTileRow * kTilePanel;
  if (fresh) {
    TILE_ZERO(0);
    TILE_ZERO(1);
    TILE_ZERO(2);
    TILE_ZERO(3);
  } else {
    TILE_LOAD(0, sums, kSumBytes);
    TILE_LOAD(1, sums + kTileColumns, kSumBytes);
    TILE_LOAD(2, below, kSumBytes);
    TILE_LOAD(3, below + kTileColumns, kSumBytes);
  }
  for (int64_t k = 0; k < depth; k += kInt8TileDepth, weights += kStepBytes) {
    TILE_LOAD(4, a + k, row_bytes);
    TILE_LOAD(6, weights, kQuadBytes);
    TILE_MULTIPLY_UINT8_INT8(0, 4, 6);
    TILE_LOAD(7, weights + kQuadTile, kQuadBytes);
    TILE_MULTIPLY_UINT8_INT8(1, 4, 7);
    TILE_LOAD(5, a + kTileRow * row_bytes + k, row_bytes);
    TILE_MULTIPLY_UINT8_INT8(2, 5, 6);
    TILE_MULTIPLY_UINT8_INT8(3, 5, 7);
  }
  TILE_STORE(0, sums, kSumBytes);
  TILE_STORE(1, sums + kTileColumns, kSumBytes);
  TILE_STORE(2, below, kSumBytes);
  TILE_STORE(3, below + kTileColumns, kSumBytes);
}

/// Up to 16 rows by whole panels, over all of K. Tiles have as many rows as there are: fewer are faster.
void few_rows_int8_amx(const Int8Task& task) {
  const uint8_t* a = task.activations + task.first_row * task.row_stride;
  configure_int8_tiles(static_cast<int>(task.last_row - task.first_row));
  for (int64_t panel = task.first_panel; panel < task.last_panel; ++panel) {
    multiply_int8_panel(a, task.row_stride, task.weights + panel * task.panel_stride, task.depth, task.sums);
    finish_int8_tile<kTilePanel>(task, task.sums, task.first_row, kTileRow, panel);
  }
  TILE_RELEASE();
}

/// A block of a panel stays in the first-level cache while all rows pass by, 32 at a time; those beyond the last are
/// computed and dropped. Meanwhile the next block is fetched into the second-level cache.
void many_rows_int8_amx(const Int8Task& task) {
  configure_int8_tiles(kTileRow);
  const int64_t pairs = (task.last_row - task.first_row + 2 * kTileRow - 1) / (2 * kTileRow);
  const int64_t lines = (task.depth_block * kTilePanel / 64 + pairs - 1) / pairs;  // of the next block, for each pair
  const uint8_t* block = task.activations;
  for (int64_t first = 0; first < task.depth; first += task.depth_block, block += task.block_stride) {
    const int64_t rest = task.depth - first, depth = rest < task.depth_block ? rest : task.depth_block;
    int32_t* sums = task.sums;
    for (int64_t panel = task.first_panel; panel < task.last_panel; ++panel) {
      const int8_t* weights = task.weights + panel * task.panel_stride + first * kTilePanel;
      const int8_t* next = panel + 1 < task.last_panel
                               ? weights + task.panel_stride
                               : task.weights + task.first_panel * task.panel_stride + (first + depth) * kTilePanel;
      for (int64_t row = task.first_row; row < task.last_row; row += 2 * kTileRow) {
        for (int64_t line = 0; line < lines; ++line, next += 64) __builtin_prefetch(next, 0, 2);
        const uint8_t* a = block + row * task.row_stride;
        multiply_int8_tiles(a, task.row_stride, weights, depth, first == 0, sums);
        multiply_int8_tiles(a, task.row_stride, weights + 2 * kQuadTile, depth, first == 0, sums + 2 * kTileColumns);
        for (int half = 0; half < 2; ++half, sums += kTileRow * kTilePanel) {
          const int64_t top = row + half * kTileRow;
          if (first + depth == task.depth && top < task.last_row)
            finish_int8_tile<kTilePanel>(task, sums, top, kTileRow, panel);
        }
      }
    }
  }
  TILE_RELEASE();
}

}  // namespace
}  // namespace octoformer
