// From exact integer sums to output: scales and zero points, the outlier product, then the epilogue of all products, in
// one pass.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "cpu/gemm_int8_kernels.h"
#include "cpu/kernels/epilogue.h"
#include "cpu/kernels/gemm_int8_outliers.h"
#include "cpu/kernels/gemm_tile.h"

namespace octoformer {
namespace {

/// x = (sum - row_zero column_sum - column_zero row_sum) * row_scale * column_scale of the rows from `row`;
/// `WeightZeros`: whether there is a column_zero.
template <int Panel, bool WeightZeros>
struct ScaledSums {
  static constexpr int kVectors = Panel / Vec::lanes;
  const Int8Epilogue& epilogue;
  const int32_t* sums;
  int64_t row, column;
  OutlierProducts outliers;
  Vec::F column_scale[kVectors];
  IntVec::I shift[kVectors];  // -row_zero column_sum, kept while rows have the same zero
  int32_t row_zero;

  ScaledSums(const Int8Epilogue& from, const int32_t* first, int64_t first_row, int64_t first_column,
             const OutlierProducts& products)
      : epilogue(from), sums(first), row(first_row), column(first_column), outliers(products) {
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
    const float* added = (outliers.rows >> r & 1) != 0 ? outliers.values + r * Panel : nullptr;
    return [=, this](int v) __attribute__((always_inline)) {
      IntVec::I total = IntVec::add(shift[v], IntVec::load(sum + v * Vec::lanes));
      if constexpr (WeightZeros) {
        total = IntVec::sub(total, IntVec::mul(IntVec::load(epilogue.column_zero + column + v * Vec::lanes), row_sum));
      }
      const Vec::F x = Vec::mul(Vec::mul(IntVec::to_float(total), row_scale), column_scale[v]);
      return added != nullptr ? Vec::add(x, Vec::load(added + v * Vec::lanes)) : x;
    };
  }
};

/// `sums` [rows, Panel], those of the panel that begins at `column`, become output.
template <int Panel>
[[gnu::noinline]] void finish_int8_sums(const Int8Task& task, const int32_t* sums, int64_t row, int64_t rows,
                                        int64_t column, const OutlierProducts& outliers) {
  const Int8Epilogue& epilogue = task.epilogue;
  const auto finish = [&](auto scaled) __attribute__((always_inline)) {
    finish_rows<Panel / Vec::lanes>(epilogue.output, row, rows, column, task.out_features - column,
                                    [&](int64_t r) { return scaled.of_row(r); });
  };
  if (epilogue.column_zero == nullptr) {
    finish(ScaledSums<Panel, false>(epilogue, sums, row, column, outliers));
  } else {
    finish(ScaledSums<Panel, true>(epilogue, sums, row, column, outliers));
  }
}

/// `sums` [rows, Panel] of a tile of rows, `row` a multiple of row_tile, become output.
template <int Panel>
inline void finish_int8_tile(const Int8Task& task, const int32_t* sums, int64_t row, int64_t row_tile, int64_t column) {
  const int64_t left = task.last_row - row, rows = left < row_tile ? left : row_tile;
  OutlierProducts outliers;
  if (task.epilogue.outliers != nullptr) {
    const Int8OutlierTile& tile = task.epilogue.outliers[row / row_tile];
    if (tile.count > 0) outliers = outliers_of_tile<Panel>(task, tile, rows, row_tile, column, task.floats);
  }
  finish_int8_sums<Panel>(task, sums, row, rows, column, outliers);
}

/// The same for any rows, for kernels that finish sums a few rows at a time: of a tile whose rows share their outliers
/// the first row brings all rows about, and the others find nothing left to do.
template <int Panel>
inline void finish_int8_rows(const Int8Task& task, const int32_t* sums, int64_t row, int64_t rows, int64_t row_tile,
                             int64_t column) {
  if (task.epilogue.outliers == nullptr) return finish_int8_sums<Panel>(task, sums, row, rows, column, {});
  for (const int64_t end = row + rows; row < end;) {
    const int64_t first = row % row_tile, count = row_tile - first < end - row ? row_tile - first : end - row;
    const Int8OutlierTile& tile = task.epilogue.outliers[row / row_tile];
    if (!tile.shared) {
      OutlierProducts outliers;
      if (tile.row_begin[first] != tile.row_begin[first + count]) {
        outliers = outliers_of_rows<Panel>(task, tile, first, count, row_tile, column, task.floats);
      }
      finish_int8_sums<Panel>(task, sums, row, count, column, outliers);
    } else if (first == 0) {
      finish_int8_tile<Panel>(task, sums, row, row_tile, column);
    }
    row += count;
    sums += count * Panel;
  }
}

}  // namespace
}  // namespace octoformer
