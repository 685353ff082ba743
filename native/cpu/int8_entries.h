// What rows multiply in float, as it is found row by row.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "cpu/int8_outlier_list.h"

namespace octoformer {

/// Keeps its memory when cleared.
class Int8Entries {
 public:
  void clear();
  void append(const Int8Entries& later);
  /// Adds a row x: its values at `features`, and `kept_values` of the features `kept`, which are 0 in x. Both increase.
  void add_row(const float* x, std::span<const int32_t> features, std::span<const int64_t> kept,
               const float* kept_values);

  bool empty() const { return entries_.empty(); }
  size_t rows() const { return row_end_.size(); }
  /// One row after another, each one's by increasing feature; row r's end at row_end()[r].
  std::span<const Int8Entry> all() const { return entries_; }
  std::span<const size_t> row_end() const { return row_end_; }
  std::span<const Int8Entry> of_row(size_t row) const {
    const size_t begin = row > 0 ? row_end_[row - 1] : 0;
    return all().subspan(begin, row_end_[row] - begin);
  }

 private:
  std::vector<Int8Entry> entries_;
  std::vector<size_t> row_end_;
};

}  // namespace octoformer
