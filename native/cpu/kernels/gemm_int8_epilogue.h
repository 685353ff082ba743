// From exact integer sums to output: scales and zero points, the outlier product, then the epilogue of all products.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "cpu/gemm_int8_kernels.h"
#include "cpu/kernels/epilogue.h"
#include "cpu/kernels/gemm_tile.h"

namespace octoformer {
namespace {

/// scaled = (sum - row_zero column_sum - column_zero row_sum) * row_scale * column_scale
template <int Panel>
inline void scale_sums(const Int8Epilogue& epilogue, const int32_t* sums, int64_t row, int64_t rows, int64_t column,
                       float* scaled) {
  constexpr int kVectors = Panel / Vec::lanes;
  for (int64_t r = 0; r < rows; ++r) {
    const IntVec::I row_zero = IntVec::set1(epilogue.row_zero[row + r]);
    const Vec::F row_scale = Vec::set1(epilogue.row_scale[row + r]);
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      const int64_t i = v * Vec::lanes, n = column + i;
      IntVec::I sum = IntVec::load(sums + r * Panel + i);
      sum = IntVec::sub(sum, IntVec::mul(row_zero, IntVec::load(epilogue.column_sum + n)));
      if (epilogue.column_zero != nullptr) {
        const IntVec::I row_sum = IntVec::set1(epilogue.row_sum[row + r]);
        sum = IntVec::sub(sum, IntVec::mul(IntVec::load(epilogue.column_zero + n), row_sum));
      }
      const Vec::F x = Vec::mul(Vec::mul(IntVec::to_float(sum), row_scale), Vec::load(epilogue.column_scale + n));
      Vec::store(scaled + r * Panel + i, x);
    }
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

/// scaled += the outliers of a tile of rows times their weights. The weights of a run of features serve all rows.
/// `scratch`: products [row_tile][Panel], then weights [kOutlierRun][Panel].
template <int Panel>
[[gnu::noinline]] void add_outliers(const Int8Task& task, const Int8OutlierTile& tile, int64_t rows, int64_t row_tile,
                                    int64_t column, float* scaled, float* scratch) {
  constexpr int kVectors = Panel / Vec::lanes;
  float* products = scratch;
  float* weights = scratch + row_tile * Panel;
  bool used[64] = {};
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
        used[r] = true;
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
  for (int64_t r = 0; r < rows; ++r) {
    if (!used[r]) continue;
    for (int64_t i = r * Panel; i < (r + 1) * Panel; i += Vec::lanes) {
      Vec::store(scaled + i, Vec::add(Vec::load(scaled + i), Vec::load(products + i)));
    }
  }
}

/// The same for row `r` of the tile alone, which has few outliers: `scaled` [Panel] is that row's.
template <int Panel>
inline void add_row_outliers(const Int8Task& task, const Int8OutlierTile& tile, int64_t r, int64_t row_tile,
                             int64_t column, float* scaled) {
  constexpr int kVectors = Panel / Vec::lanes;
  const int32_t *entry = tile.entries + tile.row_begin[r], *end = tile.entries + tile.row_begin[r + 1];
  if (entry == end) return;
  Vec::F sum[kVectors];
#pragma GCC unroll 8
  for (int v = 0; v < kVectors; ++v) sum[v] = Vec::zero();
  for (; entry < end; ++entry) {
    const Vec::F x = Vec::set1(tile.values[*entry * row_tile + r]);
    const int32_t feature = tile.features[*entry], kept = tile.kept != nullptr ? tile.kept[*entry] : -1;
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      sum[v] = Vec::fma(x, outlier_weights<Panel>(task, feature, kept, column + v * Vec::lanes), sum[v]);
    }
  }
#pragma GCC unroll 8
  for (int v = 0; v < kVectors; ++v) {
    Vec::store(scaled + v * Vec::lanes, Vec::add(Vec::load(scaled + v * Vec::lanes), sum[v]));
  }
}

/// Output features of the panel that begins at `column`: `sums` [rows, Panel] become output. `row` is a multiple of
/// row_tile.
template <int Panel>
[[gnu::noinline]] void finish_int8_tile(const Int8Task& task, const int32_t* sums, int64_t row, int64_t row_tile,
                                        int64_t column) {
  const int64_t left = task.last_row - row, rows = left < row_tile ? left : row_tile;
  const int64_t columns = task.out_features - column;
  float* scaled = task.floats;
  scale_sums<Panel>(task.epilogue, sums, row, rows, column, scaled);
  if (task.epilogue.outliers != nullptr) {
    const Int8OutlierTile& tile = task.epilogue.outliers[row / row_tile];
    if (tile.count > 0) {
      add_outliers<Panel>(task, tile, rows, row_tile, column, scaled, scaled + row_tile * Panel);
    }
  }
  finish_tile(task.epilogue.output, scaled, Panel, row, rows, column, columns < Panel ? columns : Panel);
}

/// The same for any rows, for kernels that finish sums a few rows at a time: of a tile whose rows share their outliers
/// the first row brings all rows about, and the others find nothing left to do.
template <int Panel>
[[gnu::noinline]] void finish_int8_rows(const Int8Task& task, const int32_t* sums, int64_t row, int64_t rows,
                                        int64_t row_tile, int64_t column) {
  const int64_t columns = task.out_features - column;
  for (const int64_t end = row + rows; row < end;) {
    const int64_t tile_end = (row / row_tile + 1) * row_tile, last = tile_end < end ? tile_end : end;
    const int64_t count = last - row;
    const Int8OutlierTile* tile = task.epilogue.outliers ? &task.epilogue.outliers[row / row_tile] : nullptr;
    if (tile != nullptr && tile->shared) {
      if (row % row_tile == 0) finish_int8_tile<Panel>(task, sums, row, row_tile, column);
    } else {
      scale_sums<Panel>(task.epilogue, sums, row, count, column, task.floats);
      if (tile != nullptr) {
        for (int64_t r = 0; r < count; ++r) {
          add_row_outliers<Panel>(task, *tile, (row + r) % row_tile, row_tile, column, task.floats + r * Panel);
        }
      }
      finish_tile(task.epilogue.output, task.floats, Panel, row, count, column, columns < Panel ? columns : Panel);
    }
    row = last;
    sums += count * Panel;
  }
}

}  // namespace
}  // namespace octoformer
