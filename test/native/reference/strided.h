// A matrix inside a wider one, as slices of buffers are: what lies beside it must stay as it was.
#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

#include "backend/matrix.h"

namespace octoformer::reference {

class Strided {
 public:
  Strided(int64_t rows, int64_t columns, int64_t gap = 3)
      : rows_(rows),
        columns_(columns),
        stride_(columns + gap),
        data_(static_cast<size_t>(rows * stride_), kUntouched) {}

  Strided(int64_t rows, int64_t columns, const std::vector<float>& values, int64_t gap = 3)
      : Strided(rows, columns, gap) {
    for (int64_t row = 0; row < rows; ++row) {
      std::copy_n(values.begin() + row * columns, columns, data_.begin() + row * stride_);
    }
  }

  MatrixView view() { return {data_.data(), rows_, columns_, stride_}; }
  float at(int64_t row, int64_t column) const { return data_[static_cast<size_t>(row * stride_ + column)]; }

  /// The rows without the gaps.
  std::vector<float> values() const {
    std::vector<float> dense;
    for (int64_t row = 0; row < rows_; ++row) {
      dense.insert(dense.end(), data_.begin() + row * stride_, data_.begin() + row * stride_ + columns_);
    }
    return dense;
  }

  bool gaps_untouched() const {
    for (int64_t row = 0; row < rows_; ++row) {
      for (int64_t column = columns_; column < stride_; ++column) {
        if (at(row, column) != kUntouched) return false;
      }
    }
    return true;
  }

 private:
  static constexpr float kUntouched = 12345.0f;
  int64_t rows_, columns_, stride_;
  std::vector<float> data_;
};

}  // namespace octoformer::reference
