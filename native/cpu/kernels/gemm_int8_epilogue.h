// From exact integer sums to output: scales and zero points, the outlier product, then the epilogue of all products, in
// one pass.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "cpu/gemm_int8_kernels.h"
#include "cpu/kernels/epilogue.h"
#include "cpu/kernels/gemm_tile.h"

namespace octoformer {
namespace {

/// The products of outliers of some rows, to be added to their scaled sums: row r's are values[r * Panel ...] if bit r
/// of `rows` is set, else it has none.
struct OutlierProducts {
  const float* values = nullptr;
  uint64_t rows = 0;
};

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

/// The weights of one feature, as float32, for the output features [column, column + Vec::lanes).
template <int Panel>
inline Vec::F outlier_weights(const Int8Task& task, int32_t feature, int32_t kept, int64_t column) {
  const Int8Epilogue& epilogue = task.epilogue;
  const int64_t panel = column / Panel, offset = column % Panel;
  if (kept >= 0) {
    return Vec::load_bfloat16(epilogue.kept_weights + (panel * epilogue.kept_count + kept) * Panel + offset);
  }
  if (epilogue.float_weights != nullptr) {
    return Vec::load(epilogue.float_weights + (panel * task.in_features + feature) * Panel + offset);
  }
  const int8_t* quads = task.weights + panel * task.panel_stride + feature / 4 * 4 * Panel;
  IntVec::I q = IntVec::byte_of_four(quads + 4 * offset, feature % 4);
  if (epilogue.column_zero != nullptr) q = IntVec::sub(q, IntVec::load(epilogue.column_zero + column));
  return Vec::mul(IntVec::to_float(q), Vec::load(epilogue.column_scale + column));
}

/// The outliers of a tile of rows times their weights. The weights of a run of features serve all rows. `scratch`:
/// products [row_tile][Panel], then weights [kOutlierRun][Panel].
template <int Panel>
[[gnu::noinline]] OutlierProducts outliers_of_tile(const Int8Task& task, const Int8OutlierTile& tile, int64_t rows,
                                                   int64_t row_tile, int64_t column, float* scratch) {
  constexpr int kVectors = Panel / Vec::lanes;
  float* products = scratch;
  float* weights = scratch + row_tile * Panel;
  OutlierProducts result = {products, 0};
  for (int64_t i = 0; i < rows * Panel; i += Vec::lanes) Vec::store(products + i, Vec::zero());
  for (int64_t first = 0; first < tile.count; first += kOutlierRun) {
    const int64_t count = tile.count - first < kOutlierRun ? tile.count - first : kOutlierRun;
    for (int64_t i = 0; i < count; ++i) {
      const int32_t kept = tile.kept != nullptr ? tile.kept[first + i] : -1;
      for (int v = 0; v < kVectors; ++v) {
        Vec::store(weights + i * Panel + v * Vec::lanes,
                   outlier_weights<Panel>(task, tile.features[first + i], kept, column + v * Vec::lanes));
      }
    }
    for (int64_t r = 0; r < rows; ++r) {
      Vec::F sum[kVectors];
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) sum[v] = Vec::load(products + r * Panel + v * Vec::lanes);
      for (int64_t i = 0; i < count; ++i) {
        const float value = tile.values[(first + i) * row_tile + r];
        if (value == 0.0f) continue;  // another row's outlier: adds nothing, not even a sign of zero
        result.rows |= uint64_t{1} << r;
        const Vec::F x = Vec::set1(value);
#pragma GCC unroll 8
        for (int v = 0; v < kVectors; ++v) {
          sum[v] = Vec::fma(x, Vec::load(weights + i * Panel + v * Vec::lanes), sum[v]);
        }
      }
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) Vec::store(products + r * Panel + v * Vec::lanes, sum[v]);
    }
  }
  return result;
}

/// The same of `rows` rows of the tile from its row `first`, which have few outliers each.
template <int Panel>
[[gnu::noinline]] OutlierProducts outliers_of_rows(const Int8Task& task, const Int8OutlierTile& tile, int64_t first,
                                                   int64_t rows, int64_t row_tile, int64_t column, float* products) {
  constexpr int kVectors = Panel / Vec::lanes;
  OutlierProducts result = {products, 0};
  for (int64_t r = 0; r < rows; ++r) {
    const int32_t *entry = tile.entries + tile.row_begin[first + r],
                  *end = tile.entries + tile.row_begin[first + r + 1];
    if (entry == end) continue;
    result.rows |= uint64_t{1} << r;
    Vec::F sum[kVectors];
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) sum[v] = Vec::zero();
    for (; entry < end; ++entry) {
      const Vec::F x = Vec::set1(tile.values[*entry * row_tile + first + r]);
      const int32_t feature = tile.features[*entry], kept = tile.kept != nullptr ? tile.kept[*entry] : -1;
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) {
        sum[v] = Vec::fma(x, outlier_weights<Panel>(task, feature, kept, column + v * Vec::lanes), sum[v]);
      }
    }
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) Vec::store(products + r * Panel + v * Vec::lanes, sum[v]);
  }
  return result;
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
