// Blocks of the result with AMX tiles, the same for bfloat16 and int8: 64 bytes of k a step, 16 rows of activations a
// tile, and of weights two tiles beside each other in a panel. A few rows are multiplied as amx_few_rows.h says.
//
// A `Product` says what differs:
//   Task, Sum             GemmTask<...> and float, or Int8Task and int32_t
//   kIntegers             which instruction multiplies
//   finish(task, sums, row, rows, column, columns): `sums` [rows][kStripColumns] become output
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
/// would need five loads for four). A step of its weights is 2 KB in one run: wider panels would leave every other
/// pair of cache lines of a block out, and with them sets of the first-level cache.
constexpr int kTilePanel = 2 * kTileColumns;
constexpr int kPanelRowBytes = 4 * kTilePanel;  // from one row of a tile of weights to the next
constexpr int kPanelStepBytes = 16 * kPanelRowBytes;
constexpr int kStripRows = 2 * kTileRow;
constexpr int kStripSums = kStripRows * kTilePanel;
constexpr int kSumRowBytes = 4 * kTilePanel;

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

/// Tiles are loaded in an order that the processor's own prefetching does not follow: fetch the 2 KB of a step of
/// weights in time. Beyond the end it fetches nothing harmful.
inline void prefetch_step(const uint8_t* weights) {
#pragma GCC unroll 32
  for (int line = 0; line < kPanelStepBytes / 64; ++line) __builtin_prefetch(weights + line * 64);
}

template <class Product>
inline const uint8_t* panel_bytes(const typename Product::Task& task, int64_t panel) {
  return reinterpret_cast<const uint8_t*>(task.weights + panel * task.panel_stride);
}

/// What a strip's products fetch ahead: so many bytes (of whole cache lines) of each run with every step. Fetching a
/// little beyond the end of a run, or of an array, does no harm.
struct Ahead {
  const uint8_t *weights, *activations, *sums;  // sums into the first-level cache, the others into the second
  int64_t weight_bytes, activation_bytes, sum_bytes;

  void fetch_some() {
    for (const uint8_t* end = weights + weight_bytes; weights < end; weights += 64) __builtin_prefetch(weights, 0, 2);
    for (const uint8_t* end = activations + activation_bytes; activations < end; activations += 64) {
      __builtin_prefetch(activations, 0, 2);
    }
    for (const uint8_t* end = sums + sum_bytes; sums < end; sums += 64) __builtin_prefetch(sums, 0, 3);
  }
};

/// Bytes, in whole lines, that fetch `bytes` in so many times.
inline int64_t bytes_at_a_time(int64_t bytes, int64_t times) { return (bytes / 64 + times - 1) / times * 64; }

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

// As few tiles are used as do the work: on a core whose other thread uses tiles too, products with eight in use ran at
// half of the rate of those with six (measured). Both threads probably share the registers that tiles are renamed to.

/// [32, 32] sums (or [16, 32] if not `Tall`) over `steps` of k, beginning with those at `partial` (null: from 0). They
/// go to `out` [32][kTilePanel] or back to `partial`, a tile after another, if `out` is null. Four products for four
/// tiles that are loaded.
template <class Product, bool Tall, class Meanwhile>
inline void multiply_strip(const uint8_t* a, int64_t a_below, const uint8_t* weights, int64_t steps, bool fresh,
                           typename Product::Sum* partial, typename Product::Sum* out, const Meanwhile& meanwhile) {
  constexpr int kTile = kTileRow * kTileColumns;
  if (fresh) {
    TILE_ZERO(0);
    TILE_ZERO(1);
    if constexpr (Tall) {
      TILE_ZERO(2);
      TILE_ZERO(3);
    }
  } else {
    TILE_LOAD(0, partial, kTileRowBytes);
    TILE_LOAD(1, partial + kTile, kTileRowBytes);
    if constexpr (Tall) {
      TILE_LOAD(2, partial + 2 * kTile, kTileRowBytes);
      TILE_LOAD(3, partial + 3 * kTile, kTileRowBytes);
    }
  }
  for (int64_t step = 0; step < steps; ++step, a += kTileBytes, weights += kPanelStepBytes) {
    prefetch_step(weights + kPanelStepBytes);
    TILE_LOAD(4, a, kTileRowBytes);
    TILE_LOAD(5, weights, kPanelRowBytes);
    TILE_LOAD(6, weights + 64, kPanelRowBytes);
    TILE_MULTIPLY(0, 4, 5);
    TILE_MULTIPLY(1, 4, 6);
    if constexpr (Tall) {
      TILE_LOAD(4, a + a_below, kTileRowBytes);
      TILE_MULTIPLY(3, 4, 6);
      TILE_MULTIPLY(2, 4, 5);
    }
    meanwhile();
  }
  if (out == nullptr) {
    TILE_STORE(0, partial, kTileRowBytes);
    TILE_STORE(1, partial + kTile, kTileRowBytes);
    if constexpr (Tall) {
      TILE_STORE(2, partial + 2 * kTile, kTileRowBytes);
      TILE_STORE(3, partial + 3 * kTile, kTileRowBytes);
    }
  } else {
    TILE_STORE(0, out, kSumRowBytes);
    TILE_STORE(1, out + kTileColumns, kSumRowBytes);
    if constexpr (Tall) {
      TILE_STORE(2, out + kTileRow * kTilePanel, kSumRowBytes);
      TILE_STORE(3, out + kTileRow * kTilePanel + kTileColumns, kSumRowBytes);
    }
  }
}

/// The same over so little of k that the strip of activations stays in the first-level cache: half of the columns after
/// the other, two products for three tiles that are loaded, but four tiles in all.
template <class Product, bool Tall, class Meanwhile>
inline void multiply_thin_strip(const uint8_t* a, int64_t a_below, const uint8_t* weights, int64_t steps,
                                typename Product::Sum* out, const Meanwhile& meanwhile) {
  for (const uint8_t* half = weights; half < weights + kPanelRowBytes; half += 64, out += kTileColumns) {
    TILE_ZERO(0);
    if constexpr (Tall) TILE_ZERO(1);
    const uint8_t* from = a;
    const uint8_t* to = half;
    for (int64_t step = 0; step < steps; ++step, from += kTileBytes, to += kPanelStepBytes) {
      if (half == weights) prefetch_step(to + kPanelStepBytes);
      TILE_LOAD(4, to, kPanelRowBytes);
      TILE_LOAD(5, from, kTileRowBytes);
      TILE_MULTIPLY(0, 5, 4);
      if constexpr (Tall) {
        TILE_LOAD(5, from + a_below, kTileRowBytes);
        TILE_MULTIPLY(1, 5, 4);
      }
      meanwhile();
    }
    TILE_STORE(0, out, kSumRowBytes);
    if constexpr (Tall) TILE_STORE(1, out + kTileRow * kTilePanel, kSumRowBytes);
  }
}
/// A strip of 24 KB: half of the first-level cache of processors with tiles.
constexpr int64_t kThinSteps = 12;

/// Blocks of k outermost (mostly there is one: gemm_blocking.h); the blocks of all panels stay in the second-level
/// cache while strips of activations pass by. Strip by strip, and not panel by panel, since results then fill their
/// rows from left to right: each row lies on a page of its own, and coming back to it for every 32 columns costs more
/// than the products. What comes next is fetched a few lines a step: weights and activations into the second-level
/// cache, partial sums into the first. The epilogue of finished sums runs between the products of the next. Rows are
/// filled up to whole tiles (configuring tiles takes as long as some products): those beyond the last are computed and
/// dropped.
template <class Product>
void many_rows_amx(const typename Product::Task& task, typename Product::Sum* partial_sums,
                   typename Product::Sum* finished_sums) {
  constexpr int64_t kElementBytes = kTileRowBytes / Product::kTileDepth;
  const int64_t strips = (task.last_row - task.first_row + kStripRows - 1) / kStripRows;
  const int64_t group_bytes = kTileRow * task.row_stride * kElementBytes;  // from 16 rows to the next 16
  const int64_t block_bytes = task.block_stride * kElementBytes;
  const uint8_t* a_block = reinterpret_cast<const uint8_t*>(task.activations) + task.first_row / kTileRow * group_bytes;
  const int64_t panels = task.last_panel - task.first_panel;
  configure_tiles(kTileRow, 6);

  Finishing<Product> finishing{task, finished_sums};
  FetchingResults next_results{Product::epilogue(task)};
  for (int64_t first = 0; first < task.depth; first += task.depth_block, a_block += block_bytes) {
    const int64_t rest = task.depth - first, depth = rest < task.depth_block ? rest : task.depth_block;
    const int64_t steps = depth / Product::kTileDepth, weights_of_block = steps * kPanelStepBytes;
    const bool fresh = first == 0, finished = depth == rest, thin = fresh && finished && steps <= kThinSteps;
    const int64_t offset = first * kElementBytes * kTilePanel;  // of the block in a panel
    const int64_t times = thin ? 2 * steps : steps;
    Ahead ahead = {};
    ahead.weight_bytes = bytes_at_a_time(weights_of_block, strips * times);
    ahead.activation_bytes = bytes_at_a_time(2 * group_bytes, panels * times);
    if (!fresh) ahead.sum_bytes = bytes_at_a_time(kStripSums * 4, times);
    typename Product::Sum* partial = partial_sums;
    for (int64_t strip = 0; strip < strips; ++strip) {
      const int64_t row = task.first_row + strip * kStripRows;
      const uint8_t* a = a_block + strip * 2 * group_bytes;
      const uint8_t* next_a = strip + 1 < strips || finished ? a + 2 * group_bytes : a_block + block_bytes;
      for (int64_t p = 0; p < panels; ++p, partial += kStripSums) {
        const int64_t panel = task.first_panel + p, column = panel * kTilePanel;
        const uint8_t* weights = panel_bytes<Product>(task, panel) + offset;
        // After the last block the next task begins, most likely with the panel that follows.
        const uint8_t* next_weights =
            finished ? panel_bytes<Product>(task, panel + panels) : weights + weights_of_block;
        ahead.weights = next_weights + strip * times * ahead.weight_bytes;
        ahead.activations = next_a + p * times * ahead.activation_bytes;
        ahead.sums = reinterpret_cast<const uint8_t*>(partial + kStripSums);
        const auto fetch_some = [&] { ahead.fetch_some(); };
        const auto finish_some = [&] {
          ahead.fetch_some();
          next_results.fetch_some();
          finishing.finish_some();
        };
        const bool tall = row + kTileRow < task.last_row;
        if (!finished) {
          if (tall) {
            multiply_strip<Product, true>(a, group_bytes, weights, steps, fresh, partial, nullptr, fetch_some);
          } else {
            multiply_strip<Product, false>(a, group_bytes, weights, steps, fresh, partial, nullptr, fetch_some);
          }
          continue;
        }
        next_results.start(row, task.last_row, column, times);
        typename Product::Sum* out = finishing.free_sums();
        if (thin && tall) {
          multiply_thin_strip<Product, true>(a, group_bytes, weights, steps, out, finish_some);
        } else if (thin) {
          multiply_thin_strip<Product, false>(a, group_bytes, weights, steps, out, finish_some);
        } else if (tall) {
          multiply_strip<Product, true>(a, group_bytes, weights, steps, fresh, partial, out, finish_some);
        } else {
          multiply_strip<Product, false>(a, group_bytes, weights, steps, fresh, partial, out, finish_some);
        }
        finishing.start(row, column, times);
      }
    }
  }
  finishing.finish_all();
  TILE_RELEASE();
}

}  // namespace
}  // namespace octoformer
