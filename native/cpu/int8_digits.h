// What the outliers of quantized rows have beyond their bytes, where they stay integers
// (native/quantization/row_range.h), as the kernels read it.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "cpu/aligned_memory.h"
#include "cpu/gemm_int8_kernels.h"
#include "cpu/int8_weight.h"

namespace octoformer {

/// Keeps its memory between calls. Rows may be filled by different threads.
class Int8Digits {
 public:
  /// For rows that `weight` reads: as many of them as have room for digits, none where its outliers are floats.
  void prepare(const Int8Weight& weight, int64_t rows);

  void begin_row(size_t row) { rows_[row] = {}; }
  /// A number of the row, for its `feature`, that is 256 digit + what its byte holds.
  void add(size_t row, int64_t feature, int32_t digit);
  /// Rows [first, end), a tile of them, are filled up to the same number of digits where that costs little: loops that
  /// are as long each time are foreseen.
  void fill_up(size_t first, size_t end);

  void describe(Int8Epilogue& epilogue) const;

 private:
  Int8Digit* digits_of(size_t row) const {
    return reinterpret_cast<Int8Digit*>(digits_.data()) + static_cast<int64_t>(row) * stride_;
  }

  std::vector<Int8DigitRow> rows_;
  AlignedMemory digits_;  // Int8Digit [rows][stride_]
  int64_t stride_ = 0;
  PackedPanels weights_;
};

}  // namespace octoformer
