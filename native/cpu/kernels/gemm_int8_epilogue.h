// From exact integer sums to output: scales and zero points, the outlier product, then the epilogue of all products, in
// one pass.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include <type_traits>

#include "cpu/gemm_int8_kernels.h"
#include "cpu/kernels/epilogue.h"
#include "cpu/kernels/gemm_int8_digits.h"
#include "cpu/kernels/gemm_int8_outliers.h"
#include "cpu/kernels/gemm_tile.h"

namespace octoformer {
namespace {

/// x = (sum + 256 digits - row_zero column_sum - column_zero row_sum) * row_scale * column_scale of the rows from
/// `row`; `WeightZeros`: whether there is a column_zero; `Outliers`: whether their products are added.
template <int Panel, bool WeightZeros, bool Outliers>
struct ScaledSums {
  static constexpr int kVectors = Panel / Vec::lanes;
  const Int8Epilogue& epilogue;
  const int32_t* sums;
  int64_t row, column;
  DigitRows<Panel> digits;
  OutlierRows outliers;
  Vec::F column_scale[kVectors];
  IntVec::I shift[kVectors];  // -row_zero column_sum, kept while rows have the same zero
  int32_t row_zero;

  ScaledSums(const Int8Task& task, const int32_t* first, int64_t first_row, int64_t first_column,
             const OutlierRows& of_rows)
      : epilogue(task.epilogue),
        sums(first),
        row(first_row),
        column(first_column),
        digits(task, first_row, first_column),
        outliers(of_rows) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) column_scale[v] = Vec::load(epilogue.column_scale + column + v * Vec::lanes);
    take_zero(epilogue.row_zero[row]);
  }
  [[gnu::always_inline]] void take_zero(int32_t zero) {
    row_zero = zero;
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      shift[v] = IntVec::mul(IntVec::set1(-zero), IntVec::load(epilogue.column_sum + column + v * Vec::lanes));
    }
  }
  [[gnu::always_inline]] auto of_row(int64_t r) {
    const int32_t zero = epilogue.row_zero[row + r];
    if (zero != row_zero) take_zero(zero);
    const Vec::F row_scale = Vec::set1(epilogue.row_scale[row + r]);
    const IntVec::I row_sum = WeightZeros ? IntVec::set1(epilogue.row_sum[row + r]) : IntVec::set1(0);
    const int32_t* sum = sums + r * Panel;
    IntVec::I total[kVectors];
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) total[v] = IntVec::add(shift[v], IntVec::load(sum + v * Vec::lanes));
    if (digits.rows != nullptr) digits.add(r, total);
    struct Scaled {
      Vec::F values[kVectors];
    } scaled, added = {};
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      if constexpr (WeightZeros) {
        const IntVec::I zeros = IntVec::load(epilogue.column_zero + column + v * Vec::lanes);
        total[v] = IntVec::sub(total[v], IntVec::mul(zeros, row_sum));
      }
      scaled.values[v] = Vec::mul(Vec::mul(IntVec::to_float(total[v]), row_scale), column_scale[v]);
    }
    if constexpr (Outliers) outliers.sum(r, added.values);
    return [=](int v) __attribute__((always_inline)) {
      if constexpr (Outliers) return Vec::add(scaled.values[v], added.values[v]);
      return scaled.values[v];
    };
  }
};

/// PlainRows of sums [rows, Panel] of integers that have no zero points of weights, from the first row of a tile of
/// rows on: the same bits as ScaledSums and finish_rows() give. Weights of outliers are dequantized, a feature when the
/// first row that needs it comes; a tile with more features than their table holds, or others' weights, does not fit.
template <int Panel, int RowTile>
struct PlainInt8Rows {
  static constexpr int kVectors = Panel / Vec::lanes;
  const int32_t* sums;
  const float* row_scale;
  const int32_t* row_zero;
  PlainRows<Panel> output;
  FeatureWeights<Panel, false> weights;
  IntVec::I column_sum[kVectors];
  DigitRows<Panel> digits;
  const Int8OutlierTile* tile;  // null: no outliers
  float* table;                 // as that of OutlierRows

  PlainInt8Rows(const Int8Task& task, const int32_t* first, int64_t row, int64_t column, int64_t next_row,
                int64_t next_column)
      : sums(first),
        row_scale(task.epilogue.row_scale + row),
        row_zero(task.epilogue.row_zero + row),
        output(task.epilogue.output, row, column, next_row, next_column),
        weights(task, column),
        digits(task, row, column),
        tile(tile_of(task, row)),
        table(task.floats) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      column_sum[v] = IntVec::load(task.epilogue.column_sum + column + v * Vec::lanes);
      if (tile != nullptr) Vec::store(table + v * Vec::lanes, Vec::zero());
    }
  }
  static const Int8OutlierTile* tile_of(const Int8Task& task, int64_t row) {
    if (task.epilogue.outliers == nullptr) return nullptr;
    const Int8OutlierTile* const tile = task.epilogue.outliers + row / RowTile;
    return tile->count == 0 ? nullptr : tile;
  }
  static bool fits(const Int8Task& task, int64_t row, int64_t column) {
    const Int8Epilogue& epilogue = task.epilogue;
    if (!PlainRows<Panel>::fits(epilogue.output, task.out_features - column) || epilogue.column_zero != nullptr) {
      return false;
    }
    const Int8OutlierTile* const tile = tile_of(task, row);
    return tile == nullptr ||
           (tile->count <= kOutlierFeatures && tile->kept == nullptr && epilogue.float_weights == nullptr);
  }
  /// run(what is added to the sums).
  struct Nothing {};
  struct Digits {};
  struct Outliers {};
  template <class Run>
  [[gnu::always_inline]] void with_added(const Run& run) const {
    if (tile != nullptr) {
      run(Outliers{});
    } else if (digits.rows != nullptr) {
      run(Digits{});
    } else {
      run(Nothing{});
    }
  }

  /// Row `r`: they come in order, from 0 on.
  template <class Ending, class Added>
  [[gnu::always_inline]] void finish_row(int r) {
    constexpr bool kOutliers = std::is_same_v<Added, Outliers>;
    struct Products {
      Vec::F values[kVectors];
    } added = {};
    if constexpr (kOutliers) {
      const int64_t known = tile->feature_begin[r], all = tile->feature_begin[r + 1];
      weights.dequantize(tile->features + known, all - known, table + (1 + known) * Panel);
      OutlierRows{table, tile->entries, tile->row_begin}.sum(r, added.values);
    }
    const Vec::F scale = Vec::set1(row_scale[r]);
    const IntVec::I zero = IntVec::set1(row_zero[r]);
    IntVec::I total[kVectors];
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      total[v] = IntVec::sub(IntVec::load(sums + v * Vec::lanes), IntVec::mul(zero, column_sum[v]));
    }
    if constexpr (std::is_same_v<Added, Digits>) digits.add(r, total);
    output.template write_row<Ending>([&](int v) __attribute__((always_inline)) {
      const Vec::F x = Vec::mul(Vec::mul(IntVec::to_float(total[v]), scale), weights.scale[v]);
      if constexpr (kOutliers) return Vec::add(x, added.values[v]);
      return x;
    });
    sums += Panel;
  }
};

/// A function for each kind: what all of them keep in registers does not fit into one.
template <int Panel, bool WeightZeros, bool Outliers>
[[gnu::noinline]] void finish_scaled_sums(const Int8Task& task, const int32_t* sums, int64_t row, int64_t rows,
                                          int64_t column, const OutlierRows& outliers) {
  ScaledSums<Panel, WeightZeros, Outliers> scaled(task, sums, row, column, outliers);
  finish_rows<Panel / Vec::lanes>(task.epilogue.output, row, rows, column, task.out_features - column,
                                  [&](int64_t r) { return scaled.of_row(r); });
}

/// `sums` [rows, Panel], those of the panel that begins at `column`, become output. `outliers`: null for none.
template <int Panel>
inline void finish_int8_sums(const Int8Task& task, const int32_t* sums, int64_t row, int64_t rows, int64_t column,
                             const OutlierRows* outliers) {
  const bool zeros = task.epilogue.column_zero != nullptr;
  if (outliers == nullptr) {
    const auto finish = zeros ? finish_scaled_sums<Panel, true, false> : finish_scaled_sums<Panel, false, false>;
    return finish(task, sums, row, rows, column, {});
  }
  const auto finish = zeros ? finish_scaled_sums<Panel, true, true> : finish_scaled_sums<Panel, false, true>;
  finish(task, sums, row, rows, column, *outliers);
}

/// The same for rows that may have outliers: those of a tile of rows from its first one on, all at once or a few at a
/// time with nothing else in between.
template <int Panel>
inline void finish_int8_rows(const Int8Task& task, const int32_t* sums, int64_t row, int64_t rows, int64_t row_tile,
                             int64_t column) {
  if (task.epilogue.outliers == nullptr) return finish_int8_sums<Panel>(task, sums, row, rows, column, nullptr);
  const Int8OutlierTile* known = nullptr;
  for (const int64_t end = row + rows; row < end;) {
    const int64_t first = row % row_tile, count = row_tile - first < end - row ? row_tile - first : end - row;
    const Int8OutlierTile& tile = task.epilogue.outliers[row / row_tile];
    if (tile.count == 0) {
      finish_int8_sums<Panel>(task, sums, row, count, column, nullptr);
    } else if (first == 0 && (count == row_tile || row + count == task.last_row) && rows_share_features(tile, count)) {
      const OutlierRows outliers = outliers_of_shared_features<Panel>(task, tile, known, count, column, task.floats);
      finish_int8_sums<Panel>(task, sums, row, count, column, &outliers);
    } else {
      known = nullptr;
      const OutlierRows outliers =
          outliers_of_rows<Panel>(task, tile, row - first, first, first + count, row_tile, column, task.floats);
      finish_int8_sums<Panel>(task, sums, row, count, column, &outliers);
    }
    row += count;
    sums += count * Panel;
  }
}

}  // namespace
}  // namespace octoformer
