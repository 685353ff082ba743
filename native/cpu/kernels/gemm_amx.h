// bfloat16 products on AMX tiles: 16 x 32 activations times 32 x 16 weights an instruction. Pairs of k lie as a tile
// of weights wants them: 16 rows of a pair for each of 16 output features.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "cpu/gemm_kernels.h"
#include "cpu/kernels/amx_blocks.h"
#include "cpu/kernels/amx_few_rows.h"
#include "cpu/kernels/amx_many_rows.h"
#include "cpu/kernels/epilogue.h"
#include "cpu/kernels/gemm_tile.h"

namespace octoformer {
namespace {

/// PlainRows of sums [rows, kTilePanel].
struct PlainTileRows {
  using Task = GemmTask<uint16_t, uint16_t>;
  const float* sums;
  PlainRows<kTilePanel> output;

  PlainTileRows(const Task& task, const float* first, int64_t row, int64_t column, int64_t next_row,
                int64_t next_column)
      : sums(first), output(task.epilogue, row, column, next_row, next_column) {}
  template <class Run>
  [[gnu::always_inline]] void with_added(const Run& run) const {
    run(std::false_type{});
  }
  template <class Ending, class Added>
  [[gnu::always_inline]] void finish_row(int) {
    output.write_row<Ending>([&](int v) __attribute__((always_inline)) { return Vec::load(sums + v * Vec::lanes); });
    sums += kTilePanel;
  }
};

struct Bfloat16TileProduct {
  using Task = GemmTask<uint16_t, uint16_t>;
  using Sum = float;
  static constexpr bool kIntegers = false;
  static constexpr int kTileDepth = 32;  // k of a step

  using Plain = PlainTileRows;

  static const GemmEpilogue& epilogue(const Task& task) { return task.epilogue; }
  static bool plain(const Task& task, int64_t, int64_t column) {
    return PlainRows<kTilePanel>::fits(task.epilogue, task.out_features - column);
  }
  static void finish(const Task& task, const float* sums, int64_t row, int64_t rows, int64_t column) {
    const int64_t columns = task.out_features - column;
    finish_tile<kTilePanel>(task.epilogue, sums, kTilePanel, row, rows, column,
                            columns < kTilePanel ? columns : kTilePanel);
  }
};

void few_rows_bfloat16_amx(const Bfloat16TileProduct::Task& task) {
  few_rows_amx<Bfloat16TileProduct>(task, task.scratch);
}

/// The scratch begins with the two blocks being finished.
void many_rows_bfloat16_amx(const Bfloat16TileProduct::Task& task) {
  many_rows_amx<Bfloat16TileProduct>(task, task.scratch + 2 * kStripSums, task.scratch);
}

constexpr GemmKernel<uint16_t, uint16_t> kBfloat16TileKernel = {kTilePanel,
                                                                kTileColumns,
                                                                kTileRow,
                                                                kFewTileRows,
                                                                Bfloat16TileProduct::kTileDepth,
                                                                kStripRows,
                                                                true,
                                                                few_rows_bfloat16_amx,
                                                                many_rows_bfloat16_amx};

}  // namespace
}  // namespace octoformer
