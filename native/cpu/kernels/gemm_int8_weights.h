// float32 activations by int8 weights: the chain of fused multiply-adds of all float products, over integers that are
// widened on the way; the epilogue multiplies by the output feature's scale.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "cpu/gemm_kernels.h"
#include "cpu/kernels/gemm_blocks.h"

namespace octoformer {
namespace {

struct Int8WeightForm {
  using Activation = float;
  using Weight = int8_t;
};

/// The weights of one k for Vec::lanes outputs; `quads` points at theirs of k rounded down to a multiple of 4.
inline Vec::F widen_int8(const int8_t* quads, int index) {
  return IntVec::to_float(IntVec::byte_of_four(quads, index));
}

/// A block of a panel widened once for all rows of the task.
inline const float* block_of_panel(const int8_t* weights, int64_t first, int64_t depth, Int8WeightForm, float* wide) {
  for (int64_t k = 0; k < depth; ++k) {
    const int8_t* quads = weights + (first + k) / 4 * 4 * kPanel;
    for (int v = 0; v < kPanelVectors; ++v) {
      Vec::store(wide + k * kPanel + v * Vec::lanes, widen_int8(quads + v * 4 * Vec::lanes, static_cast<int>(k % 4)));
    }
  }
  return wide;
}

/// sums += a[k + index] times the weights of that k.
template <int Rows>
[[gnu::always_inline]] inline void int8_weights_step(const float* a, int64_t stride, const int8_t* quads, int index,
                                                     Vec::F (&sums)[Rows][kPanelVectors]) {
  Vec::F b[kPanelVectors];
#pragma GCC unroll 16
  for (int v = 0; v < kPanelVectors; ++v) b[v] = widen_int8(quads + v * 4 * Vec::lanes, index);
  multiply_add(a + index, stride, b, sums);
}

template <int Rows>
[[gnu::noinline]] void int8_weights_tile(const float* a, int64_t stride, const int8_t* weights, int64_t depth,
                                         float* sums) {
  Vec::F sum[Rows][kPanelVectors];
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < kPanelVectors; ++v) sum[r][v] = Vec::zero();
  }
  int64_t k = 0;
  for (; k + 4 <= depth; k += 4) {
#pragma GCC unroll 4
    for (int index = 0; index < 4; ++index) int8_weights_step(a + k, stride, weights + k * kPanel, index, sum);
  }
  for (int index = 0; k + index < depth; ++index) int8_weights_step(a + k, stride, weights + k * kPanel, index, sum);
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < kPanelVectors; ++v) Vec::store(sums + (r * kPanelVectors + v) * Vec::lanes, sum[r][v]);
  }
}

/// All of K for up to kTileRows rows, panel by panel: every weight is read once, in order.
void few_rows_int8_weights(const GemmTask<float, int8_t>& task) {
  const float* a = task.activations + task.first_row * task.row_stride;
  const int64_t rows = task.last_row - task.first_row;
  for (int64_t panel = task.first_panel; panel < task.last_panel; ++panel) {
    const int8_t* weights = task.weights + panel * task.panel_stride;
    with_rows(rows, [&](auto count) {
      int8_weights_tile<decltype(count)::value>(a, task.row_stride, weights, task.depth, task.scratch);
    });
    const int64_t column = panel * kPanel;
    finish_tile<kPanel>(task.epilogue, task.scratch, kPanel, task.first_row, rows, column,
                        minimum(kPanel, task.out_features - column));
  }
}

}  // namespace
}  // namespace octoformer
