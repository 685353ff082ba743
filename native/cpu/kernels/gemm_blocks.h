// Blocks of the result with vector tiles: many rows (prefill).
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "cpu/gemm_kernels.h"
#include "cpu/kernels/epilogue.h"
#include "cpu/kernels/gemm_tile.h"

namespace octoformer {
namespace {

inline int64_t minimum(int64_t a, int64_t b) { return a < b ? a : b; }

/// Calls body(Constant<n>) for a tile of n rows, 1 <= n <= kTileRows.
template <int Value>
struct Constant {
  static constexpr int value = Value;
};
template <class Body, int Rows = kTileRows>
inline void with_rows(int64_t rows, const Body& body) {
  if constexpr (Rows > 1) {
    if (rows < Rows) return with_rows<Body, Rows - 1>(rows, body);
  }
  body(Constant<Rows>{});
}

/// A block of a panel as the tiles read it. Halves are widened once for all rows of the task.
inline const float* block_of_panel(const GemmTask<float, float>& task, int64_t panel, int64_t first, int64_t,
                                   Float32Form, float*) {
  return task.weights + panel * task.panel_stride + first * kPanel;
}
inline const float* block_of_panel(const GemmTask<float, uint16_t>& task, int64_t panel, int64_t first, int64_t depth,
                                   Float16Form, float* wide) {
  const uint16_t* weights = task.weights + panel * task.panel_stride + first * kPanel;
  for (int64_t i = 0; i < depth * kPanel; i += Vec::lanes) Vec::store(wide + i, Vec::load_float16(weights + i));
  return wide;
}
inline const float* block_of_panel(const GemmTask<float, uint16_t>& task, int64_t panel, int64_t first, int64_t depth,
                                   Bfloat16Form, float* wide) {
  const uint16_t* weights = task.weights + panel * task.panel_stride + first * kPanel;
  for (int64_t k = 0; k < depth; k += 2) {
    const uint16_t* pairs = weights + k * kPanel;
    for (int v = 0; v < kPanelVectors; ++v) {
      Vec::store(wide + k * kPanel + v * Vec::lanes, Vec::load_first_bfloat16(pairs + 2 * v * Vec::lanes));
      Vec::store(wide + (k + 1) * kPanel + v * Vec::lanes, Vec::load_second_bfloat16(pairs + 2 * v * Vec::lanes));
    }
  }
  return wide;
}
#if defined(OCTOFORMER_BFLOAT16_UNIT)
inline const uint16_t* block_of_panel(const GemmTask<uint16_t, uint16_t>& task, int64_t panel, int64_t first, int64_t,
                                      Bfloat16UnitForm, float*) {
  return task.weights + panel * task.panel_stride + first * kPanel;
}
#endif

/// The form whose tiles multiply the blocks of a panel of `Form`.
template <class Form>
struct BlockForm {
  using type = Float32Form;
};
#if defined(OCTOFORMER_BFLOAT16_UNIT)
template <>
struct BlockForm<Bfloat16UnitForm> {
  using type = Bfloat16UnitForm;
};
#endif

template <class Form, int Rows>
[[gnu::noinline]] void block_tile(const typename Form::Activation* a, int64_t stride,
                                  const typename Form::Weight* weights, int64_t depth, bool fresh, float* sums) {
  multiply_tile<Form, Rows, 1>(a, stride, weights, 0, depth, fresh, sums);
}

/// Blocks of k outermost, so that a block of a panel stays in the first-level cache while all rows pass by. Partial
/// sums wait in scratch as float32, so the chain of additions is the one of few_rows.
template <class Form>
void many_rows(const GemmTask<typename Form::Activation, typename Form::Weight>& task) {
  using Tile = typename BlockForm<Form>::type;
  const int64_t panels = task.last_panel - task.first_panel;
  const int64_t tiles = (task.last_row - task.first_row + kTileRows - 1) / kTileRows;
  float* wide = task.scratch + tiles * kTileRows * panels * kPanel;
  const auto* block = task.activations;
  for (int64_t first = 0; first < task.depth; first += task.depth_block, block += task.block_stride) {
    const int64_t depth = minimum(task.depth_block, task.depth - first);
    const bool last = first + depth == task.depth;
    float* sums = task.scratch;
    for (int64_t panel = task.first_panel; panel < task.last_panel; ++panel) {
      const auto* weights = block_of_panel(task, panel, first, depth, Form{}, wide);
      const int64_t column = panel * kPanel;
      const int64_t columns = minimum(kPanel, task.out_features - column);
      for (int64_t row = task.first_row; row < task.last_row; row += kTileRows, sums += kTileRows * kPanel) {
        const int64_t rows = minimum(kTileRows, task.last_row - row);
        with_rows(rows, [&](auto count) {
          block_tile<Tile, decltype(count)::value>(block + row * task.row_stride, task.row_stride, weights, depth,
                                                   first == 0, sums);
        });
        if (last) finish_tile<kPanel>(task.epilogue, sums, kPanel, row, rows, column, columns);
      }
    }
  }
}

inline void round_row_to_bfloat16(const float* input, int64_t count, float* out) {
  int64_t i = 0;
  for (; i + Vec::lanes <= count; i += Vec::lanes) {
    uint16_t half[Vec::lanes];
    Vec::store_bfloat16(half, Vec::load(input + i));
    Vec::store(out + i, Vec::load_bfloat16(half));
  }
  for (; i < count; ++i) out[i] = bfloat16_to_float(float_to_bfloat16(input[i]));
}

inline void narrow_row_to_bfloat16(const float* input, int64_t count, uint16_t* out) {
  int64_t i = 0;
  for (; i + Vec::lanes <= count; i += Vec::lanes) Vec::store_bfloat16(out + i, Vec::load(input + i));
  for (; i < count; ++i) out[i] = float_to_bfloat16(input[i]);
}

}  // namespace
}  // namespace octoformer
