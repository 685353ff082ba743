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

/// Tiles 0 to 3 hold sums, the others operands. `rows`: those of sums and activations, tiles below `first_weight_tile`.
inline void configure_tiles(int rows, int first_weight_tile = 5) {
  TileConfiguration configuration;
  for (int tile = 0; tile < 8; ++tile) {
    configuration.row_bytes[tile] = 64;
    configuration.rows[tile] = static_cast<uint8_t>(tile < first_weight_tile ? rows : 16);
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

inline void finish_tiles(const TileTask& task, const float* sums, int64_t row, int64_t rows, int64_t column,
                         int64_t columns) {
  const int64_t rows_left = task.last_row - row, columns_left = task.out_features - column;
  finish_tile(task.epilogue, sums, kTilePanel, row, rows_left < rows ? rows_left : rows, column,
              columns_left < columns ? columns_left : columns);
}

/// Fetches where 32 x 32 results will go, and what is added to them, while their products are computed: each row is a
/// cache line or two on a page of its own, out of reach of the processor's prefetching.
inline void prefetch_results(const TileTask& task, int64_t row, int64_t column) {
  const int64_t rows_left = task.last_row - row, rows = rows_left < 2 * kTileRow ? rows_left : 2 * kTileRow;
  const GemmEpilogue& epilogue = task.epilogue;
  for (int64_t r = row; r < row + rows; ++r) {
    __builtin_prefetch(epilogue.out + r * epilogue.out_stride + column, 1);
    __builtin_prefetch(epilogue.out + r * epilogue.out_stride + column + kTileColumns, 1);
    if (epilogue.residual == nullptr) continue;
    __builtin_prefetch(epilogue.residual + r * epilogue.residual_stride + column);
    __builtin_prefetch(epilogue.residual + r * epilogue.residual_stride + column + kTileColumns);
  }
}

/// Up to 16 rows by whole panels, over all of K: a tile of activations meets four tiles of weights. Tiles have as many
/// rows as there are: fewer are faster.
void few_rows_amx(const TileTask& task) {
  const uint16_t* a = task.activations + task.first_row * task.row_stride;
  const int64_t row_bytes = task.row_stride * static_cast<int64_t>(sizeof(uint16_t));
  configure_tiles(static_cast<int>(task.last_row - task.first_row), 5);
  for (int64_t panel = task.first_panel; panel < task.last_panel; ++panel) {
    const uint16_t* weights = task.weights + panel * task.panel_stride;
    TILE_ZERO(0);
    TILE_ZERO(1);
    TILE_ZERO(2);
    TILE_ZERO(3);
    for (int64_t k = 0; k < task.depth; k += kTileDepth) {
      prefetch_step(tile_of_panel(weights, k + kPrefetchSteps * kTileDepth, 0));
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
    TILE_STORE(0, task.scratch, kSumBytes);
    TILE_STORE(1, task.scratch + kTileColumns, kSumBytes);
    TILE_STORE(2, task.scratch + 2 * kTileColumns, kSumBytes);
    TILE_STORE(3, task.scratch + 3 * kTileColumns, kSumBytes);
    finish_tiles(task, task.scratch, task.first_row, kTileRow, panel * kTilePanel, kTilePanel);
  }
  TILE_RELEASE();
}

/// sums [32, 32] (or [16, 32] if not `Tall`) += activations x half a panel; the sums start from 0 if `fresh`. Two tiles
/// of each side make four products: a load a product, where 16 x 64 sums would need five loads for four.
template <bool Tall>
inline void multiply_tiles(const uint16_t* a, int64_t row_bytes, const uint16_t* weights, int64_t depth, bool fresh,
                           float* sums) {
  float* below = sums + kTileRow * kTilePanel;
  const uint16_t* a_below = a + kTileRow * row_bytes / static_cast<int64_t>(sizeof(uint16_t));
  if (fresh) {
    TILE_ZERO(0);
    TILE_ZERO(1);
    if constexpr (Tall) {
      TILE_ZERO(2);
      TILE_ZERO(3);
    }
  } else {
    TILE_LOAD(0, sums, kSumBytes);
    TILE_LOAD(1, sums + kTileColumns, kSumBytes);
    if constexpr (Tall) {
      TILE_LOAD(2, below, kSumBytes);
      TILE_LOAD(3, below + kTileColumns, kSumBytes);
    }
  }
  for (int64_t k = 0; k < depth; k += kTileDepth) {
    TILE_LOAD(6, tile_of_panel(weights, k, 0), kPairBytes);
    TILE_LOAD(4, a + k, row_bytes);
    TILE_MULTIPLY_BFLOAT16(0, 4, 6);
    TILE_LOAD(7, tile_of_panel(weights, k, 1), kPairBytes);
    TILE_MULTIPLY_BFLOAT16(1, 4, 7);
    if constexpr (Tall) {
      TILE_LOAD(5, a_below + k, row_bytes);
      TILE_MULTIPLY_BFLOAT16(2, 5, 6);
      TILE_MULTIPLY_BFLOAT16(3, 5, 7);
    }
  }
  TILE_STORE(0, sums, kSumBytes);
  TILE_STORE(1, sums + kTileColumns, kSumBytes);
  if constexpr (Tall) {
    TILE_STORE(2, below, kSumBytes);
    TILE_STORE(3, below + kTileColumns, kSumBytes);
  }
}

/// A panel's block of k stays in the first-level cache while all rows pass by, 32 at a time: a strip of activations
/// meets one half of the panel, then, itself still in that cache, the other. Meanwhile the next panel's block comes
/// from memory, a share with every strip. Rows are filled up to whole tiles (configuring tiles takes as long as some
/// products): those beyond the last are computed and dropped.
void many_rows_amx(const TileTask& task) {
  const int64_t filled = (task.last_row - task.first_row + kTileRow - 1) / kTileRow * kTileRow;
  const int64_t strips = (filled + 2 * kTileRow - 1) / (2 * kTileRow);
  const int64_t row_bytes = task.row_stride * static_cast<int64_t>(sizeof(uint16_t));
  configure_tiles(kTileRow, 6);
  const uint16_t* block = task.activations + task.first_row * task.row_stride;
  for (int64_t first = 0; first < task.depth; first += task.depth_block, block += task.block_stride) {
    const int64_t rest = task.depth - first, depth = rest < task.depth_block ? rest : task.depth_block;
    float* sums = task.scratch;
    for (int64_t panel = task.first_panel; panel < task.last_panel; ++panel) {
      const uint16_t* weights = tile_of_panel(task.weights + panel * task.panel_stride, first, 0);
      const uint16_t* next_weights = weights + task.panel_stride;
      for (int64_t strip = 0; strip < strips; ++strip) {
        if (panel + 1 < task.last_panel) {
          const int64_t steps = depth / kTileDepth;
          for (int64_t step = steps * strip / strips; step < steps * (strip + 1) / strips; ++step) {
            prefetch_step(tile_of_panel(next_weights, step * kTileDepth, 0));
          }
        }
        const int64_t row = strip * 2 * kTileRow;
        for (int half = 0; half < 2; ++half) {
          const int64_t column = panel * kTilePanel + half * 2 * kTileColumns;
          if (column >= task.out_features) break;
          float* half_sums = sums + row * kTilePanel + half * 2 * kTileColumns;
          const uint16_t* a = block + row * task.row_stride;
          const bool finished = first + depth == task.depth;
          if (finished) prefetch_results(task, task.first_row + row, column);
          if (row + kTileRow < filled) {
            multiply_tiles<true>(a, row_bytes, tile_of_panel(weights, 0, 2 * half), depth, first == 0, half_sums);
          } else {
            multiply_tiles<false>(a, row_bytes, tile_of_panel(weights, 0, 2 * half), depth, first == 0, half_sums);
          }
          if (finished) {
            finish_tiles(task, half_sums, task.first_row + row, 2 * kTileRow, column, 2 * kTileColumns);
          }
        }
      }
      sums += filled * kTilePanel;
    }
  }
  TILE_RELEASE();
}

static_assert(kTileRow == 16 && kTileDepth == 32, "a tile is 16 rows of 64 bytes");

}  // namespace
}  // namespace octoformer
