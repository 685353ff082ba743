// What rows multiply in float, as it is found row by row.
#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "cpu/int8_outlier_list.h"

namespace octoformer {

/// visit(k) for each bit k that is set in words[0, count), increasing.
void for_each_bit(const uint64_t* words, int64_t count, const auto& visit) {
  // Words of zeros, of which there are many here and there, are left out without a branch that is hard to foresee.
  for (int64_t first = 0; first < count; first += 64) {
    const int64_t some = count - first < 64 ? count - first : 64;
    uint64_t filled = 0;
    for (int64_t i = 0; i < some; ++i) filled |= static_cast<uint64_t>(words[first + i] != 0) << i;
    for (; filled != 0; filled &= filled - 1) {
      const int64_t word = first + std::countr_zero(filled);
      uint64_t bits = words[word];
      do {
        visit(word * 64 + std::countr_zero(bits));
        bits &= bits - 1;
      } while (bits != 0);
    }
  }
}

/// Keeps its memory when cleared.
class Int8Entries {
 public:
  void clear();
  void append(const Int8Entries& later);
  /// Adds a row x [columns]: its values at the features whose bits are set in `bits` [ceil(columns / 64)] (null: none),
  /// and `kept_values` of the features `kept`, which increase and are 0 in x.
  void add_row(const float* x, int64_t columns, const uint64_t* bits, std::span<const int64_t> kept,
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
