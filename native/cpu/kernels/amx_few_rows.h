// Up to kFewTileRows rows by whole panels with AMX tiles: all of K at once, every weight is read from memory once.
// Tiles take what they find in the caches, and from further away only a line or two at a time: what comes next is
// fetched in several runs (weights_ahead.h).
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "cpu/kernels/amx_blocks.h"
#include "cpu/kernels/weights_ahead.h"

namespace octoformer {
namespace {

/// Rows that few_rows takes: two strips. The panel that a strip has brought into the caches serves the next one.
constexpr int kFewTileRows = 2 * kStripRows;

/// Tiles are loaded in an order that the processor's own prefetching does not follow: fetch the 2 KB of a step of
/// weights in time. Beyond the end it fetches nothing harmful.
inline void prefetch_step(const uint8_t* weights) {
#pragma GCC unroll 32
  for (int line = 0; line < kPanelStepBytes / 64; ++line) __builtin_prefetch(weights + line * 64);
}

/// Rows of finished sums that are turned into output a few at a time between the products of the next sums: the tiles
/// compute on their own, and the processor has little else to do meanwhile.
template <class Product>
struct Finishing {
  const typename Product::Task& task;
  typename Product::Sum* sums;  // two strips of sums: one is finished while the other is computed
  int strip = 0;
  int64_t row = 0, column = 0, done = 0, rows = 0, rows_at_a_time = 0, wait = 0;
  /// What is the same for all rows is read for every run of them.
  static constexpr int64_t kFewestRows = 4;

  typename Product::Sum* free_sums() { return sums + (strip ^ 1) * kStripSums; }
  /// Takes over free_sums(), which are those of rows from `first_row` and a panel's columns.
  void start(int64_t first_row, int64_t first_column, int64_t times) {
    finish_all();
    strip ^= 1;
    row = first_row;
    column = first_column;
    done = 0;
    rows = task.last_row - row < kStripRows ? task.last_row - row : kStripRows;
    // Loads that meet stores of tiles on their way to the cache wait for them, and all that follows with them: begin
    // when they have arrived, a quarter of the products later.
    wait = times / 4;
    rows_at_a_time = (kStripRows + times - wait - 1) / (times - wait);
    if (rows_at_a_time < kFewestRows) rows_at_a_time = kFewestRows;
    if (rows_at_a_time > kFinishedRows) rows_at_a_time = kFinishedRows;  // a last block of one step
  }
  void finish_some() {
    if (wait-- > 0) return;
    const int64_t count = rows_at_a_time < rows - done ? rows_at_a_time : rows - done;
    if (count <= 0) return;
    Product::finish(task, sums + strip * kStripSums + done * kTilePanel, row + done, count, column);
    done += count;
  }
  void finish_all() {
    wait = 0;
    while (done < rows) finish_some();
  }
};

/// [32, 32] sums (or [16, 32] if not `Tall`) over `steps` of k go to `out` [32][kTilePanel]. Four products for four
/// tiles that are loaded.
template <class Product, bool Tall, class Meanwhile>
inline void multiply_strip(const uint8_t* a, int64_t a_below, const uint8_t* weights, int64_t steps,
                           typename Product::Sum* out, const Meanwhile& meanwhile) {
  TILE_ZERO(0);
  TILE_ZERO(1);
  if constexpr (Tall) {
    TILE_ZERO(2);
    TILE_ZERO(3);
  }
  for (int64_t step = 0; step < steps; ++step, a += kTileBytes, weights += kPanelStepBytes) {
    prefetch_step(weights + kPanelStepBytes);
    TILE_LOAD(4, a, kTileRowBytes);
    TILE_LOAD(5, weights, kTileRowBytes);
    TILE_LOAD(6, weights + kTileBytes, kTileRowBytes);
    TILE_MULTIPLY(0, 4, 5);
    TILE_MULTIPLY(1, 4, 6);
    if constexpr (Tall) {
      TILE_LOAD(4, a + a_below, kTileRowBytes);
      TILE_MULTIPLY(3, 4, 6);
      TILE_MULTIPLY(2, 4, 5);
    }
    meanwhile();
  }
  TILE_STORE(0, out, kSumRowBytes);
  TILE_STORE(1, out + kTileColumns, kSumRowBytes);
  if constexpr (Tall) {
    TILE_STORE(2, out + kTileRow * kTilePanel, kSumRowBytes);
    TILE_STORE(3, out + kTileRow * kTilePanel + kTileColumns, kSumRowBytes);
  }
}

/// [rows, 32] or (`Two`) two panels' sums over all of K: a tile of activations meets two or four tiles of weights.
template <class Product, bool Two>
inline void multiply_tile_of_rows(const uint8_t* a, const uint8_t* weights, const uint8_t* second, int64_t steps,
                                  WeightsAhead& ahead, typename Product::Sum* sums) {
  typename Product::Sum* second_sums = sums + kTileRow * kTilePanel;
  TILE_ZERO(0);
  TILE_ZERO(1);
  TILE_ZERO(2);
  TILE_ZERO(3);
  for (int64_t step = 0; step < steps; ++step, a += kTileBytes, weights += kPanelStepBytes, second += kPanelStepBytes) {
    ahead.fetch((Two ? 2 : 1) * kPanelStepBytes / kRunsAhead);
    TILE_LOAD(4, a, kTileRowBytes);
    TILE_LOAD(5, weights, kTileRowBytes);
    TILE_MULTIPLY(0, 4, 5);
    TILE_LOAD(5, weights + kTileBytes, kTileRowBytes);
    TILE_MULTIPLY(1, 4, 5);
    if constexpr (Two) {
      TILE_LOAD(5, second, kTileRowBytes);
      TILE_MULTIPLY(2, 4, 5);
      TILE_LOAD(5, second + kTileBytes, kTileRowBytes);
      TILE_MULTIPLY(3, 4, 5);
    }
  }
  TILE_STORE(0, sums, kSumRowBytes);
  TILE_STORE(1, sums + kTileColumns, kSumRowBytes);
  if constexpr (Two) {
    TILE_STORE(2, second_sums, kSumRowBytes);
    TILE_STORE(3, second_sums + kTileColumns, kSumRowBytes);
  }
}

/// Up to 16 rows. Tiles have as many rows as there are: fewer are faster.
template <class Product>
void multiply_tile_rows(const typename Product::Task& task, WeightsAhead& ahead, typename Product::Sum* sums) {
  const uint8_t* a = reinterpret_cast<const uint8_t*>(task.activations);
  const int64_t steps = task.depth / Product::kTileDepth, rows = task.last_row - task.first_row;
  configure_tiles(static_cast<int>(rows), 5);
  FetchingResults results{Product::epilogue(task)};
  for (int64_t panel = task.first_panel; panel < task.last_panel; panel += 2) {
    const uint8_t* weights = panel_bytes<Product>(task, panel);
    const bool two = panel + 1 < task.last_panel;
    for (int64_t p = panel; p < panel + (two ? 2 : 1); ++p) {
      results.start(task.first_row, task.last_row, p * kTilePanel, 1);
      results.fetch_some();
    }
    if (two) {
      multiply_tile_of_rows<Product, true>(a, weights, panel_bytes<Product>(task, panel + 1), steps, ahead, sums);
    } else {
      multiply_tile_of_rows<Product, false>(a, weights, weights, steps, ahead, sums);
    }
    Product::finish(task, sums, task.first_row, rows, panel * kTilePanel);
    if (two) {
      Product::finish(task, sums + kTileRow * kTilePanel, task.first_row, rows, (panel + 1) * kTilePanel);
    }
  }
}

/// 17 rows and more, 32 at a time. Rows are filled up to whole tiles: those beyond the last are computed and dropped.
/// The epilogue of finished sums runs between the products of the next.
template <class Product>
void multiply_strips(const typename Product::Task& task, WeightsAhead& ahead, typename Product::Sum* sums) {
  constexpr int64_t kElementBytes = kTileRowBytes / Product::kTileDepth;
  const int64_t steps = task.depth / Product::kTileDepth, times = steps > 0 ? steps : 1;
  const int64_t group_bytes = kTileRow * task.row_stride * kElementBytes;  // from 16 rows to the next 16
  const uint8_t* const a = reinterpret_cast<const uint8_t*>(task.activations);
  configure_tiles(kTileRow, 6);
  Finishing<Product> finishing{task, sums};
  FetchingResults results{Product::epilogue(task)};
  for (int64_t panel = task.first_panel; panel < task.last_panel; ++panel) {
    const uint8_t* weights = panel_bytes<Product>(task, panel);
    for (int64_t row = task.first_row; row < task.last_row; row += kStripRows) {
      const bool first = row == task.first_row;
      results.start(row, task.last_row, panel * kTilePanel, times);
      const auto meanwhile = [&] {
        if (first) ahead.fetch(kPanelStepBytes / kRunsAhead);
        results.fetch_some();
        finishing.finish_some();
      };
      const uint8_t* strip = a + row / kTileRow * group_bytes;
      typename Product::Sum* out = finishing.free_sums();
      if (row + kTileRow < task.last_row) {
        multiply_strip<Product, true>(strip, group_bytes, weights, steps, out, meanwhile);
      } else {
        multiply_strip<Product, false>(strip, group_bytes, weights, steps, out, meanwhile);
      }
      finishing.start(row, panel * kTilePanel, times);
    }
  }
  finishing.finish_all();
}

/// `sums`: two strips of them.
template <class Product>
void few_rows_amx(const typename Product::Task& task, typename Product::Sum* sums) {
  WeightsAhead ahead(task.ahead, task.ahead_bytes);
  if (task.last_row - task.first_row <= kTileRow) {
    multiply_tile_rows<Product>(task, ahead, sums);
  } else {
    multiply_strips<Product>(task, ahead, sums);
  }
  TILE_RELEASE();
}

}  // namespace
}  // namespace octoformer
