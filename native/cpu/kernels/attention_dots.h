// Attention on vectors of bfloat16 pairs, where pages keep bfloat16 and there are no tiles: queries and the weights of
// the softmax are rounded to bfloat16, two products a lane and step are summed in float32.
//
// A row's score is one chain over pairs of head_dim, a row's sum one chain over pairs of a group's keys, whatever rows
// lie beside it. A key outside of a row's range has weight 0; numbers there that are not finite are taken out before.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "cpu/kernels/attention.h"
#include "cpu/kernels/attention_unit_softmax.h"
#include "cpu/kernels/attention_units.h"
#include "cpu/kernels/bfloat16_pairs.h"

namespace octoformer {
namespace {

constexpr int64_t kUnitRows = kMaximumTileRows;

constexpr int kPageVectors = kPageKeys / Vec::lanes;
/// Registers of sums, of 32: those of keys or values (four at most) and of a broadcast pair lie beside them.
constexpr int kDotSums = 24;
/// Rows beside a page's keys (one where tests emulate vectors of one lane).
constexpr int kDotRows = kPageVectors < kDotSums ? kDotSums / kPageVectors : 1;
/// So few rows leave their sums waiting for one another: they take two pages at a time.
constexpr int kFewDotRows = (kDotRows + 1) / 2;
/// From one row's weights to the next one's, which lie where its scores lay.
constexpr int64_t kWeightStride = 2 * kScoreStride;

/// scores[row][key] = queries[row] . keys[.][key] for all keys of `Pages` pages that follow each other. `next`: keys to
/// fetch meanwhile, of as many pages; where `Fetches`.
template <int Rows, int Pages, bool Fetches>
[[gnu::always_inline]] inline void dot_keys(const uint16_t* queries, int64_t depth, const std::byte* const (&keys)[2],
                                            const std::byte* const (&next)[2], float* scores) {
  constexpr int kVectors = Pages * kPageVectors;
  Vec::F sums[Rows][kVectors];
#pragma GCC unroll 12
  for (int row = 0; row < Rows; ++row) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) sums[row][v] = Vec::zero();
  }
  for (int64_t d = 0; d < depth; d += 2) {
    const int64_t at = d / 2 * kPageKeys * 2;
    Bfloat16Unit::Pairs key[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      const auto* page = reinterpret_cast<const uint16_t*>(keys[v / kPageVectors]);
      const int64_t pair = at + v % kPageVectors * 2 * Vec::lanes;
      key[v] = Bfloat16Unit::load(page + pair);
      if constexpr (Fetches) prefetch(next[v / kPageVectors] + 2 * pair);
    }
    multiply_pairs(queries + d, depth, key, sums);
  }
#pragma GCC unroll 12
  for (int row = 0; row < Rows; ++row) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) Vec::store(scores + row * kScoreStride + v * Vec::lanes, sums[row][v]);
  }
}

/// scores = queries [rows][padded head_dim] . keys of a group's pages
inline void dot_group_keys(const AttentionTile& tile, int64_t group, PageRange pages, const uint16_t* queries,
                           float* scores) {
  const int64_t depth = padded_head_dim(tile.head_dim), first = group * kGroupPages;
  const auto page_after = [&](int64_t page) {
    return page < pages.end ? page_keys(tile, first + page) : page_values(tile, first + pages.first);
  };
  int64_t page = pages.first;
  for (; tile.rows <= kFewDotRows && page + 2 <= pages.end; page += 2) {
    const std::byte* const keys[2] = {page_keys(tile, first + page), page_keys(tile, first + page + 1)};
    const std::byte* const next[2] = {page_after(page + 2), page_after(page + 3)};
    with_size<kFewDotRows>(tile.rows, [&](auto tag) {
      dot_keys<decltype(tag)::size, 2, true>(queries, depth, keys, next, scores + page * kPageKeys);
    });
  }
  for (; page < pages.end; ++page) {
    const std::byte* const keys[2] = {page_keys(tile, first + page), nullptr};
    const std::byte* const next[2] = {page_after(page + 1), nullptr};
    const auto rows_from = [&](int64_t row, auto fetches) {
      with_size<kDotRows>(tile.rows - row, [&](auto tag) {
        dot_keys<decltype(tag)::size, 1, decltype(fetches)::size == 1>(queries + row * depth, depth, keys, next,
                                                                       scores + row * kScoreStride + page * kPageKeys);
      });
    };
    rows_from(0, SizeTag<1>{});
    for (int64_t row = kDotRows; row < tile.rows; row += kDotRows) rows_from(row, SizeTag<0>{});
  }
}

/// sums[row][column] += weights[row] . values[.][column] over the keys of `count` pages, for a block of columns.
/// A row's weights of a page follow those of the page before; values_of(i): the ith page's from the first of these
/// columns on.
template <int Rows, int Vectors, class Values>
[[gnu::always_inline]] inline void dot_values(const uint16_t* weights, const Values& values_of, int64_t count,
                                              int64_t columns, float* sums) {
  Vec::F sum[Rows][Vectors];
#pragma GCC unroll 12
  for (int row = 0; row < Rows; ++row) {
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) sum[row][v] = Vec::load(sums + row * columns + v * Vec::lanes);
  }
  for (int64_t page = 0; page < count; ++page, weights += kPageKeys) {
    const uint16_t* values = values_of(page);
    for (int64_t key = 0; key < kPageKeys; key += 2, values += 2 * columns) {
      Bfloat16Unit::Pairs value[Vectors];
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) value[v] = Bfloat16Unit::load(values + v * 2 * Vec::lanes);
      multiply_pairs(weights + key, kWeightStride, value, sum);
    }
  }
#pragma GCC unroll 12
  for (int row = 0; row < Rows; ++row) {
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) Vec::store(sums + row * columns + v * Vec::lanes, sum[row][v]);
  }
}

/// The same for all rows and columns, a multiple of kHeadDimMultiple: values_of(i) points at the ith page's.
template <class Values>
inline void dot_group_values(const uint16_t* weights, const Values& values_of, int64_t count, int64_t rows,
                             int64_t columns, float* sums) {
  int64_t column = 0;
  const auto take = [&](auto tag) {
    constexpr int kVectors = decltype(tag)::size,
                  kRows = kDotSums / kVectors < kDotRows ? kDotSums / kVectors : kDotRows;
    for (; column + kVectors * Vec::lanes <= columns; column += kVectors * Vec::lanes) {
      const auto of_columns = [&](int64_t page) { return values_of(page) + 2 * column; };
      for (int64_t row = 0; row < rows; row += kRows) {
        with_size<kRows>(rows - row, [&](auto block) {
          dot_values<decltype(block)::size, kVectors>(weights + row * kWeightStride, of_columns, count, columns,
                                                      sums + row * columns + column);
        });
      }
    }
  };
  take(SizeTag<4>{});
  take(SizeTag<2>{});
  take(SizeTag<1>{});
}

/// dot_group_values where a number is not finite that some row does not attend to: row by row, over pages where there
/// are zeros instead. A row has the bits that it would have among finite numbers.
[[gnu::noinline]] inline void dot_cleaned_values(const AttentionTile& tile, int64_t group, PageRange pages,
                                                 const KeyRange* ranges, const uint16_t* weights, uint16_t* room,
                                                 float* sums) {
  const int64_t columns = padded_head_dim(tile.head_dim);
  for (int64_t row = 0; row < tile.rows; ++row) {
    for (int64_t page = pages.first; page < pages.end; ++page) {
      const int64_t start = page * kPageKeys;
      clean_values(page_values(tile, group * kGroupPages + page), columns,
                   {ranges[row].first - start, ranges[row].end - start}, room);
      dot_group_values(
          weights + row * kWeightStride + start, [=](int64_t) { return room; }, 1, 1, columns, sums + row * columns);
    }
  }
}

/// One group's maxima, totals and sums, of all rows.
inline void attend_group_on_units(const AttentionTile& tile, int64_t group, const UnitWorkspace& work,
                                  const AttentionState& out) {
  KeyRange ranges[kUnitRows];
  find_ranges(tile, group, ranges);
  const BlockRange block = block_range(ranges, tile.rows);
  const PageRange pages = pages_of(block.any);
  float* scores = work.scores[0];
  dot_group_keys(tile, group, pages, work.queries[0], scores);
  softmax_tile(tile, group, ranges, block.all, pages, scores, out.maxima, out.totals, [] {});

  const int64_t columns = padded_head_dim(tile.head_dim);
  for (int64_t i = 0; i < tile.rows * columns; i += Vec::lanes) Vec::store(out.sums + i, Vec::zero());
  const auto* weights = reinterpret_cast<const uint16_t*>(scores);
  if (!finite_outside(tile, group, pages, block.all)) {
    return dot_cleaned_values(tile, group, pages, ranges, weights, work.page, out.sums);
  }
  dot_group_values(
      weights + pages.first * kPageKeys,
      [&](int64_t page) {
        return reinterpret_cast<const uint16_t*>(page_values(tile, group * kGroupPages + pages.first + page));
      },
      pages.end - pages.first, tile.rows, columns, out.sums);
}

void attend_on_units(const AttentionTile& tile, int64_t first_group, int64_t group_end, float* state,
                     float* workspace) {
  if (first_group >= group_end) return clear_state(tile, state_parts(tile, state));
  const UnitWorkspace work(tile.head_dim, workspace);
  round_queries(tile, work.queries[0]);
  attend_groups(tile, first_group, group_end, state, work.group_states[0],
                [&](int64_t group, const AttentionState& out) { attend_group_on_units(tile, group, work, out); });
}

void attend_whole_on_units(const AttentionTile* tiles, int64_t count, float* workspace) {
  float* state = UnitWorkspace(tiles->head_dim, workspace).tile_states[0];
  attend_each(tiles, count, attend_on_units, state, workspace);
}

void score_on_units(const AttentionTile& tile, int64_t group, float* scores, float* workspace) {
  const UnitWorkspace work(tile.head_dim, workspace);
  KeyRange ranges[kUnitRows];
  find_ranges(tile, group, ranges);
  round_queries(tile, work.queries[0]);
  dot_group_keys(tile, group, pages_of(block_range(ranges, tile.rows).any), work.queries[0], scores);
  finish_tile_scores(tile, group, ranges, scores);
}

}  // namespace
}  // namespace octoformer
