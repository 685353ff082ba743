// The activations of one call of an int8 linear layer: quantized row by row, laid out for the kernels, with the lists
// of what is multiplied in float and of what has more than a byte.
#pragma once
#include <cstdint>
#include <functional>
#include <vector>

#include "backend/backend.h"
#include "cpu/aligned_memory.h"
#include "cpu/gemm_int8_kernels.h"
#include "cpu/int8_digits.h"
#include "cpu/int8_entries.h"
#include "cpu/int8_outlier_list.h"
#include "cpu/int8_weight.h"
#include "cpu/row_kernels.h"
#include "quantization/row_range.h"

namespace octoformer {

/// Keeps its memory between calls.
class Int8Activations final : public QuantizedRows {
 public:
  /// Where the rows come from. An op makes them one by one, in the first-level cache.
  struct Source {
    const RowOrigin& rows;
    const RowKernels* row_kernels = nullptr;  // of an op
  };

  /// Whether rows quantized for one weight are what the other one reads.
  static bool shared_by(const Int8Weight& left, const Int8Weight& right);

  /// Quantizes rows for `weight` and all that share them, in blocks of k as `task` says (of which only depth and
  /// depth_block are read).
  void quantize(const Int8Kernels& kernels, int threads, const Int8Weight& weight, const Source& source,
                const Int8Task& task);

  /// Likewise rows [rows, columns] that `make` writes, a block of `block_rows` (a multiple of the kernel's row_tile) at
  /// a time: each is quantized by the thread that made it, while its cache has it. No settings that look across rows.
  struct Block {
    int64_t first_row, rows;
    float* out;  // [rows, columns], of this thread
    int worker;
  };
  using MakeBlock = std::function<void(const Block&)>;
  void quantize_blocks(const Int8Kernels& kernels, int threads, const Int8Weight& weight, int64_t rows,
                       int64_t block_rows, const MakeBlock& make, const Int8Task& task);

  /// Fills the fields of `task` that tell of activations. What it points to lives until the next quantize().
  void describe(Int8Task& task) const;

 private:
  struct Worker {
    const Block* block = nullptr;  // where the rows lie that it has made; null: elsewhere
    // Of the rows at hand:
    std::vector<const float*> x;
    std::vector<float> rows;  // those that are not read where they lie
    std::vector<float> kept;  // values of the features that are always multiplied in float
    std::vector<RowScan> scans;
    std::vector<RowPart> parts;
    std::vector<int32_t> outliers;  // features
    std::vector<size_t> outlier_counts;
    std::vector<Int8Grid> grids;

    // Whether a feature is an outlier of a row that the worker has seen, where the rule is by column.
    std::vector<uint8_t> outlier_in;
    Int8Entries found;            // of the tile at hand
    std::vector<int32_t> place;   // of a feature among those of the tile at hand; -1: it has none
    std::vector<int32_t> counts;  // entries of each feature of the tile
  };
  class Call;

  /// Memory for `rows` rows.
  void prepare(int threads, const Int8Weight& weight, int64_t rows, const Int8Task& task);

  AlignedMemory bytes_;
  AlignedMemory blocks_;  // of every thread
  int64_t row_stride_ = 0, block_stride_ = 0;
  std::vector<ValueRange> ranges_;
  std::vector<float> below_;              // outliers of a row are |x| > this; < 0: there are none in it
  std::vector<int32_t> outlier_columns_;  // features that are outliers of some row, where the rule is by column
  std::vector<float> scale_;
  std::vector<int32_t> zero_;
  std::vector<int32_t> sum_;
  Int8Digits digits_;
  std::vector<Int8OutlierList> outliers_;  // of each tile
  std::vector<Int8Entries> parts_;         // of each part of each tile
  std::vector<Int8OutlierTile> tile_views_;
  std::vector<Worker> workers_;
};

}  // namespace octoformer
