// Integer products on vectors: a tile of sums in registers, over many rows (prefill).
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "cpu/gemm_int8_kernels.h"
#include "cpu/kernels/gemm_blocks.h"
#include "cpu/kernels/gemm_int8_epilogue.h"
#include "cpu/kernels/gemm_int8_pairs.h"

namespace octoformer {
namespace {

/// sums [Rows, kPanel] = (or, unless `fresh`, +=) A [Rows, depth] x a panel of W [depth, kPanel]. The loops over
/// accumulators are unrolled by pragma: gcc 12 spills them otherwise.
template <class Unit, int Rows>
[[gnu::always_inline]] inline void multiply_int8_tile(const uint8_t* a, int64_t stride, const int8_t* weights,
                                                      int64_t depth, bool fresh, int32_t* sums) {
  typename Unit::Sum sum[Rows][kPanelVectors];
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < kPanelVectors; ++v) sum[r][v] = Unit::zero();
  }
  for (int64_t k = 0; k < depth; k += 4, weights += 4 * kPanel) {
    typename Unit::Weights w[kPanelVectors];
#pragma GCC unroll 16
    for (int v = 0; v < kPanelVectors; ++v) w[v] = Unit::load(weights + v * 4 * Vec::lanes);
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      const typename Unit::Activation x = Unit::broadcast(a + r * stride + k);
#pragma GCC unroll 16
      for (int v = 0; v < kPanelVectors; ++v) sum[r][v] = Unit::accumulate(x, w[v], sum[r][v]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < kPanelVectors; ++v) {
      int32_t* to = sums + (r * kPanelVectors + v) * Vec::lanes;
      const IntVec::I total = Unit::total(sum[r][v]);
      IntVec::store(to, fresh ? total : IntVec::add(IntVec::load(to), total));
    }
  }
}

template <class Unit, int Rows>
[[gnu::noinline]] void int8_tile(const uint8_t* a, int64_t stride, const int8_t* weights, int64_t depth, bool fresh,
                                 int32_t* sums) {
  if constexpr (requires { typename Unit::Pair; }) {
    multiply_int8_pairs<Unit, Rows>(a, stride, weights, depth, fresh, sums);
  } else {
    multiply_int8_tile<Unit, Rows>(a, stride, weights, depth, fresh, sums);
  }
}

/// Calls the tile of `rows` rows, 1 <= rows <= Unit::rows.
template <class Unit, int Rows = Unit::rows>
inline void int8_tile_of(int64_t rows, const uint8_t* a, int64_t stride, const int8_t* weights, int64_t depth,
                         bool fresh, int32_t* sums) {
  if constexpr (Rows > 1) {
    if (rows < Rows) return int8_tile_of<Unit, Rows - 1>(rows, a, stride, weights, depth, fresh, sums);
  }
  int8_tile<Unit, Rows>(a, stride, weights, depth, fresh, sums);
}

/// Blocks of k outermost, so that a block of a panel stays in the first-level cache while all rows pass by.
template <class Unit>
void many_rows_int8(const Int8Task& task) {
  const uint8_t* block = task.activations;
  for (int64_t first = 0; first < task.depth; first += task.depth_block, block += task.block_stride) {
    const int64_t depth = minimum(task.depth_block, task.depth - first);
    int32_t* sums = task.sums;
    for (int64_t panel = task.first_panel; panel < task.last_panel; ++panel) {
      const int8_t* weights = task.weights + panel * task.panel_stride + first * kPanel;
      for (int64_t row = task.first_row; row < task.last_row; row += Unit::rows, sums += Unit::rows * kPanel) {
        const int64_t rows = minimum(Unit::rows, task.last_row - row);
        int8_tile_of<Unit>(rows, block + row * task.row_stride, task.row_stride, weights, depth, first == 0, sums);
        if (first + depth == task.depth) {
          finish_int8_rows<kPanel>(task, sums, row, rows, Unit::rows, panel * kPanel);
        }
      }
    }
  }
}

}  // namespace
}  // namespace octoformer
