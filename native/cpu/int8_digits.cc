#include "cpu/int8_digits.h"

#include <algorithm>

#include "cpu/int8_outlier_list.h"
#include "quantization/row_range.h"

namespace octoformer {

void Int8Digits::prepare(const Int8Weight& weight, int64_t rows) {
  const Int8Settings& settings = weight.settings();
  rows_.clear();
  if (!outliers_are_integers(settings)) return;
  rows_.resize(static_cast<size_t>(rows));
  // No more entries of a row can reach so many root mean squares, but for the rounding of these.
  const float share = 1.001f / (settings.threshold * settings.threshold);
  const int64_t columns = weight.description().in_features;
  stride_ = share < 1.0f ? 1 + static_cast<int64_t>(share * static_cast<float>(columns)) : columns;
  digits_.reserve(static_cast<size_t>(rows * stride_) * sizeof(Int8Digit), "outliers of an int8 linear layer");
  weights_ = weight.layout();
}

void Int8Digits::add(size_t row, int64_t feature, int32_t digit) {
  Int8DigitRow& list = rows_[row];
  const auto byte = static_cast<uint32_t>(static_cast<uint8_t>(digit));
  digits_of(row)[list.count++] = {static_cast<int32_t>(weights_.place(0, feature / 4 * 4)),
                                  static_cast<int32_t>(byte << (feature % 4 * 8))};
  list.sum += digit;
}

void Int8Digits::fill_up(size_t first, size_t end) {
  int32_t longest = 0, all = 0;
  for (size_t row = first; row < end; ++row) {
    longest = std::max(longest, rows_[row].count);
    all += rows_[row].count;
  }
  if (longest * static_cast<int32_t>(end - first) > kFilledUpOutliers * all) return;
  for (size_t row = first; row < end; ++row) {
    int32_t& count = rows_[row].count;
    std::fill(digits_of(row) + count, digits_of(row) + longest, Int8Digit{});
    count = longest;
  }
}

void Int8Digits::describe(Int8Epilogue& epilogue) const {
  const bool any = std::ranges::any_of(rows_, [](const Int8DigitRow& row) { return row.count > 0; });
  epilogue.digit_rows = any ? rows_.data() : nullptr;
  epilogue.digits = any ? reinterpret_cast<const Int8Digit*>(digits_.data()) : nullptr;
  epilogue.digits_stride = any ? stride_ : 0;
}

}  // namespace octoformer
