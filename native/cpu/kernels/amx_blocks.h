// What products with AMX tiles share, the same for bfloat16 and int8: 64 bytes of k a step, 16 rows of activations a
// tile, and of weights two tiles beside each other in a panel. amx_many_rows.h and amx_few_rows.h multiply.
//
// A `Product` says what differs:
//   Task, Sum             GemmTask<...> and float, or Int8Task and int32_t
//   kIntegers             which instruction multiplies
//   epilogue(task)        where results go
//   finish(task, sums, row, rows, column): `sums` [rows][kTilePanel] become output
//   plain(task, row, column), Plain: whether 16 rows of a panel can be finished row by row, and what does
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "cpu/gemm_kernels.h"
#include "cpu/kernels/epilogue.h"

namespace octoformer {
namespace {

constexpr int kTileRow = 16;       // rows of a tile
constexpr int kTileColumns = 16;   // columns of a tile of sums
constexpr int kTileRowBytes = 64;  // bytes of k of a step
constexpr int kTileBytes = kTileRow * kTileRowBytes;
/// Output features of a panel: those of the 2 x 2 tiles of sums that eight tiles allow (a load a product; 16 x 64 sums
/// would need five loads for four). A step of its weights is two tiles, one after the other: 1 KB each in one run, of
/// which the processor's prefetching brings the next lines while the first are loaded (measured: 4 to 10 % faster than
/// tiles whose rows lie beside each other), and the panel in one run for those who read it with vectors.
constexpr int kTilePanel = 2 * kTileColumns;
constexpr int kPanelStepBytes = 2 * kTileBytes;
constexpr int kStripRows = 2 * kTileRow;
constexpr int kStripSums = kStripRows * kTilePanel;
constexpr int kSumRowBytes = 4 * kTilePanel;

// As few tiles are used as do the work: on a core whose other thread uses tiles too, products with eight in use ran at
// half of the rate of those with six (measured). Both threads probably share the registers that tiles are renamed to.

/// Tiles 0 to 3 hold sums, the others operands. `rows`: those of sums and activations, tiles below `first_weight_tile`.
inline void configure_tiles(int rows, int first_weight_tile) {
  TileConfiguration configuration;
  for (int tile = 0; tile < 8; ++tile) {
    configuration.row_bytes[tile] = kTileRowBytes;
    configuration.rows[tile] = static_cast<uint8_t>(tile < first_weight_tile ? rows : 16);
  }
  TILE_CONFIGURE(configuration);
}

#define TILE_MULTIPLY(sums, a, b)           \
  do {                                      \
    if constexpr (Product::kIntegers)       \
      TILE_MULTIPLY_UINT8_INT8(sums, a, b); \
    else                                    \
      TILE_MULTIPLY_BFLOAT16(sums, a, b);   \
  } while (false)

template <class Product>
inline const uint8_t* panel_bytes(const typename Product::Task& task, int64_t panel) {
  return reinterpret_cast<const uint8_t*>(task.weights + panel * task.panel_stride);
}

/// Where the results of rows will go, and what is added to them: each row is two cache lines on a page of its own, out
/// of reach of the processor's prefetching.
struct FetchingResults {
  const GemmEpilogue& epilogue;
  int64_t row = 0, end = 0, column = 0, rows_at_a_time = 0;

  void start(int64_t first_row, int64_t last_row, int64_t first_column, int64_t times) {
    row = first_row;
    end = first_row + kStripRows < last_row ? first_row + kStripRows : last_row;
    column = first_column;
    rows_at_a_time = (kStripRows + times - 1) / times;
  }
  void fetch_some() {
    for (int64_t i = 0; i < rows_at_a_time && row < end; ++i, ++row) {
      __builtin_prefetch(epilogue.out + row * epilogue.out_stride + column, 1, 2);
      __builtin_prefetch(epilogue.out + row * epilogue.out_stride + column + kTileColumns, 1, 2);
      if (epilogue.residual == nullptr || epilogue.residual == epilogue.out) continue;
      __builtin_prefetch(epilogue.residual + row * epilogue.residual_stride + column, 0, 2);
      __builtin_prefetch(epilogue.residual + row * epilogue.residual_stride + column + kTileColumns, 0, 2);
    }
  }
};

}  // namespace
}  // namespace octoformer
