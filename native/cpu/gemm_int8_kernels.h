// The int8 products of one ISA: what a kernel is given, and which there are.
//
// Integer sums are exact, so every kernel of every ISA gives the same ones; then each element goes through the float32
// operations of Int8Epilogue in the order written there, whatever tile it lies in.
//
// Packed weights: [N / panel][K / 4][panel][4] int8, N and K filled up with zeros: four k of an output feature beside
// each other, as the dot products of four bytes want them, and contiguous in the order that both prefill and decoding
// read. Those of a tiled kernel lie in tiles, as PackedPanels says.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "cpu/gemm_kernels.h"

namespace octoformer {

/// A value that is multiplied in float.
struct Int8Outlier {
  int32_t weights = 0;  // 1 + place of its feature in the tile's list; 0: fills up its row, and adds nothing
  float value = -0.0f;
};

/// The values that are multiplied in float, of one tile of rows, and the `count` features that they belong to. If these
/// are more than kOutlierFeatures, they increase, and no row is filled up.
struct Int8OutlierTile {
  int64_t count = 0;
  const int32_t* features = nullptr;       // [count]: in the order in which the rows bring them up
  const int32_t* kept = nullptr;           // [count]: index among the weights kept in bfloat16, or -1; null: all -1
  const Int8Outlier* entries = nullptr;    // by row, each row's by increasing feature
  const int32_t* row_begin = nullptr;      // [rows + 1]: row r's are entries[row_begin[r] ... row_begin[r + 1])
  const int32_t* feature_begin = nullptr;  // [rows + 1]: so many features do the rows before r have
};

/// A number of a row that its byte has only the rest of: it is 256 digit + byte.
struct Int8Digit {
  int32_t weights = 0;  // where a panel has the four weights of its feature and those beside it, of the first vector
  int32_t digits = 0;   // four signed bytes, one for each of them: the digit, and zeros
};

/// The digits of a row.
struct Int8DigitRow {
  int32_t count = 0;
  int32_t sum = 0;  // of the digits
};

/// out = activation(x + outliers + bias) + residual, where
///   x = (sum + 256 digits - row_zero column_sum - column_zero row_sum) * row_scale * column_scale
///   digits = the sum of digit * weight over the row's Int8Digit
///   outliers = the chain of fused multiply-adds value * weight over increasing features, from -0
/// Integers are exact; rows without outliers add -0, which changes nothing. Arrays over output features are filled up
/// to whole panels.
struct Int8Epilogue {
  const float* row_scale = nullptr;          // [rows]
  const int32_t* row_zero = nullptr;         // [rows]: the stored byte's value that stands for 0
  const int32_t* row_sum = nullptr;          // [rows]: sum over k of (stored - row_zero); null if column_zero is
  const float* column_scale = nullptr;       // [out_features]
  const int32_t* column_sum = nullptr;       // [out_features]: sum over k of the weights
  const int32_t* column_zero = nullptr;      // [out_features]: zero points of the weights; null: all 0
  const Int8DigitRow* digit_rows = nullptr;  // [rows]; null: no row has any
  const Int8Digit* digits = nullptr;         // [rows][digits_stride]
  int64_t digits_stride = 0;
  const Int8OutlierTile* outliers = nullptr;  // [tiles of rows]; null: none
  const float* float_weights = nullptr;       // [panel][K][panel columns] for the outliers; null: dequantized int8
  const uint16_t* kept_weights = nullptr;     // [panel][kept][panel columns], bfloat16
  int64_t kept_count = 0;
  GemmEpilogue output;
};

/// Rows of a product that many_rows has arranged for itself (gemm_int8_narrowed.h).
struct Int8ArrangedRows {
  const uint8_t* activations = nullptr;
  int64_t first_row = 0, last_row = 0;

  bool operator==(const Int8ArrangedRows&) const = default;
};

/// A block of the result: rows [first_row, last_row), first_row a multiple of the kernel's row_tile, by the panels
/// [first_panel, last_panel).
struct Int8Task {
  /// Byte (row, k) lies at (k / depth_block) * block_stride + row * row_stride + k % depth_block, unless the kernel is
  /// `tiled`: activation_offset().
  const uint8_t* activations = nullptr;
  int64_t row_stride = 0;
  int64_t block_stride = 0;
  int64_t depth_block = 0;  // a multiple of the kernel's depth_granule, or >= depth
  const int8_t* weights = nullptr;
  int64_t panel_stride = 0;
  int64_t depth = 0;         // K, filled up to the kernel's depth_granule
  int64_t in_features = 0;   // K, as it is
  int64_t out_features = 0;  // N, as it is
  int64_t first_row = 0, last_row = 0;
  int64_t first_panel = 0, last_panel = 0;
  Int8Epilogue epilogue;
  int32_t* sums = nullptr;               // int8_scratch_values() of them, 64-byte aligned
  float* floats = nullptr;               // int8_scratch_floats() of them, 64-byte aligned
  Int8ArrangedRows* arranged = nullptr;  // that the thread's task before has left in `sums`; many_rows keeps it up
  /// Weights that this thread reads next, which few_rows fetches them meanwhile; null: none.
  const int8_t* ahead = nullptr;
  int64_t ahead_bytes = 0;
};

struct Int8Kernel {
  int panel = 0;           // output features of a packed panel
  int packed_columns = 0;  // those of a tile of weights; all, if not tiled
  int row_tile = 0;        // rows of a tile of accumulators
  int few_rows_limit = 0;  // rows that few_rows takes at once
  int depth_granule = 4;   // K is filled up to a multiple of it
  int row_granule = 1;     // many_rows reads (and drops) rows of A and of sums up to a multiple of it
  bool tiled = false;      // activations lie as tiles [row_tile][depth_granule]
  uint8_t flip = 0;        // an activation q in [-128, 127] is stored as q xor this: 0x80 for unsigned bytes, q + 128
  int narrowed_rows = 0;   // many_rows narrows weights, and goes on by so many rows; 0: it doesn't
  void (*few_rows)(const Int8Task&) = nullptr;   // depth_block >= depth, rows <= few_rows_limit
  void (*many_rows)(const Int8Task&) = nullptr;  // any number of rows
};

/// Features of a tile of rows whose weights are held dequantized: with a panel of 64, 16 KB.
inline constexpr int64_t kOutlierFeatures = 64;
/// No kernel's row_tile is larger.
inline constexpr int kLargestRowTile = 16;

/// What the four weights of a column lack that narrowed ones are multiplied instead of (gemm_int8_narrowed.h).
struct Int8Lack {
  int32_t step;     // where a group of rows has their activations
  int32_t column;   // of the panel
  int32_t weights;  // four bytes: 64, -64 or 0
};

/// Of a panel and the first `depth` of a run of k. With more, narrowed weights don't pay.
inline int64_t most_int8_lacks(int64_t depth) { return 32 + depth / 2; }
/// Fours of weights that are listed at most before the next look at their number: those of two fours of k.
inline constexpr int64_t kLacksAtOnce = 32;

/// Partial sums; of tiled kernels those being finished too (two strips of row_granule rows by a panel). Where weights
/// are narrowed: activations, too, with two values for four k, a run of k of a panel, and what its weights lack.
/// `depth`, `depth_block`: 0 for few_rows.
inline int64_t int8_scratch_values(const Int8Kernel& kernel, int64_t rows, int64_t panels, int64_t depth = 0,
                                   int64_t depth_block = 0) {
  int64_t granule = kernel.row_tile > kernel.row_granule ? kernel.row_tile : kernel.row_granule;
  if (kernel.narrowed_rows > granule) granule = kernel.narrowed_rows;
  const int64_t all_rows = (rows + granule - 1) / granule * granule;
  int64_t values = all_rows * panels * kernel.panel + (kernel.tiled ? 2 * granule * kernel.panel : 0);
  if (kernel.narrowed_rows > 0) {
    constexpr int64_t kLackValues = sizeof(Int8Lack) / sizeof(int32_t), kLineValues = 16;
    values += ((all_rows + 2) * depth + kernel.panel * depth_block) / 4 + kLineValues;
    values += (most_int8_lacks(depth_block) + kLacksAtOnce) * kLackValues;
  }
  return (values + 15) / 16 * 16;
}
/// Dequantized weights, or sums of products, of outliers: a row of zeros, then kOutlierFeatures.
inline int64_t int8_scratch_floats(const Int8Kernel& kernel) { return (1 + kOutlierFeatures) * kernel.panel; }

/// What a row holds, as ValueRange of native/quantization says.
struct RowScan {
  float low = 0.0f;   // min(0, values)
  float high = 0.0f;  // max(0, values)
  bool finite = true;
  float squares = 0.0f;  // their sum, bit for bit sum_of_squares() of native/quantization
};

/// What lies in kScanPart columns of a row, from which those with outliers are told: lane i of its vectors has seen
/// low[i] = min(0, values) and high[i] = max(0, values). Lanes that an ISA doesn't have stay as they are.
inline constexpr int64_t kScanPart = 128;
struct RowPart {
  static constexpr int kMostLanes = 16;
  float low[kMostLanes], high[kMostLanes];
};
inline int64_t row_parts(int64_t count) { return (count + kScanPart - 1) / kScanPart; }

/// How a row is quantized, as Int8Grid of native/quantization says: rint(x * multiplier), or, where step > 0, rint(x /
/// step) + zero_point; then clamped to [least, 127]. Exact for values whose quotients are below 2^31.
struct RowGrid {
  float multiplier = 0.0f;
  float step = 0.0f;
  int32_t zero_point = 0;
  int32_t least = -127;
  uint8_t flip = 0;  // Int8Kernel::flip
};

/// Bytes of a quantized row that lie beside each other wherever it goes: a row of an AMX tile.
inline constexpr int64_t kByteRun = 64;

/// Weights of a row that share a scale, as an embedding's: (value - zero_point) * weight_scale * scale.
struct Int8TableRow {
  const int8_t* values = nullptr;
  int32_t zero_point = 0;
  float weight_scale = 0.0f;
  float scale = 1.0f;
  bool accumulate = false;  // add to `out` instead of writing it
};

struct Int8Kernels {
  Int8Kernel symmetric;  // weights in [-127, 127]
  Int8Kernel general;    // weights in [-128, 127]; the same panel, depth_granule and flip
  /// `parts` [row_parts(count)]: null where nobody wants them.
  void (*scan_row)(const float* x, int64_t count, RowPart* parts, RowScan* scan) = nullptr;
  /// Of a row that scan_row() has seen, and its parts: takes outliers (|x| > below >= 0) out of low, high and finite.
  /// Writes where they are to `outliers` [count], increasing, and returns how many there are.
  int64_t (*scan_outliers)(const float* x, int64_t count, float below, const RowPart* parts, int32_t* outliers,
                           RowScan* scan) = nullptr;
  /// Byte k goes to out[k / kByteRun * stride + k % kByteRun]. Those of outliers are for the caller to overwrite.
  void (*quantize_row)(const float* x, int64_t count, const RowGrid& grid, uint8_t* out, int64_t stride) = nullptr;
  void (*table_row)(const Int8TableRow& row, int64_t count, float* out) = nullptr;
  int weight_only_panel = 0;  // of weights that meet float32 activations: GemmKernels::int8_weights
};

}  // namespace octoformer
