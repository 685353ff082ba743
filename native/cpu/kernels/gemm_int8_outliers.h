// The outlier product of LLM.int8(): the few values that stay float32 times their features' weights.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "cpu/gemm_int8_kernels.h"
#include "cpu/kernels/gemm_tile.h"

namespace octoformer {
namespace {

/// The products of outliers of some rows, to be added to their scaled sums: row r's are values[r * Panel ...] if bit r
/// of `rows` is set, else it has none.
struct OutlierProducts {
  const float* values = nullptr;
  uint64_t rows = 0;
};

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

}  // namespace
}  // namespace octoformer
