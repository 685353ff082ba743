// Attention on AMX tiles, where pages keep bfloat16: queries and the weights of the softmax are rounded to bfloat16, 16
// or 32 rows of them at a time, products are summed in float32, and the softmax between them is that of float32.
//
// A key outside of a row's range has weight 0 here. What lies there has no effect all the same: numbers that are not
// finite, which 0 would not silence, are taken out before (multiply_cleaned).
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "cpu/kernels/amx_blocks.h"
#include "cpu/kernels/attention.h"
#include "cpu/kernels/attention_amx_softmax.h"

namespace octoformer {
namespace {

static_assert(kMaximumUnitRows == 2 * kTileRow && kPageKeys == 2 * kTileColumns);

constexpr int64_t kScoreBytes = kScoreStride * 4;  // from one row's scores (or weights) to the next one's
constexpr int64_t kKeyPairBytes = kPageKeys * 4;   // from one pair of a page's keys to the next one

/// What a worker needs beside the state, in this order in its workspace (unit_workspace_floats).
struct UnitWorkspace {
  float* group_state;
  float* scores;      // [rows][kScoreStride]; a row's weights, bfloat16, take their place from the start of the row on
  uint16_t* queries;  // [rows][padded_head_dim]
  uint16_t* page;     // values of one page

  UnitWorkspace(const AttentionTile& tile, float* memory)
      : group_state(memory),
        scores(memory + attention_state_floats(kMaximumUnitRows, tile.head_dim)),
        queries(reinterpret_cast<uint16_t*>(scores + kMaximumUnitRows * kScoreStride)),
        page(queries + kMaximumUnitRows * padded_head_dim(tile.head_dim)) {}
};

/// Numbers of queries and keys that a step multiplies: as many as tiles hold, if that divides padded heads.
inline int64_t step_depth(int64_t head_dim) { return padded_head_dim(head_dim) % 32 == 0 ? 32 : 16; }

/// Tiles 0 to 3 hold sums, 4 and 5 the rows' factors (the first 16 rows are in 0, 1 and 4), of which a step takes
/// `depth`; 6 and 7 hold keys or values.
inline void configure_attention_tiles(int64_t rows, int64_t depth) {
  const int64_t above = rows < kTileRow ? rows : kTileRow, below = rows > kTileRow ? rows - kTileRow : kTileRow;
  const int64_t tile_rows[8] = {above, above, below, below, above, below, depth / 2, depth / 2};
  TileConfiguration configuration;
  for (int tile = 0; tile < 8; ++tile) {
    configuration.row_bytes[tile] = static_cast<uint16_t>(tile == 4 || tile == 5 ? 2 * depth : kTileRowBytes);
    configuration.rows[tile] = static_cast<uint8_t>(tile_rows[tile]);
  }
  TILE_CONFIGURE(configuration);
}

inline void round_queries(const AttentionTile& tile, uint16_t* queries) {
  const int64_t depth = padded_head_dim(tile.head_dim);
  TileRow at(tile);
  for (int64_t row = 0; row < tile.rows; ++row, at.next(), queries += depth) {
    const float* query = tile.query + at.token() * tile.query_stride + at.head() * tile.head_dim;
    int64_t d = 0;
    for (; d + 2 * Vec::lanes <= tile.head_dim; d += 2 * Vec::lanes) {
      Bfloat16Unit::store(queries + d, Bfloat16Unit::narrow(Vec::load(query + d), Vec::load(query + d + Vec::lanes)));
    }
    for (; d + Vec::lanes <= tile.head_dim; d += Vec::lanes) Vec::store_bfloat16(queries + d, Vec::load(query + d));
    for (; d < tile.head_dim; ++d) queries[d] = float_to_bfloat16(query[d]);
    for (; d < depth; ++d) queries[d] = 0;
  }
}

/// Bytes that are fetched into the first-level cache while others are multiplied.
inline void fetch(const std::byte* from, int64_t bytes) {
  for (int64_t i = 0; i < bytes; i += 64) __builtin_prefetch(from + i, 0, 3);
}

/// scores = queries . keys of a page, `Tall` if there are more than 16 rows.
template <bool Tall>
inline void multiply_page_keys(const uint16_t* queries, int64_t depth, int64_t step, const std::byte* keys,
                               float* scores) {
  const int64_t query_bytes = 2 * depth;
  TILE_ZERO(0);
  TILE_ZERO(1);
  if constexpr (Tall) {
    TILE_ZERO(2);
    TILE_ZERO(3);
  }
  for (int64_t d = 0; d < depth; d += step, keys += step / 2 * kKeyPairBytes) {
    TILE_LOAD(6, keys, kKeyPairBytes);
    TILE_LOAD(4, queries + d, query_bytes);
    TILE_MULTIPLY_BFLOAT16(0, 4, 6);
    TILE_LOAD(7, keys + 64, kKeyPairBytes);
    TILE_MULTIPLY_BFLOAT16(1, 4, 7);
    if constexpr (Tall) {
      TILE_LOAD(5, queries + kTileRow * depth + d, query_bytes);
      TILE_MULTIPLY_BFLOAT16(2, 5, 6);
      TILE_MULTIPLY_BFLOAT16(3, 5, 7);
    }
  }
  TILE_STORE(0, scores, kScoreBytes);
  TILE_STORE(1, scores + kTileColumns, kScoreBytes);
  if constexpr (Tall) {
    TILE_STORE(2, scores + kTileRow * kScoreStride, kScoreBytes);
    TILE_STORE(3, scores + kTileRow * kScoreStride + kTileColumns, kScoreBytes);
  }
}

/// The products of all rows and the keys of a group's pages; a page is fetched while the one before is multiplied.
inline void multiply_group_keys(const AttentionTile& tile, int64_t group, PageRange pages, const uint16_t* queries,
                                float* scores) {
  const int64_t depth = padded_head_dim(tile.head_dim), step = step_depth(tile.head_dim);
  const int64_t bytes = 2 * key_numbers(tile.form, tile.head_dim);
  for (int64_t page = pages.first; page < pages.end; ++page) {
    const int64_t number = group * kGroupPages + page;
    fetch(page + 1 < pages.end ? page_keys(tile, number + 1) : page_values(tile, group * kGroupPages + pages.first),
          bytes);
    const std::byte* keys = page_keys(tile, number);
    if (tile.rows > kTileRow) {
      multiply_page_keys<true>(queries, depth, step, keys, scores + page * kPageKeys);
    } else {
      multiply_page_keys<false>(queries, depth, step, keys, scores + page * kPageKeys);
    }
  }
}

/// sums [rows][16, or 32 if `Wide`] = weights times the values of `count` pages, of which values_of(i) is the ith.
template <bool Tall, bool Wide, class Values>
inline void multiply_columns(const std::byte* weights, int64_t count, const Values& values_of, int64_t columns,
                             float* sums) {
  const int64_t value_bytes = 4 * columns, sum_bytes = 4 * columns;
  TILE_ZERO(0);
  if constexpr (Wide) TILE_ZERO(1);
  if constexpr (Tall) TILE_ZERO(2);
  if constexpr (Tall && Wide) TILE_ZERO(3);
  for (int64_t i = 0; i < count; ++i, weights += kTileRowBytes) {
    const std::byte* values = values_of(i);
    TILE_LOAD(6, values, value_bytes);
    TILE_LOAD(4, weights, kScoreBytes);
    TILE_MULTIPLY_BFLOAT16(0, 4, 6);
    if constexpr (Wide) {
      TILE_LOAD(7, values + 64, value_bytes);
      TILE_MULTIPLY_BFLOAT16(1, 4, 7);
    }
    if constexpr (Tall) {
      TILE_LOAD(5, weights + kTileRow * kScoreBytes, kScoreBytes);
      TILE_MULTIPLY_BFLOAT16(2, 5, 6);
      if constexpr (Wide) TILE_MULTIPLY_BFLOAT16(3, 5, 7);
    }
  }
  TILE_STORE(0, sums, sum_bytes);
  if constexpr (Wide) TILE_STORE(1, sums + kTileColumns, sum_bytes);
  if constexpr (Tall) TILE_STORE(2, sums + kTileRow * columns, sum_bytes);
  if constexpr (Tall && Wide) TILE_STORE(3, sums + kTileRow * columns + kTileColumns, sum_bytes);
}

/// sums [rows][padded head_dim] = weights times the values of `count` pages; values_of(i, column) points at those of
/// the ith page from a column on.
template <class Values>
inline void multiply_values(const AttentionTile& tile, const std::byte* weights, int64_t count, const Values& values_of,
                            float* sums) {
  const int64_t columns = padded_head_dim(tile.head_dim);
  for (int64_t column = 0; column < columns; column += 2 * kTileColumns) {
    const bool tall = tile.rows > kTileRow, wide = column + kTileColumns < columns;
    const auto values = [&](int64_t i) { return values_of(i, column); };
    const auto multiply =
        tall   ? wide ? multiply_columns<true, true, decltype(values)> : multiply_columns<true, false, decltype(values)>
          : wide ? multiply_columns<false, true, decltype(values)>
               : multiply_columns<false, false, decltype(values)>;
    multiply(weights, count, values, columns, sums + column);
  }
}

[[gnu::noinline]] inline bool all_finite(const uint16_t* numbers, int64_t count) {
  uint16_t found = 0;
  for (int64_t i = 0; i < count; ++i) found |= static_cast<uint16_t>((numbers[i] & 0x7f80) == 0x7f80);
  return found == 0;
}

/// Whether the values of all pages are finite, but for those of keys that all rows attend to.
inline bool finite_outside(const AttentionTile& tile, int64_t group, PageRange pages, KeyRange all) {
  for (int64_t page = pages.first; page < pages.end; ++page) {
    if (all.first <= page * kPageKeys && all.end >= (page + 1) * kPageKeys) continue;
    const std::byte* values = page_values(tile, group * kGroupPages + page);
    if (!all_finite(reinterpret_cast<const uint16_t*>(values), value_numbers(tile.head_dim))) return false;
  }
  return true;
}

/// Values of a page with zeros for keys outside of `range` (counted from the page's start).
inline void clean_values(const std::byte* from, int64_t columns, KeyRange range, uint16_t* to) {
  const auto* values = reinterpret_cast<const uint16_t*>(from);
  for (int64_t key = 0; key < kPageKeys; ++key) {
    for (int64_t column = 0; column < columns; ++column) {
      const int64_t at = (key / 2 * columns + column) * 2 + key % 2;
      to[at] = key >= range.first && key < range.end ? values[at] : uint16_t{0};
    }
  }
}

/// The sums where a number is not finite that some row does not attend to: row by row, over pages where there are zeros
/// instead. A row has the bits that it would have among finite numbers.
[[gnu::noinline]] inline void multiply_cleaned(const AttentionTile& tile, int64_t group, PageRange pages,
                                               const KeyRange* ranges, const UnitWorkspace& work, float* sums) {
  const int64_t columns = padded_head_dim(tile.head_dim);
  AttentionTile one = tile;
  one.rows = 1;
  configure_attention_tiles(1, kPageKeys);
  for (int64_t row = 0; row < tile.rows; ++row) {
    const auto cleaned = [&](int64_t i, int64_t column) {
      const int64_t page = pages.first + i, start = page * kPageKeys;
      clean_values(page_values(tile, group * kGroupPages + page), columns,
                   {ranges[row].first - start, ranges[row].end - start}, work.page);
      return reinterpret_cast<const std::byte*>(work.page + 2 * column);
    };
    multiply_values(one, reinterpret_cast<const std::byte*>(work.scores + row * kScoreStride) + pages.first * 64,
                    pages.end - pages.first, cleaned, sums + row * columns);
  }
  configure_attention_tiles(tile.rows, kPageKeys);
}

inline void attend_group_amx(const AttentionTile& tile, int64_t group, const UnitWorkspace& work,
                             const AttentionState& out) {
  KeyRange ranges[kMaximumUnitRows];
  find_ranges(tile, group, ranges);
  const BlockRange block = block_range(ranges, tile.rows);
  const PageRange pages = pages_of(block.any);
  const bool same_tiles = step_depth(tile.head_dim) == kPageKeys;
  if (!same_tiles) configure_attention_tiles(tile.rows, step_depth(tile.head_dim));
  multiply_group_keys(tile, group, pages, work.queries, work.scores);
  if (!same_tiles) configure_attention_tiles(tile.rows, kPageKeys);

  softmax_tile(tile, group, ranges, block.all, pages, work.scores, out.maxima, out.totals);

  const std::byte* weights = reinterpret_cast<const std::byte*>(work.scores) + pages.first * kTileRowBytes;
  if (!finite_outside(tile, group, pages, block.all)) {
    return multiply_cleaned(tile, group, pages, ranges, work, out.sums);
  }
  const int64_t first = group * kGroupPages + pages.first;
  const int64_t bytes = 2 * value_numbers(tile.head_dim);
  const std::byte* after = keys_after(tile, group, nullptr);
  multiply_values(
      tile, weights, pages.end - pages.first,
      [&](int64_t i, int64_t column) {
        const std::byte* values = page_values(tile, first + i);
        if (column == 0 && first + i + 1 < group * kGroupPages + pages.end) {
          fetch(page_values(tile, first + i + 1), bytes);
        }
        return values + 4 * column;
      },
      out.sums);
  if (after != nullptr) fetch(after, bytes);
}

void attend_amx(const AttentionTile& tile, int64_t first_group, int64_t group_end, float* state, float* workspace) {
  const UnitWorkspace work(tile, workspace);
  round_queries(tile, work.queries);
  configure_attention_tiles(tile.rows, kPageKeys);
  if (first_group >= group_end) clear_state(tile, state_parts(tile, state));
  attend_groups(tile, first_group, group_end, state, work.group_state,
                [&](int64_t group, const AttentionState& out) { attend_group_amx(tile, group, work, out); });
  TILE_RELEASE();
}

void score_amx(const AttentionTile& tile, int64_t group, float* scores, float* workspace) {
  const UnitWorkspace work(tile, workspace);
  KeyRange ranges[kMaximumUnitRows];
  find_ranges(tile, group, ranges);
  round_queries(tile, work.queries);
  configure_attention_tiles(tile.rows, step_depth(tile.head_dim));
  multiply_group_keys(tile, group, pages_of(block_range(ranges, tile.rows).any), work.queries, scores);
  TILE_RELEASE();
  for (int64_t row = 0; row < tile.rows; ++row) {
    if (ranges[row].first < ranges[row].end) finish_scores(tile, row, group, ranges[row], scores + row * kScoreStride);
  }
}

}  // namespace
}  // namespace octoformer
