// The matrix products of one ISA: what a kernel is given, and which there are.
//
// out[m, n] = activation(sum over k of A[m, k] W[n, k] + bias[n]) + residual[m, n]
//
// Every sum is one chain of accumulations over k in increasing order that starts from 0. Its bits depend on K and the
// weight's form alone: not on M, the tiles, the blocks or the threads (docs/design.md section 4).
//
// Packed weights. W is cut into panels of `panel` output features (the last is filled with zeros), each contiguous:
//   float32, float16   [K][panel]
//   bfloat16           [K / 2][panel][2], K filled with zeros to a multiple of `depth_granule`
// so that one step reads a contiguous run of output features, a pair of k beside each other where the units want it.
// Those of a tiled kernel lie in tiles, as PackedPanels says.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "backend/activation.h"

namespace octoformer {

/// What happens to the sums before they reach memory. (Those of integers have become floats then: Int8Epilogue.)
struct GemmEpilogue {
  const float* bias = nullptr;  // [out_features] or null
  Activation activation = Activation::identity;
  const float* residual = nullptr;  // null: none. May be the same memory as `out`.
  int64_t residual_stride = 0;
  float* out = nullptr;
  int64_t out_stride = 0;
};

/// A block of the result: rows [first_row, last_row) by the panels [first_panel, last_panel).
/// A: the elements of activations, W: those of packed weights.
template <class A, class W>
struct GemmTask {
  /// Element (row, k) lies at (k / depth_block) * block_stride + row * row_stride + k % depth_block, unless the kernel
  /// is `tiled`: activation_offset().
  const A* activations = nullptr;
  int64_t row_stride = 0;
  int64_t block_stride = 0;
  int64_t depth_block = 0;  // a multiple of the kernel's depth_granule, or >= depth
  const W* weights = nullptr;
  int64_t panel_stride = 0;  // elements of a packed panel
  /// Of int8 weights: [panel][groups][panel columns], a scale for `group` k (the last may be fewer) of each output
  /// feature.
  const float* scales = nullptr;
  int64_t scales_stride = 0;  // from panel to panel
  int64_t group = 0;          // a multiple of kInt8GroupGranule, or >= K; 1 at least
  int64_t depth = 0;          // K, filled up to the kernel's depth_granule
  int64_t out_features = 0;   // N, as it is
  int64_t first_row = 0, last_row = 0;
  int64_t first_panel = 0, last_panel = 0;
  GemmEpilogue epilogue;
  float* scratch = nullptr;  // gemm_scratch_floats() of them, 64-byte aligned
  /// Weights that this thread reads next, which few_rows fetches meanwhile; null: none.
  const W* ahead = nullptr;
  int64_t ahead_bytes = 0;
};

/// k of a panel that few_rows takes at a time where rows are several tiles: weights of that many stay in the
/// first-level cache (16 KB of AVX2's float32, 64 KB in the second of AVX-512's), and what comes next is fetched in
/// between.
inline constexpr int64_t kFewRowDepth = 256;

/// One form of product. `few_rows` reads the weights once for up to `few_rows_limit` rows (decoding): it is bound by
/// memory. `many_rows` keeps blocks in the caches (prefill). Both give the same bits.
template <class A, class W>
struct GemmKernel {
  int panel = 0;                                       // output features of a packed panel
  int packed_columns = 0;                              // those of a tile of weights; all, if not tiled
  int row_tile = 0;                                    // rows of a tile of accumulators
  int few_rows_limit = 0;                              // rows that few_rows takes at once
  int depth_granule = 1;                               // K is filled up to a multiple of it
  int row_granule = 1;                                 // many_rows reads (and drops) rows of A up to a multiple of it
  bool tiled = false;                                  // activations lie as tiles [row_tile][depth_granule]
  void (*few_rows)(const GemmTask<A, W>&) = nullptr;   // depth_block >= depth, rows <= few_rows_limit
  void (*many_rows)(const GemmTask<A, W>&) = nullptr;  // any number of rows
};

/// How a panel of packed weights lies: [K / depth][panel / columns][depth / group][columns][group]. A tile of weights
/// is `columns` output features by `depth` of k, of which `group` lie beside each other. Where a tile is as wide as the
/// panel its depth makes no difference.
struct PackedPanels {
  int64_t panel = 0, columns = 0, depth = 1, group = 1;

  /// Where (column, k) lies in a panel, k a multiple of `group`. The groups of k that follow in the same tile lie
  /// group_stride() apart.
  int64_t place(int64_t column, int64_t k) const {
    const int64_t in_tile = k % depth;
    return (k - in_tile) * panel + column / columns * columns * depth + in_tile * columns + column % columns * group;
  }
  int64_t group_stride() const { return columns * group; }
};

/// Where element (row, k) of tiled activations lies: row_tile rows of a block of k together, a tile after another. A
/// tile is 1 KB in one run, which the processor's prefetching follows and which takes up the sets of a cache evenly.
inline int64_t activation_offset(int64_t row, int64_t k, int64_t row_tile, int64_t tile_depth, int64_t row_stride,
                                 int64_t block_stride, int64_t depth_block) {
  const int64_t in_block = k % depth_block;
  return k / depth_block * block_stride + row / row_tile * row_tile * row_stride +
         in_block / tile_depth * row_tile * tile_depth + row % row_tile * tile_depth + in_block % tile_depth;
}

/// Floats of scratch that a task needs: the partial sums of its block, and one widened block of a panel (for few_rows,
/// kFewRowDepth of k) or, of tiled kernels, the sums being finished (two strips of row_granule rows by a panel).
template <class A, class W>
int64_t gemm_scratch_floats(const GemmKernel<A, W>& kernel, int64_t rows, int64_t panels, int64_t depth_block) {
  const int64_t granule = kernel.row_tile > kernel.row_granule ? kernel.row_tile : kernel.row_granule;
  return (rows + granule - 1) / granule * granule * panels * kernel.panel +
         (kernel.tiled ? 2 * granule : depth_block) * kernel.panel;
}

/// out = row * scale, or out + row * scale, rounded after each step: a row of a table in each form.
struct TableRowKernels {
  void (*float32)(const float* row, int64_t count, float scale, bool accumulate, float* out) = nullptr;
  void (*bfloat16)(const uint16_t* row, int64_t count, float scale, bool accumulate, float* out) = nullptr;
  void (*float16)(const uint16_t* row, int64_t count, float scale, bool accumulate, float* out) = nullptr;
};

struct GemmKernels {
  GemmKernel<float, float> float32;
  GemmKernel<float, uint16_t> bfloat16;           // bfloat16 weights, widened; float32 activations
  GemmKernel<float, uint16_t> float16;            // float16 weights, widened; float32 activations
  GemmKernel<uint16_t, uint16_t> bfloat16_units;  // both bfloat16, the machine's units; functions null: none
  /// Rounds a row to bfloat16 and back.
  void (*round_row_to_bfloat16)(const float* input, int64_t count, float* out) = nullptr;
  /// Narrows a row to bfloat16.
  void (*narrow_row_to_bfloat16)(const float* input, int64_t count, uint16_t* out) = nullptr;
  GemmKernel<float, int8_t> int8_weights;  // packed as gemm_int8_kernels.h says, dequantized; float32 activations
  TableRowKernels table_row;
};

}  // namespace octoformer
