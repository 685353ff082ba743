// What is multiplied in float, of a tile of rows, as the kernels read it.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "cpu/gemm_int8_kernels.h"

namespace octoformer {

/// Rows' outliers are filled up to the same number in each while that takes so many times as many.
inline constexpr int kFilledUpOutliers = 3;

/// One value of a row that is multiplied in float.
struct Int8Entry {
  int32_t feature;
  float value;
};

/// Keeps its memory between tiles.
class Int8OutlierList {
 public:
  /// Lists a tile's `entries`: one row after another, each row's by increasing feature; row r's end at row_end[r].
  /// `kept`: features whose weights are kept in bfloat16, increasing. `place` [features of the layer]: -1 everywhere,
  /// before and after.
  void make(std::span<const Int8Entry> entries, std::span<const size_t> row_end, std::span<const int64_t> kept,
            std::vector<int32_t>& place);
  Int8OutlierTile view() const;
  std::span<const int32_t> features() const { return features_; }
  /// counts[i] = entries of features()[i].
  void count(std::vector<int32_t>& counts) const;

 private:
  void list_features(std::span<const Int8Entry> entries, std::span<const size_t> row_end, std::vector<int32_t>& place);
  void find_kept(std::span<const int64_t> kept);

  std::vector<int32_t> features_, kept_;
  std::vector<Int8Outlier> entries_;
  std::vector<int32_t> row_begin_, feature_begin_;
};

}  // namespace octoformer
