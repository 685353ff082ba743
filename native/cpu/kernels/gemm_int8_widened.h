// Integer products of many rows where there is no dot product of bytes: both sides are widened to 16 bits, a block of
// rows and a block of a panel at a time, and multiplied in pairs. A step is a multiplication and an addition for every
// two k, where |a| by weights that take a's sign (SignInt8Unit) is three of the former kind and an addition for four.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "cpu/gemm_int8_kernels.h"
#include "cpu/kernels/gemm_blocks.h"
#include "cpu/kernels/gemm_int8_epilogue.h"

namespace octoformer {
namespace {

/// sums [Rows, kPanel] = (or, unless `fresh`, +=) A [Rows, depth] x Vec::lanes columns of W [depth / 4][lanes][4]. The
/// loops over accumulators are unrolled by pragma: gcc 12 spills them otherwise.
template <class Unit, int Rows>
[[gnu::noinline]] void widened_tile(const int16_t* a, int64_t stride, const int16_t* weights, int64_t depth, bool fresh,
                                    int32_t* sums) {
  typename Unit::Part sum[Rows][2];
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) sum[r][0] = sum[r][1] = IntVec::set1(0);
  for (int64_t k = 0; k < depth; k += 4, weights += 4 * Vec::lanes) {
    const typename Unit::Part low = Unit::load_widened(weights), high = Unit::load_widened(weights + 2 * Vec::lanes);
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      const typename Unit::Activation x = Unit::broadcast_widened(a + r * stride + k);
      sum[r][0] = Unit::accumulate_widened(x, low, sum[r][0]);
      sum[r][1] = Unit::accumulate_widened(x, high, sum[r][1]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
    int32_t* to = sums + r * kPanel;
    asm("" : "+x"(sum[r][0]), "+x"(sum[r][1]));
    const IntVec::I total = Unit::total({sum[r][0], sum[r][1]});
    IntVec::store(to, fresh ? total : IntVec::add(IntVec::load(to), total));
  }
}

/// Calls the tile of `rows` rows, 1 <= rows <= Unit::widened_rows.
template <class Unit, int Rows = Unit::widened_rows>
inline void widened_tile_of(int64_t rows, const int16_t* a, int64_t stride, const int16_t* weights, int64_t depth,
                            bool fresh, int32_t* sums) {
  if constexpr (Rows > 1) {
    if (rows < Rows) return widened_tile_of<Unit, Rows - 1>(rows, a, stride, weights, depth, fresh, sums);
  }
  widened_tile<Unit, Rows>(a, stride, weights, depth, fresh, sums);
}

/// out [count] = bytes.
template <class Unit>
inline void widen_run(const int8_t* bytes, int64_t count, int16_t* out) {
  int64_t i = 0;
  for (; i + 16 <= count; i += 16) Unit::widen(bytes + i, out + i);
  for (; i < count; ++i) out[i] = bytes[i];
}

/// As many_rows_int8 (gemm_int8_tile.h).
template <class Unit>
void many_rows_int8_widened(const Int8Task& task) {
  constexpr int kRows = Unit::widened_rows;
  const int64_t rows = task.last_row - task.first_row;
  const int64_t tiled_rows = (rows + kRows - 1) / kRows * kRows;
  const int64_t block = minimum(task.depth_block, task.depth);
  auto* const panel_block =
      reinterpret_cast<int16_t*>(task.sums + tiled_rows * (task.last_panel - task.first_panel) * kPanel);
  int16_t* const row_block = panel_block + kPanel * block;
  const uint8_t* bytes = task.activations + task.first_row * task.row_stride;
  for (int64_t first = 0; first < task.depth; first += task.depth_block, bytes += task.block_stride) {
    const int64_t depth = minimum(task.depth_block, task.depth - first);
    for (int64_t r = 0; r < rows; ++r) {
      widen_run<Unit>(reinterpret_cast<const int8_t*>(bytes) + r * task.row_stride, depth, row_block + r * depth);
    }
    int32_t* sums = task.sums;
    for (int64_t panel = task.first_panel; panel < task.last_panel; ++panel) {
      const int8_t* weights = task.weights + panel * task.panel_stride + first * kPanel;
      for (int64_t quad = 0; quad < depth / 4; ++quad) {
        for (int v = 0; v < kPanelVectors; ++v) {
          widen_run<Unit>(weights + (quad * kPanelVectors + v) * 4 * Vec::lanes, 4 * Vec::lanes,
                          panel_block + (v * depth + quad * 4) * Vec::lanes);
        }
      }
      for (int64_t r = 0; r < rows; r += kRows, sums += kRows * kPanel) {
        const int64_t count = minimum(kRows, rows - r);
        for (int v = 0; v < kPanelVectors; ++v) {
          widened_tile_of<Unit>(count, row_block + r * depth, depth, panel_block + v * depth * Vec::lanes, depth,
                                first == 0, sums + v * Vec::lanes);
        }
        if (first + depth == task.depth) {
          finish_int8_rows<kPanel>(task, sums, task.first_row + r, count, kRows, panel * kPanel);
        }
      }
    }
  }
}

}  // namespace
}  // namespace octoformer
