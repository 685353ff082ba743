// bfloat16 products on AMX tiles: 16 x 32 activations times 32 x 16 weights an instruction. A panel's pairs of k lie as
// a tile of weights wants them: 16 rows of a pair for each of 16 output features.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "cpu/gemm_kernels.h"
#include "cpu/kernels/epilogue.h"
#include "cpu/kernels/gemm_tile.h"

namespace octoformer {
namespace {

constexpr int kTilePanel = 64;                                     // output features of a panel: four tiles
constexpr int kTileRow = 16;                                       // rows of a tile
constexpr int kTileDepth = 32;                                     // k of a step
constexpr int kTileColumns = 16;                                   // columns of a tile of sums
constexpr int64_t kPairBytes = 2 * kTilePanel * sizeof(uint16_t);  // from a pair of k to the next
constexpr int64_t kSumBytes = kTilePanel * sizeof(float);          // from a row of sums to the next
using TileTask = GemmTask<uint16_t, uint16_t>;

/// Tiles 0 to 3 hold sums, 4 activations, 5 to 7 weights. `rows`: those of sums and activations.
inline void configure_tiles(int rows) {
  TileConfiguration configuration;
  for (int tile = 0; tile < 8; ++tile) {
    configuration.row_bytes[tile] = 64;
    configuration.rows[tile] = static_cast<uint8_t>(tile < 5 ? rows : 16);
  }
  TILE_CONFIGURE(configuration);
}

/// Tile n of the weights of step k: output features [16 n, 16 n + 16) of a panel.
inline const uint16_t* tile_of_panel(const uint16_t* panel, int64_t k, int n) {
  return panel + k * kTilePanel + n * 2 * kTileColumns;
}

/// Tiles are loaded in an order that the processor's own prefetching does not follow: fetch the 4 KB of a step of
/// weights in time (8 KB ahead, a microsecond or so of what memory gives). Beyond the end it fetches nothing harmful.
constexpr int64_t kPrefetchSteps = 2;
inline void prefetch_step(const uint16_t* weights) {
#pragma GCC unroll 64
  for (int line = 0; line < 64; ++line) __builtin_prefetch(reinterpret_cast<const char*>(weights) + line * 64);
}

/// sums [rows, 64] += activations [rows, depth] x a run of a panel; the sums start from 0 if `fresh`. A tile of
/// activations meets four tiles of weights: 5 loads of 8 cycles for 4 products of 16.
template <bool FromMemory>
inline void multiply_tiles(const uint16_t* a, int64_t row_bytes, const uint16_t* weights, int64_t depth, bool fresh,
                           float* sums) {
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
  for (int64_t k = 0; k < depth; k += kTileDepth) {
    if constexpr (FromMemory) prefetch_step(tile_of_panel(weights, k + kPrefetchSteps * kTileDepth, 0));
    TILE_LOAD(4, a + k, row_bytes);
    TILE_LOAD(5, tile_of_panel(weights, k, 0), kPairBytes);
    TILE_MULTIPLY_BFLOAT16(0, 4, 5);
    TILE_LOAD(6, tile_of_panel(weights, k, 1), kPairBytes);
    TILE_MULTIPLY_BFLOAT16(1, 4, 6);
    TILE_LOAD(7, tile_of_panel(weights, k, 2), kPairBytes);
    TILE_MULTIPLY_BFLOAT16(2, 4, 7);
    TILE_LOAD(5, tile_of_panel(weights, k, 3), kPairBytes);
    TILE_MULTIPLY_BFLOAT16(3, 4, 5);
  }
  TILE_STORE(0, sums, kSumBytes);
  TILE_STORE(1, sums + kTileColumns, kSumBytes);
  TILE_STORE(2, sums + 2 * kTileColumns, kSumBytes);
  TILE_STORE(3, sums + 3 * kTileColumns, kSumBytes);
}

inline void finish_tiles(const TileTask& task, const float* sums, int64_t row, int64_t panel) {
  const int64_t rows = task.last_row - row, column = panel * kTilePanel, columns = task.out_features - column;
  finish_tile(task.epilogue, sums, kTilePanel, row, rows < kTileRow ? rows : kTileRow, column,
              columns < kTilePanel ? columns : kTilePanel);
}

/// Up to 16 rows by whole panels, over all of K. Tiles have as many rows as there are: fewer are faster.
void few_rows_amx(const TileTask& task) {
  const uint16_t* a = task.activations + task.first_row * task.row_stride;
  configure_tiles(static_cast<int>(task.last_row - task.first_row));
  for (int64_t panel = task.first_panel; panel < task.last_panel; ++panel) {
    multiply_tiles<true>(a, task.row_stride * 2, task.weights + panel * task.panel_stride, task.depth, true,
                         task.scratch);
    finish_tiles(task, task.scratch, task.first_row, panel);
  }
  TILE_RELEASE();
}

/// A block of a panel stays in the first-level cache while all rows pass by, 16 at a time. Rows are filled up to whole
/// tiles (configuring tiles takes as long as some products): those beyond the last are computed and dropped.
void many_rows_amx(const TileTask& task) {
  configure_tiles(kTileRow);
  const uint16_t* block = task.activations;
  for (int64_t first = 0; first < task.depth; first += task.depth_block, block += task.block_stride) {
    const int64_t rest = task.depth - first, depth = rest < task.depth_block ? rest : task.depth_block;
    float* sums = task.scratch;
    for (int64_t panel = task.first_panel; panel < task.last_panel; ++panel) {
      const uint16_t* weights = tile_of_panel(task.weights + panel * task.panel_stride, first, 0);
      for (int64_t row = task.first_row; row < task.last_row; row += kTileRow, sums += kTileRow * kTilePanel) {
        multiply_tiles<false>(block + row * task.row_stride, task.row_stride * 2, weights, depth, first == 0, sums);
        if (first + depth == task.depth) finish_tiles(task, sums, row, panel);
      }
    }
  }
  TILE_RELEASE();
}

static_assert(kTileRow == 16 && kTileDepth == 32, "a tile is 16 rows of 64 bytes");

}  // namespace
}  // namespace octoformer
