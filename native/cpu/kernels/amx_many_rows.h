// Many rows by whole panels with AMX tiles, 32 rows and half a panel at a time: two products for three tiles that are
// loaded, but four tiles in all. Sums in twice as many tiles would need fewer loads, and fewer tiles in use run faster
// where another thread of the core uses tiles too (amx_blocks.h): a quarter faster there, and no slower elsewhere.
//
// Few loads are left beside those of tiles (16 each, two a cycle; of those that miss the first-level cache twice as
// many), and little of what the second-level cache gives: so weights are not fetched before tiles are loaded from them,
// and what turns sums into output between the products keeps what it needs in registers.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include <type_traits>

#include "cpu/kernels/amx_blocks.h"

namespace octoformer {
namespace {

/// Bytes of activations that come later and are fetched with every step, if any are: all of them with eight panels.
/// One line is asked for; the processor brings the one beside it (measured: 2 to 5 % faster than asking for both).
constexpr int64_t kActivationsAhead = 128;

/// Halves of panels that follow each other.
struct PanelSteps {
  int64_t halves;
  int64_t panel_bytes;  // of weights, from a panel to the next
  int64_t ahead_bytes;  // of weights, fetched with half a panel
};

/// The products of 32 rows, or of 16, with half a panel over some steps of k.
template <class Product>
struct HalfPanel {
  const uint8_t *a, *weights;
  int64_t a_below;  // bytes from 16 rows to the next 16
  int64_t steps;
  bool tall;                           // 32 rows
  const typename Product::Sum* begin;  // partial sums that they are added to, a tile after another; null: 0
  typename Product::Sum* out;          // partial sums, or finished ones: [32][kTilePanel]
  bool finished;
  const uint8_t* ahead;  // weights that come later: so many bytes are fetched with every step
  int64_t ahead_bytes;
  const uint8_t* activations_ahead;  // left halves fetch those of 16 rows, right ones of the 16 below; null: none

  /// To the next half, but for `out`.
  [[gnu::always_inline]] void advance(const PanelSteps& panels, bool left) {
    weights += left ? kTileBytes : panels.panel_bytes - kTileBytes;
    ahead += left ? panels.ahead_bytes : panels.panel_bytes - panels.ahead_bytes;
    if (begin != nullptr) begin += kStripSums / 2;
  }
};

/// Sixteen rows at most of a block of finished sums, and where the results of the block after it go.
template <class Product>
struct FinishedRows {
  const typename Product::Sum* sums = nullptr;
  int64_t row = 0, rows = 0, column = 0;
  int64_t next_row = 0, next_column = 0;
};

/// Calls finish() in the first `finishing` steps: the tiles compute on their own meanwhile.
template <class Product, bool Tall, bool Fetches = false, class Finish>
[[gnu::always_inline]] inline void multiply_half_panel(const HalfPanel<Product>& half, int64_t finishing,
                                                       const Finish& finish) {
  constexpr int kTile = kTileRow * kTileColumns;
  if (half.begin == nullptr) {
    TILE_ZERO(0);
    if constexpr (Tall) TILE_ZERO(1);
  } else {
    TILE_LOAD(0, half.begin, kTileRowBytes);
    if constexpr (Tall) TILE_LOAD(1, half.begin + kTile, kTileRowBytes);
  }
  const uint8_t *a = half.a, *weights = half.weights, *ahead = half.ahead, *activations_ahead = half.activations_ahead;
  const int64_t a_below = half.a_below, ahead_bytes = half.ahead_bytes;
  const auto step = [&](const auto& meanwhile) __attribute__((always_inline)) {
    TILE_LOAD(3, weights, kTileRowBytes);
    TILE_LOAD(2, a, kTileRowBytes);
    TILE_MULTIPLY(0, 2, 3);
    meanwhile();
    if constexpr (Tall) {
      TILE_LOAD(2, a + a_below, kTileRowBytes);
      TILE_MULTIPLY(1, 2, 3);
    }
    __builtin_prefetch(ahead, 0, 2);
    __builtin_prefetch(ahead + 64, 0, 2);
    for (int64_t more = 128; more < ahead_bytes; more += 64) __builtin_prefetch(ahead + more, 0, 2);  // few rows
    ahead += ahead_bytes;
    if constexpr (Fetches) {
      __builtin_prefetch(activations_ahead, 0, 2);
      activations_ahead += kActivationsAhead;
    }
    a += kTileBytes;
    weights += kPanelStepBytes;
  };
  const uint8_t *some = a + finishing * kTileBytes, *end = a + half.steps * kTileBytes;
  while (a < some) step(finish);
#pragma GCC unroll 1
  while (a < end) step([] {});
  TILE_STORE(0, half.out, half.finished ? kSumRowBytes : kTileRowBytes);
  if constexpr (Tall) {
    TILE_STORE(1, half.out + (half.finished ? kTileRow * kTilePanel : kTile),
               half.finished ? kSumRowBytes : kTileRowBytes);
  }
}

/// Many halves without anything to finish, with all that they need in registers: a call for each half, whose arguments
/// are read from memory while tiles are stored, costs more than its instructions (measured: 60 cycles of 480).
template <class Product, bool Tall, bool Fetches>
[[gnu::noinline]] void multiply_halves(HalfPanel<Product> half, const PanelSteps& panels) {
  const PanelSteps steps = panels;
  for (int64_t i = 0; i < steps.halves; ++i) {
    multiply_half_panel<Product, Tall, Fetches>(half, 0, [] {});
    half.advance(steps, i % 2 == 0);
    if constexpr (Fetches) {
      half.activations_ahead += i % 2 == 0 ? half.a_below : half.steps * kActivationsAhead - half.a_below;
    }
    half.out += kStripSums / 2;
  }
}

template <class Product>
inline void multiply_only(const HalfPanel<Product>& half, const PanelSteps& steps) {
  if (half.tall && half.activations_ahead != nullptr) {
    multiply_halves<Product, true, true>(half, steps);
  } else if (half.tall) {
    multiply_halves<Product, true, false>(half, steps);
  } else {
    multiply_halves<Product, false, false>(half, steps);
  }
}

/// Any epilogue, in runs of rows: what is the same for all is read for every run.
template <class Product>
[[gnu::noinline]] void multiply_and_finish(const typename Product::Task& task, const HalfPanel<Product>& half,
                                           const FinishedRows<Product>& rows) {
  constexpr int64_t kFewestRows = 4;
  int64_t run = (rows.rows + half.steps - 1) / half.steps, done = 0;
  if (run < kFewestRows) run = kFewestRows;
  FetchingResults results{Product::epilogue(task)};
  results.start(rows.next_row, rows.next_row + rows.rows, rows.next_column, kStripRows / run);
  const auto finish = [&] {
    const int64_t count = run < rows.rows - done ? run : rows.rows - done;
    results.fetch_some();
    Product::finish(task, rows.sums + done * kTilePanel, rows.row + done, count, rows.column);
    done += count;
  };
  const int64_t times = (rows.rows + run - 1) / run;
  if (half.tall) {
    multiply_half_panel<Product, true>(half, times, finish);
  } else {
    multiply_half_panel<Product, false>(half, times, finish);
  }
}

/// The plain epilogue of sixteen rows, row by row, outliers included.
template <class Product, int RowsAStep>
[[gnu::noinline]] void multiply_and_finish_plain(const typename Product::Task& task, const HalfPanel<Product>& half,
                                                 const FinishedRows<Product>& finished) {
  typename Product::Plain rows(task, finished.sums, finished.row, finished.column, finished.next_row,
                               finished.next_column);
  int row = 0;
  with_plain_ending(Product::epilogue(task), [&](auto ending) __attribute__((always_inline)) {
    rows.with_added([&](auto added) __attribute__((always_inline)) {
      multiply_half_panel<Product, true>(half, kTileRow / RowsAStep, [&]() __attribute__((always_inline)) {
#pragma GCC unroll 1
        for (int i = 0; i < RowsAStep; ++i) {
          rows.template finish_row<decltype(ending), decltype(added)>(row++);
        }
      });
    });
  });
}

template <class Product>
inline void multiply_half(const typename Product::Task& task, const HalfPanel<Product>& half,
                          const FinishedRows<Product>& rows) {
  if (rows.rows == 0) return multiply_only<Product>(half, {1, 0, 0});
  if (rows.rows < kTileRow || !half.tall || !Product::plain(task, rows.row, rows.column)) {
    return multiply_and_finish<Product>(task, half, rows);
  }
  if (half.steps >= 16) return multiply_and_finish_plain<Product, 1>(task, half, rows);
  if (half.steps >= 8) return multiply_and_finish_plain<Product, 2>(task, half, rows);
  if (half.steps >= 4) return multiply_and_finish_plain<Product, 4>(task, half, rows);
  multiply_and_finish_plain<Product, kTileRow>(task, half, rows);
}

/// Finished sums wait for the products of half a panel at least: loads that meet stores of tiles on their way to the
/// cache wait for them, and all that follows with them. Two blocks of them take turns.
template <class Product>
class FinishingQueue {
 public:
  FinishingQueue(const typename Product::Task& task, typename Product::Sum* sums) : task_(task), sums_(sums) {}

  /// Where the sums of the next block go.
  typename Product::Sum* free_sums() { return sums_ + (last_ ^ 1) * kStripSums; }
  void next_block_at(int64_t row, int64_t column) {
    for (int half = 0; half < 2; ++half) {
      blocks_[last_][half].next_row = row + half * kTileRow;
      blocks_[last_][half].next_column = column;
    }
  }
  /// What is to be finished while the products of the next block's first or second half go on.
  FinishedRows<Product> take(int half) {
    FinishedRows<Product>& oldest = half == 0 ? blocks_[last_ ^ 1][1] : blocks_[last_][0];
    const FinishedRows<Product> result = oldest;
    oldest.rows = 0;
    return result;
  }
  /// free_sums() are those of rows from `row` and a panel's columns now.
  void add(int64_t row, int64_t column) {
    last_ ^= 1;
    for (int half = 0; half < 2; ++half) {
      const int64_t first = row + half * kTileRow, left = task_.last_row - first;
      blocks_[last_][half] = {sums_ + last_ * kStripSums + half * kTileRow * kTilePanel,
                              first,
                              left < 0          ? 0
                              : left < kTileRow ? left
                                                : kTileRow,
                              column,
                              first,
                              column};
    }
  }
  void finish_all() {
    const FinishedRows<Product> left[] = {blocks_[last_ ^ 1][1], blocks_[last_][0], blocks_[last_][1]};
    for (const FinishedRows<Product>& rows : left) {
      if (rows.rows > 0) Product::finish(task_, rows.sums, rows.row, rows.rows, rows.column);
    }
  }

 private:
  const typename Product::Task& task_;
  typename Product::Sum* sums_;
  int last_ = 0;
  FinishedRows<Product> blocks_[2][2] = {};  // their rows 0 to 15, and 16 to 31
};

/// Steps of k at a time, after which the activations of 32 rows are read anew from the second-level cache: 2 KB of them
/// a step stay in the first-level cache of 48 KB while the weights of all panels pass by, 1 KB a step for each half of
/// a panel. All of K if it is so short, else in even parts whose partial sums, 2 KB for each half, come and go.
constexpr int64_t kUndividedSteps = 12, kStepsOfPart = 9;

/// Blocks of k outermost (mostly there is one: gemm_blocking.h); the weights of all panels stay in the second-level
/// cache while 32 rows after 32 rows pass by. Not panel by panel, since results then fill their rows from left to
/// right: each row lies on a page of its own, and coming back to it for every 32 columns costs more than the products.
/// Weights that come next are fetched into the second-level cache a line or two a step. Rows are filled up to whole
/// tiles (configuring tiles takes as long as some products): those beyond the last are computed and dropped.
template <class Product>
void many_rows_amx(const typename Product::Task& task, typename Product::Sum* partial_sums,
                   typename Product::Sum* finished_sums) {
  constexpr int64_t kElementBytes = kTileRowBytes / Product::kTileDepth;
  const int64_t strips = (task.last_row - task.first_row + kStripRows - 1) / kStripRows;
  const int64_t group_bytes = kTileRow * task.row_stride * kElementBytes;  // from 16 rows to the next 16
  const int64_t block_bytes = task.block_stride * kElementBytes;
  const uint8_t* a_block = reinterpret_cast<const uint8_t*>(task.activations) + task.first_row / kTileRow * group_bytes;
  const int64_t panels = task.last_panel - task.first_panel;
  const int64_t panel_stride = panel_bytes<Product>(task, 1) - panel_bytes<Product>(task, 0);
  configure_tiles(kTileRow, 4);

  FinishingQueue<Product> finishing(task, finished_sums);
  HalfPanel<Product> half;
  half.a_below = group_bytes;
  // Every strip fetches its share of weights as many as its own, half a panel after another.
  half.ahead_bytes = (kPanelStepBytes / 64 / 2 + strips - 1) / strips * 64;
  for (int64_t first = 0; first < task.depth; first += task.depth_block, a_block += block_bytes) {
    const int64_t rest = task.depth - first, depth = rest < task.depth_block ? rest : task.depth_block;
    const int64_t steps = depth / Product::kTileDepth;
    const int64_t parts = steps <= kUndividedSteps ? 1 : (steps + kStepsOfPart - 1) / kStepsOfPart;
    const int64_t offset = first * kElementBytes * kTilePanel;  // of the block in a panel
    const bool last_block = depth == rest, only_block = depth == task.depth;
    const uint8_t* const weights = panel_bytes<Product>(task, task.first_panel) + offset;
    // After the last block the next task begins, most likely with the panel that follows.
    const uint8_t* const next_weights =
        last_block ? panel_bytes<Product>(task, task.last_panel) : weights + steps * kPanelStepBytes;
    for (int64_t strip = 0; strip < strips; ++strip) {
      const int64_t row = task.first_row + strip * kStripRows;
      half.tall = row + kTileRow < task.last_row;
      for (int64_t part = 0; part < parts; ++part) {
        const int64_t first_step = steps * part / parts;
        half.steps = steps * (part + 1) / parts - first_step;
        half.a = a_block + strip * 2 * group_bytes + first_step * kTileBytes;
        half.finished = last_block && part == parts - 1;
        half.weights = weights + first_step * kPanelStepBytes;
        half.ahead = next_weights + (strip * 2 * steps + first_step) * half.ahead_bytes;
        // Where K is in blocks, activations that were read for the panels before have left the cache since.
        half.activations_ahead = only_block           ? nullptr
                                 : part + 1 < parts   ? half.a + half.steps * kTileBytes
                                 : strip + 1 < strips ? a_block + (strip + 1) * 2 * group_bytes
                                                      : a_block + block_bytes;
        typename Product::Sum* const partial = partial_sums + (only_block ? 0 : strip * panels * kStripSums);
        half.begin = first == 0 && part == 0 ? nullptr : partial;
        half.out = partial;
        const PanelSteps panel_steps = {2 * panels, panel_stride, steps * half.ahead_bytes};
        if (!half.finished) {
          multiply_only<Product>(half, panel_steps);
          continue;
        }
        for (int64_t panel = task.first_panel; panel < task.last_panel; ++panel) {
          half.out = finishing.free_sums();
          finishing.next_block_at(row, panel * kTilePanel);
          multiply_half<Product>(task, half, finishing.take(0));
          half.advance(panel_steps, true);
          half.out = finishing.free_sums() + kTileColumns;
          multiply_half<Product>(task, half, finishing.take(1));
          half.advance(panel_steps, false);
          finishing.add(row, panel * kTilePanel);
        }
      }
    }
  }
  TILE_RELEASE();
  finishing.finish_all();
}

}  // namespace
}  // namespace octoformer
