// The outlier product of LLM.int8(): the few values that stay float32 times their features' weights.
//
// Each feature's weights are dequantized once for a tile of rows and a panel, into a table in the first-level cache,
// when the first row that needs them is finished. Rows then take their products from there, in registers, on their way
// to the output.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "cpu/gemm_int8_kernels.h"
#include "cpu/kernels/gemm_int8_digits.h"
#include "cpu/kernels/gemm_tile.h"
#include "cpu/kernels/weights_ahead.h"

namespace octoformer {
namespace {

/// Outliers of rows that are being finished, and the table with weights of their features (of the panel at hand).
struct OutlierRows {
  const float* weights = nullptr;  // [features][Panel], the first one zeros
  const Int8Outlier* entries = nullptr;
  const int32_t* row_begin = nullptr;  // of the first of the rows

  /// sums[v] = the products of row r, in vectors of output features.
  template <int Vectors>
  [[gnu::always_inline]] void sum(int64_t r, Vec::F (&sums)[Vectors]) const {
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v) sums[v] = Vec::set1(-0.0f);
    add(entries + row_begin[r], entries + row_begin[r + 1], 0, sums);
  }
  template <int Vectors>
  [[gnu::always_inline]] void add(const Int8Outlier* entry, const Int8Outlier* end, int32_t first,
                                  Vec::F (&sums)[Vectors]) const {
#pragma GCC unroll 1
    for (; entry != end; ++entry) {
      const Vec::F x = Vec::set1(entry->value);
      const float* w = weights + static_cast<int64_t>(entry->weights - first) * (Vectors * Vec::lanes);
#pragma GCC unroll 8
      for (int v = 0; v < Vectors; ++v) sums[v] = Vec::fma(x, Vec::load(w + v * Vec::lanes), sums[v]);
    }
  }
};

/// A panel's int8 weights, which become float32 by features. `Zeros`: whether there is a column_zero.
template <int Panel, bool Zeros>
struct FeatureWeights {
  static constexpr int kVectors = Panel / Vec::lanes;
  const int8_t* weights;
  int64_t panel_stride;
  Vec::F scale[kVectors];
  IntVec::I zero[kVectors];

  FeatureWeights(const Int8Task& task, int64_t column)
      : weights(task.weights + column / Panel * task.panel_stride), panel_stride(task.panel_stride) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      scale[v] = Vec::load(task.epilogue.column_scale + column + v * Vec::lanes);
      zero[v] = Zeros ? IntVec::load(task.epilogue.column_zero + column + v * Vec::lanes) : IntVec::set1(0);
    }
  }

  /// To `table` [count][Panel].
  [[gnu::always_inline]] void dequantize(const int32_t* features, int64_t count, float* table) const {
#if defined(OCTOFORMER_TILES)
    constexpr int kTileVectors = 16 / Vec::lanes, kDepth = kByteRun;  // of a tile of weights
#else
    constexpr int kTileVectors = kVectors, kDepth = 4;
#endif
#pragma GCC unroll 1
    for (const int32_t* end = features + count; features < end; ++features, table += Panel) {
      const auto feature = static_cast<uint32_t>(*features);
      const int8_t* quads = weights + static_cast<int64_t>(feature / kDepth) * kDepth * Panel +
                            feature % kDepth / 4 * 4 * kTileVectors * Vec::lanes;
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) {
        const int8_t* of_vector = quads + quad_offset<kVectors>(v);
#if defined(OCTOFORMER_TILES)
        // The rows come back with the next panel, of which the second-level cache may hold no more than a block of k.
        __builtin_prefetch(of_vector + panel_stride);
#endif
        IntVec::I q = IntVec::byte_of_four(of_vector, static_cast<int>(feature % 4));
        if constexpr (Zeros) q = IntVec::sub(q, zero[v]);
        Vec::store(table + v * Vec::lanes, Vec::mul(IntVec::to_float(q), scale[v]));
      }
    }
  }
};

/// Weights of the tile's features [first, last), as float32, to `table` [last - first][Panel].
template <int Panel>
inline void dequantize_outlier_weights(const Int8Task& task, const Int8OutlierTile& tile, int64_t first, int64_t last,
                                       int64_t column, float* table) {
  const Int8Epilogue& epilogue = task.epilogue;
  const auto dequantize = [&](int64_t from, int64_t count, float* to) {
    if (epilogue.column_zero != nullptr) {
      FeatureWeights<Panel, true>(task, column).dequantize(tile.features + from, count, to);
    } else {
      FeatureWeights<Panel, false>(task, column).dequantize(tile.features + from, count, to);
    }
  };
  if (tile.kept == nullptr && epilogue.float_weights == nullptr) return dequantize(first, last - first, table);
  const int64_t panel = column / Panel;
  for (int64_t i = first; i < last; ++i, table += Panel) {
    const int32_t kept = tile.kept != nullptr ? tile.kept[i] : -1;
    if (kept < 0 && epilogue.float_weights == nullptr) {
      dequantize(i, 1, table);
      continue;
    }
#pragma GCC unroll 8
    for (int64_t v = 0; v < Panel; v += Vec::lanes) {
      Vec::store(table + v,
                 kept >= 0
                     ? Vec::load_bfloat16(epilogue.kept_weights + (panel * epilogue.kept_count + kept) * Panel + v)
                     : Vec::load(epilogue.float_weights + (panel * task.in_features + tile.features[i]) * Panel + v));
    }
  }
}

/// Of a tile with more features than the table holds: the products of its rows, to `sums` [rows][Panel]. Weights of a
/// run of features, which are `run` many, serve all rows.
template <int Panel>
[[gnu::noinline]] void sum_many_outliers(const Int8Task& task, const Int8OutlierTile& tile, int64_t rows,
                                         int64_t column, float* sums, float* weights, int64_t run) {
  constexpr int kVectors = Panel / Vec::lanes;
  const Int8Outlier* next[kLargestRowTile];
  for (int64_t r = 0; r < rows; ++r) next[r] = tile.entries + tile.row_begin[r];
  const OutlierRows outliers = {weights, nullptr, nullptr};
  for (int64_t first = 0; first < tile.count; first += run) {
    const int64_t last = first + run < tile.count ? first + run : tile.count;
    dequantize_outlier_weights<Panel>(task, tile, first, last, column, weights);
    for (int64_t r = 0; r < rows; ++r) {
      const Int8Outlier* const end = tile.entries + tile.row_begin[r + 1];
      const Int8Outlier* entry = next[r];
      while (next[r] != end && next[r]->weights <= last) ++next[r];
      Vec::F sum[kVectors];
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) {
        sum[v] = first == 0 ? Vec::set1(-0.0f) : Vec::load(sums + r * Panel + v * Vec::lanes);
      }
      outliers.add(entry, next[r], static_cast<int32_t>(first + 1), sum);
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) Vec::store(sums + r * Panel + v * Vec::lanes, sum[v]);
    }
  }
}

/// Each row has one outlier, 1, whose weights are its own.
struct RowsOfSums {
  Int8Outlier entries[kLargestRowTile];
  int32_t row_begin[kLargestRowTile + 1] = {};
  constexpr RowsOfSums() {
    for (int r = 0; r < kLargestRowTile; ++r) {
      entries[r] = {r + 1, 1.0f};
      row_begin[r + 1] = r + 1;
    }
  }
};
constexpr RowsOfSums kRowsOfSums;

/// Whether every one of a tile's rows has all of its features, as where the same ones are float in every row. Places
/// increase along a row, so that one whose last is the tile's last has them all.
inline bool rows_share_features(const Int8OutlierTile& tile, int64_t rows) {
  if (tile.count + kLargestRowTile > kOutlierFeatures || tile.feature_begin[1] != tile.count) return false;
  for (int64_t r = 0; r < rows; ++r) {
    const int32_t end = tile.row_begin[r + 1];
    if (end - tile.row_begin[r] != tile.count || tile.entries[end - 1].weights != tile.count) return false;
  }
  return true;
}

/// The products of `Rows` such rows, to `sums` [Rows][Panel]: the same chains as OutlierRows makes, side by side, so
/// that weights are read once for all of them.
template <int Panel, int Rows>
inline void sum_shared_features(const Int8Outlier* entries, int64_t count, const float* weights, float* sums) {
  constexpr int kVectors = Panel / Vec::lanes;
  Vec::F sum[Rows][kVectors];
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) sum[r][v] = Vec::set1(-0.0f);
  }
  for (int64_t i = 0; i < count; ++i, weights += Panel) {
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
      const Vec::F x = Vec::set1(entries[r * count + i].value);
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) sum[r][v] = Vec::fma(x, Vec::load(weights + v * Vec::lanes), sum[r][v]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) Vec::store(sums + r * Panel + v * Vec::lanes, sum[r][v]);
  }
}

/// The outliers of all `rows` rows of a tile that share their features. `known`: the tile whose weights of this panel
/// are in `table`, or null; becomes this one.
template <int Panel>
[[gnu::noinline]] OutlierRows outliers_of_shared_features(const Int8Task& task, const Int8OutlierTile& tile,
                                                          const Int8OutlierTile*& known, int64_t rows, int64_t column,
                                                          float* table) {
  constexpr int kVectors = Panel / Vec::lanes, kRows = kVectors <= 4 ? 4 : 1;
  float *const sums = table + Panel, *const weights = sums + kLargestRowTile * Panel;
  if (known == nullptr || known->count != tile.count ||
      __builtin_memcmp(known->features, tile.features, static_cast<size_t>(tile.count) * sizeof(int32_t)) != 0) {
    dequantize_outlier_weights<Panel>(task, tile, 0, tile.count, column, weights);
  }
  known = &tile;
  int64_t r = 0;
  for (; r + kRows <= rows; r += kRows) {
    sum_shared_features<Panel, kRows>(tile.entries + r * tile.count, tile.count, weights, sums + r * Panel);
  }
  for (; r < rows; ++r) {
    sum_shared_features<Panel, 1>(tile.entries + r * tile.count, tile.count, weights, sums + r * Panel);
  }
  return {table, kRowsOfSums.entries, kRowsOfSums.row_begin};
}

/// The outliers of rows [first, last) of a tile that begins at `row`. What is in `table` is that of the rows before
/// `first`, and the same panel.
template <int Panel>
[[gnu::noinline]] OutlierRows outliers_of_rows(const Int8Task& task, const Int8OutlierTile& tile, int64_t row,
                                               int64_t first, int64_t last, int64_t row_tile, int64_t column,
                                               float* table) {
  float* weights = table + Panel;
  if (first == 0) {
#pragma GCC unroll 8
    for (int v = 0; v < Panel; v += Vec::lanes) Vec::store(table + v, Vec::zero());
  }
  if (tile.count > kOutlierFeatures) {
    const int64_t left = task.last_row - row, rows = left < row_tile ? left : row_tile;
    if (first == 0) {
      sum_many_outliers<Panel>(task, tile, rows, column, weights, weights + rows * Panel, kOutlierFeatures - rows);
    }
    return {table, kRowsOfSums.entries, kRowsOfSums.row_begin + first};
  }
  const int64_t begin = tile.feature_begin[first], end = tile.feature_begin[last];
  dequantize_outlier_weights<Panel>(task, tile, begin, end, column, weights + begin * Panel);
  return {table, tile.entries, tile.row_begin + first};
}

}  // namespace
}  // namespace octoformer
