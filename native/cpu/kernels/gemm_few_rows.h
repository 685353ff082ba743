// Float products of a few rows (decoding), bound by what memory gives: as for integers (gemm_int8_few_rows.h), a lone
// row reads several panels at once, each from a run of panels of its own (beside each other, those of K = 576 in 16
// bits took 1.1 to 1.2 times as long on a Zen 3), and more rows fetch what comes next in several runs.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "cpu/gemm_kernels.h"
#include "cpu/kernels/epilogue.h"
#include "cpu/kernels/gemm_blocks.h"
#include "cpu/kernels/gemm_tile.h"
#include "cpu/kernels/weights_ahead.h"

namespace octoformer {
namespace {

/// Panels that `rows` rows take at once: as many as give 16 vectors of sums, or 8 where there are 16 registers. It also
/// hides the latency of a lone row's multiply-adds (4 or 5 cycles, two at a time).
constexpr int float_panels_at_once(int rows) {
  constexpr int sums = Vec::lanes == 8 ? 8 : 16;
  const int panels = sums / (rows * kPanelVectors);
  return panels < 1 ? 1 : panels;
}

/// Steps of k between fetching ahead. Sums wait in memory meanwhile, one in so many multiply-adds.
constexpr int64_t kFetchDepth = 64;

/// sums [Rows, Panels * kPanel] of the task's scratch += its rows x k in [k, k + depth) of its first panels; they start
/// from 0 where k is 0.
template <int Rows, int Panels, class Form>
[[gnu::always_inline]] inline void multiply_run(const GemmTask<typename Form::Activation, typename Form::Weight>& task,
                                                int64_t k, int64_t depth, Form) {
  multiply_tile<Form, Rows, Panels>(task.activations + task.first_row * task.row_stride + k, task.row_stride,
                                    task.weights + k * kPanel, task.panel_stride, depth, k == 0, task.scratch);
}

/// Where the results of panels go that are multiplied at once.
struct PanelColumns {
  int64_t first, apart;
};

/// All of K for `Rows` rows and the first `Panels` panels of the task's weights: every weight is read once, in order,
/// and widened in registers.
template <class Form, int Rows, int Panels>
[[gnu::noinline]] void few_rows_tile_of_floats(const GemmTask<typename Form::Activation, typename Form::Weight>& task,
                                               const PanelColumns& columns, WeightsAhead& ahead) {
  constexpr int64_t kWeightBytes = sizeof(typename Form::Weight);
  // Several runs are followed by the processor's own prefetching.
  const int64_t step = Panels >= 3 ? task.depth : kFetchDepth;
  int64_t k = 0;
  do {
    const int64_t depth = minimum(step, task.depth - k);
    if constexpr (Panels < 3) ahead.fetch(kFetchDepth * kPanel * Panels * kWeightBytes / kRunsAhead);
    multiply_run<Rows, Panels>(task, k, depth, Form{});
    k += depth;
  } while (k < task.depth);
  for (int p = 0; p < Panels; ++p) {
    const int64_t column = columns.first + p * columns.apart;
    finish_tile<kPanel>(task.epilogue, task.scratch + p * kPanel, Panels * kPanel, task.first_row, Rows, column,
                        minimum(kPanel, task.out_features - column));
  }
}

template <class Form, int Rows, int Panels = float_panels_at_once(Rows)>
inline void few_rows_of_panels(int64_t panels, const GemmTask<typename Form::Activation, typename Form::Weight>& task,
                               const PanelColumns& columns, WeightsAhead& ahead) {
  if constexpr (Panels > 1) {
    if (panels < Panels) return few_rows_of_panels<Form, Rows, Panels - 1>(panels, task, columns, ahead);
  }
  few_rows_tile_of_floats<Form, Rows, Panels>(task, columns, ahead);
}

/// More rows than a tile has: all of them by a block of a panel before the next one, so that it comes into the caches,
/// and is widened, once.
template <class Form>
void tiles_of_rows(const GemmTask<typename Form::Activation, typename Form::Weight>& task) {
  using Tile = typename BlockForm<Form>::type;
  const int64_t rows = task.last_row - task.first_row, tiles = (rows + kTileRows - 1) / kTileRows;
  const int64_t runs = task.depth > kFewRowDepth ? (task.depth + kFewRowDepth - 1) / kFewRowDepth : 1;
  const int64_t steps = (task.last_panel - task.first_panel) * runs * tiles;
  // In even shares: no small rest.
  const auto row_of = [&](int64_t tile) { return task.first_row + tile * rows / tiles; };
  const auto sums_of = [&](int64_t tile) { return task.scratch + tile * kTileRows * kPanel; };
  WeightsAhead ahead(task.ahead, task.ahead_bytes);
  int64_t step = 0;
  for (int64_t panel = task.first_panel; panel < task.last_panel; ++panel) {
    int64_t k = 0;
    do {
      const int64_t depth = minimum(kFewRowDepth, task.depth - k);
      const auto* weights = block_of_panel(task, panel, k, depth, Form{}, sums_of(tiles));
      for (int64_t tile = 0; tile < tiles; ++tile) {
        ahead.fetch_share(++step, steps);
        with_rows(row_of(tile + 1) - row_of(tile), [&](auto count) {
          block_tile<Tile, decltype(count)::value>(task.activations + row_of(tile) * task.row_stride + k,
                                                   task.row_stride, weights, depth, k == 0, sums_of(tile));
        });
      }
      k += kFewRowDepth;
    } while (k < task.depth);
    const int64_t column = panel * kPanel;
    for (int64_t tile = 0; tile < tiles; ++tile) {
      finish_tile<kPanel>(task.epilogue, sums_of(tile), kPanel, row_of(tile), row_of(tile + 1) - row_of(tile), column,
                          minimum(kPanel, task.out_features - column));
    }
  }
}

template <class Form>
void few_rows(const GemmTask<typename Form::Activation, typename Form::Weight>& task) {
  if (task.last_row - task.first_row > kTileRows) return tiles_of_rows<Form>(task);
  WeightsAhead ahead(task.ahead, task.ahead_bytes);
  auto runs = task;
  with_rows(task.last_row - task.first_row, [&](auto rows) {
    constexpr int64_t kMost = float_panels_at_once(decltype(rows)::value);
    const int64_t panels = task.last_panel - task.first_panel;
    // Panels of a run, the same for all runs but the last ones: no small rest.
    const int64_t length = (panels + kMost - 1) / kMost;
    runs.panel_stride = length * task.panel_stride;
    runs.scales_stride = length * task.scales_stride;
    for (int64_t step = 0; step < length; ++step) {
      const int64_t first = task.first_panel + step, count = (panels - step + length - 1) / length;
      runs.weights = task.weights + first * task.panel_stride;
      if (task.scales != nullptr) runs.scales = task.scales + first * task.scales_stride;
      few_rows_of_panels<Form, decltype(rows)::value>(count, runs, {first * kPanel, length * kPanel}, ahead);
    }
  });
}

}  // namespace
}  // namespace octoformer
