// Attention of a tile of query rows over paged keys and values, group after group (attention_kernels.h): an online
// softmax (Milakov and Gimelshein, arXiv:1805.02867; Dao et al., arXiv:2205.14135) whose steps are cut by position.
// A key outside of a row's range is never multiplied, so what lies there (NaN, other rows' tokens) has no effect.
#pragma once
#include <stdint.h>

#include "cpu/attention_kernels.h"
#include "cpu/kernels/attention_positions.h"
#include "cpu/kernels/attention_softmax.h"
#include "cpu/kernels/attention_sparse.h"
#include "cpu/kernels/attention_tile.h"
#include "cpu/kernels/key_value_blocks.h"
#include "cpu/kernels/math.h"

namespace octoformer {
namespace {

/// The parts of a state; see attention_state_floats.
struct AttentionState {
  float* maxima;  // [rows] of exponents: scores in units of ln 2 (attention_softmax.h)
  float* totals;  // [rows] sums of 2^(exponent - maximum)
  float* sums;    // [rows][padded head_dim] the same exponentials times values
};

inline AttentionState state_parts(const AttentionTile& tile, float* state) {
  return {state, state + tile.rows,
          state + attention_state_floats(tile.rows, tile.head_dim) - tile.rows * padded_head_dim(tile.head_dim)};
}

/// The new token and the head of a tile's row, row after row: a division for each takes as long as a row's softmax over
/// many keys.
class TileRow {
 public:
  explicit TileRow(const AttentionTile& tile)
      : token_(tile.first_row / tile.heads_per_kv),
        head_(tile.first_row % tile.heads_per_kv),
        heads_(tile.heads_per_kv) {}
  int64_t token() const { return token_; }
  int64_t head() const { return head_; }
  void next() {
    if (++head_ < heads_) return;
    head_ = 0;
    ++token_;
  }

 private:
  int64_t token_, head_;
  const int64_t heads_;
};

/// Keys of a group that a new token attends to, counted from the group's start; empty if first >= end.
inline KeyRange keys_in_group(const AttentionTile& tile, int64_t token, int64_t group) {
  const KeyRange all = attended_keys(tile, token);
  const int64_t start = group * kGroupKeys;
  const int64_t first = all.first - start, end = all.end - start;
  return {first > 0 ? first : 0, end < kGroupKeys ? end : kGroupKeys};
}

inline bool attends_in_group(const AttentionTile& tile, int64_t token, int64_t group) {
  const KeyRange range = keys_in_group(tile, token, group);
  if (range.first >= range.end) return false;
  if (!tile.sparse.any()) return true;
  for (int64_t page = group * kGroupPages; page < (group + 1) * kGroupPages; ++page) {
    if (attended_mask(tile, token, page) != 0) return true;
  }
  return false;
}

/// queries[d][row], so that the rows' factors for one d lie side by side
inline void pack_queries(const AttentionTile& tile, float* queries) {
  TileRow at(tile);
  for (int64_t row = 0; row < tile.rows; ++row, at.next()) {
    const float* query = tile.query + at.token() * tile.query_stride + at.head() * tile.head_dim;
    for (int64_t d = 0; d < tile.head_dim; ++d) queries[d * kMaximumTileRows + row] = query[d];
  }
}

/// Keys that at least one (`any`) or every one (`all`) of some rows attends to.
struct BlockRange {
  KeyRange any{kGroupKeys, 0};
  KeyRange all{0, kGroupKeys};
};

inline BlockRange block_range(const KeyRange* ranges, int64_t rows) {
  BlockRange block;
  for (int64_t row = 0; row < rows; ++row) {
    const KeyRange range = ranges[row];
    if (range.first > block.all.first) block.all.first = range.first;
    if (range.end < block.all.end) block.all.end = range.end;
    if (range.first >= range.end) continue;
    if (range.first < block.any.first) block.any.first = range.first;
    if (range.end > block.any.end) block.any.end = range.end;
  }
  return block;
}

/// The keys of the group that each row of the tile attends to. Not inlined: gcc makes a copy of the caller for every
/// kind of pattern.
[[gnu::noinline]] inline void find_ranges(const AttentionTile& tile, int64_t group, KeyRange* ranges) {
  TileRow at(tile);
  KeyRange range = keys_in_group(tile, at.token(), group);
  // Ranges move up with the token: if the last one is the first, all are.
  const KeyRange last = keys_in_group(tile, (tile.first_row + tile.rows - 1) / tile.heads_per_kv, group);
  if (range.first == last.first && range.end == last.end) {
    for (int64_t row = 0; row < tile.rows; ++row) ranges[row] = range;
    return;
  }
  for (int64_t row = 0; row < tile.rows; ++row, at.next()) {
    if (at.head() == 0) range = keys_in_group(tile, at.token(), group);
    ranges[row] = range;
  }
}

/// Products of queries and keys, page by page, for the rows that attend to something in it. `masks`: of a sparse
/// pattern, else null. `wide`: room for a page; `products`: for those with positions.
inline void multiply_keys(const AttentionTile& tile, int64_t group, const float* queries, const KeyRange* ranges,
                          const GroupMasks* masks, float* scores, float* wide, float* products) {
  BlockRange blocks[kMaximumTileRows / kScoreRows + 1];
  BlockRange whole = block_range(ranges, tile.rows);
  for (int64_t row = 0; row < tile.rows; row += kScoreRows) {
    blocks[row / kScoreRows] = block_range(ranges + row, tile.rows - row < kScoreRows ? tile.rows - row : kScoreRows);
  }
  const int64_t first_page = group * kGroupPages + whole.any.first / kPageKeys;
  const int64_t page_end = group * kGroupPages + (whole.any.end + kPageKeys - 1) / kPageKeys;
  for (int64_t page = first_page; page < page_end; ++page) {
    if (masks != nullptr && !masks->any(0, tile.rows, page - group * kGroupPages)) continue;
    const std::byte* next = page + 1 < page_end ? page_keys(tile, page + 1) : page_values(tile, first_page);
    const int64_t start = (page - group * kGroupPages) * kPageKeys;
    if (widens_by_block(tile)) {
      with_narrow_keys(tile, page, next, [&](const auto& keys) __attribute__((always_inline)) {
        score_page(queries, keys, tile.head_dim, tile.rows, scores + start);
      });
      continue;
    }
    const FloatNumbers keys = keys_of_page(tile, page, next, wide);
    for (int64_t row = 0; row < tile.rows; row += kScoreRows) {
      const KeyRange any = blocks[row / kScoreRows].any;
      if (any.first >= start + kPageKeys || any.end <= start) continue;
      const int64_t count = tile.rows - row < kScoreRows ? tile.rows - row : kScoreRows;
      if (masks != nullptr && !masks->any(row, count, page - group * kGroupPages)) continue;
      score_page(queries + row, keys, tile.head_dim, count, scores + row * kScoreStride + start);
    }
    if (tile.positions.index != nullptr) {
      add_position_terms(tile, page, queries, keys.numbers, scores + start, products);
    }
  }
}

/// Adds one page's values to the sums of up to kValueRows rows: the keys that all of them attend to as a block, those
/// before and after row by row. Every row sees its keys in increasing order.
template <class Numbers>
inline void add_page(const float* weights, const Numbers& values, int64_t stride, const KeyRange* ranges,
                     KeyRange shared, int64_t start, int64_t rows, float* sums) {
  if (shared.first <= start && shared.end >= start + kPageKeys) {
    add_values(weights, values, stride, 0, kPageKeys, rows, sums);
    return;
  }
  const auto clip = [=](int64_t key) { return key < start ? 0 : key > start + kPageKeys ? kPageKeys : key - start; };
  int64_t shared_first = clip(shared.first), shared_end = clip(shared.end);
  if (shared_first >= shared_end) shared_first = shared_end = kPageKeys;  // nothing shared: all keys come "before"
  const auto add_alone = [=](int64_t row, int64_t from, int64_t to) {
    const int64_t first = clip(ranges[row].first), end = clip(ranges[row].end);
    if (from < first) from = first;
    if (to > end) to = end;
    if (from < to) add_values(weights + row * kScoreStride, values, stride, from, to, 1, sums + row * stride);
  };
  for (int64_t row = 0; row < rows; ++row) add_alone(row, 0, shared_first);
  if (shared_first < shared_end) add_values(weights, values, stride, shared_first, shared_end, rows, sums);
  for (int64_t row = 0; row < rows; ++row) add_alone(row, shared_end, kPageKeys);
}

/// attend_group of a sparse pattern.
inline void attend_sparse_group(const AttentionTile& tile, int64_t group, const float* queries, float* scores,
                                float* wide, float* products, const AttentionState& out) {
  const GroupMasks masks = group_masks(tile, group);
  KeyRange ranges[kMaximumTileRows];
  find_ranges(tile, group, ranges);
  multiply_keys(tile, group, queries, ranges, &masks, scores, wide, products);
  const int64_t stride = padded_head_dim(tile.head_dim);
  for (int64_t row = 0; row < tile.rows; ++row) {
    sparse_softmax(tile, row, group, masks.rows[row], scores + row * kScoreStride, out.maxima[row], out.totals[row]);
    for (int64_t d = 0; d < stride; d += Vec::lanes) Vec::store(out.sums + row * stride + d, Vec::zero());
  }
  for (int64_t page = 0; page < kGroupPages; ++page) {
    if (!masks.any(0, tile.rows, page)) continue;
    const int64_t number = group * kGroupPages + page;
    const FloatNumbers values = values_of_page(tile, number, page_values(tile, number), wide);
    for (int64_t row = 0; row < tile.rows; row += kValueRows) {
      const int64_t count = tile.rows - row < kValueRows ? tile.rows - row : kValueRows;
      add_masked_page(scores + row * kScoreStride + page * kPageKeys, values, stride, masks, row, count, page,
                      out.sums + row * stride);
    }
  }
}

/// What the machine should have at hand after a group's last page: the next group's keys, if there are any.
inline const std::byte* keys_after(const AttentionTile& tile, int64_t group, const std::byte* otherwise) {
  return (group + 1) * kGroupKeys < tile.keys ? page_keys(tile, (group + 1) * kGroupPages) : otherwise;
}

/// One group's maxima, totals and sums; rows that attend to nothing in it are left as they are.
inline void attend_group(const AttentionTile& tile, int64_t group, const float* queries, float* scores, float* wide,
                         float* products, const AttentionState& out) {
  if (tile.sparse.any()) return attend_sparse_group(tile, group, queries, scores, wide, products, out);
  KeyRange ranges[kMaximumTileRows];
  find_ranges(tile, group, ranges);
  multiply_keys(tile, group, queries, ranges, nullptr, scores, wide, products);

  const int64_t stride = padded_head_dim(tile.head_dim);
  for (int64_t row = 0; row < tile.rows; ++row) {
    if (ranges[row].first >= ranges[row].end) {
      ranges[row] = {0, 0};
      continue;
    }
    row_softmax(tile, row, group, ranges[row], scores + row * kScoreStride, out.maxima[row], out.totals[row]);
    for (int64_t d = 0; d < stride; d += Vec::lanes) Vec::store(out.sums + row * stride + d, Vec::zero());
  }

  BlockRange blocks[kMaximumTileRows / kValueRows + 1];
  for (int64_t row = 0; row < tile.rows; row += kValueRows) {
    blocks[row / kValueRows] = block_range(ranges + row, tile.rows - row < kValueRows ? tile.rows - row : kValueRows);
  }
  const KeyRange any = block_range(ranges, tile.rows).any;
  for (int64_t start = any.first / kPageKeys * kPageKeys; start < any.end; start += kPageKeys) {
    const int64_t page = group * kGroupPages + start / kPageKeys;
    const std::byte* next =
        start + kPageKeys < any.end ? page_values(tile, page + 1) : keys_after(tile, group, page_values(tile, page));
    if (widens_by_block(tile)) {
      with_narrow_values(tile, page, next, [&](const auto& values) __attribute__((always_inline)) {
        add_page(scores + start, values, stride, ranges, blocks[0].all, start, tile.rows, out.sums);
      });
      continue;
    }
    const FloatNumbers values = values_of_page(tile, page, next, wide);
    for (int64_t row = 0; row < tile.rows; row += kValueRows) {
      const int64_t count = tile.rows - row < kValueRows ? tile.rows - row : kValueRows;
      add_page(scores + row * kScoreStride + start, values, stride, ranges + row, blocks[row / kValueRows].all, start,
               count, out.sums + row * stride);
    }
  }
}

void merge_states(const AttentionTile& tile, int64_t group, float* state, const float* later_state) {
  const AttentionState into = state_parts(tile, state);
  const AttentionState later = state_parts(tile, const_cast<float*>(later_state));
  const int64_t stride = padded_head_dim(tile.head_dim);
  // Of all rows side by side; what rows without keys in the group give is not used.
  constexpr int64_t kRows = (kMaximumUnitRows + Vec::lanes - 1) / Vec::lanes * Vec::lanes;
  float maxima[kRows], totals[kRows], old_factors[kRows], new_factors[kRows];
  for (int64_t row = 0; row < tile.rows; row += Vec::lanes) {
    const int64_t count = tile.rows - row;
    const auto load = [=](const float* from) {
      return count < Vec::lanes ? Vec::load_n(from + row, count) : Vec::load(from + row);
    };
    const Vec::F before = load(into.maxima), after = load(later.maxima);
    const Vec::F maximum = Vec::max(before, after);
    const Vec::F old_factor = softmax_exponential2(Vec::sub(before, maximum));
    const Vec::F new_factor = softmax_exponential2(Vec::sub(after, maximum));
    Vec::store(maxima + row, maximum);
    Vec::store(old_factors + row, old_factor);
    Vec::store(new_factors + row, new_factor);
    const Vec::F added = Vec::mul(load(later.totals), new_factor);
    Vec::store(totals + row, Vec::fma(load(into.totals), old_factor, added));
  }
  TileRow at(tile);
  for (int64_t row = 0; row < tile.rows; ++row, at.next()) {
    if (!attends_in_group(tile, at.token(), group)) continue;
    into.maxima[row] = maxima[row];
    into.totals[row] = totals[row];
    const Vec::F old_factor = Vec::set1(old_factors[row]), new_factor = Vec::set1(new_factors[row]);
    for (int64_t d = row * stride; d < (row + 1) * stride; d += Vec::lanes) {
      const Vec::F added = Vec::mul(Vec::load(later.sums + d), new_factor);
      Vec::store(into.sums + d, Vec::fma(Vec::load(into.sums + d), old_factor, added));
    }
  }
}

/// The state of nothing.
inline void clear_state(const AttentionTile& tile, const AttentionState& state) {
  for (int64_t row = 0; row < tile.rows; ++row) {
    state.maxima[row] = kLowestMaximum;
    state.totals[row] = 0.0f;
  }
  for (int64_t i = 0; i < tile.rows * padded_head_dim(tile.head_dim); ++i) state.sums[i] = 0.0f;
}

/// Calls attend(group, state) for groups [first_group, group_end) and merges their states. The first one gets `state`
/// as it is.
template <class Attend>
inline void attend_groups(const AttentionTile& tile, int64_t first_group, int64_t group_end, float* state,
                          float* group_state, const Attend& attend) {
  bool first = true;  // merging into nothing would leave a group's state as it is
  for (int64_t group = first_group; group < group_end; ++group) {
    if (!attends_to_group(tile, group)) continue;
    attend(group, state_parts(tile, first ? state : group_state));
    if (!first) merge_states(tile, group, state, group_state);
    first = false;
  }
}

void attend_tile(const AttentionTile& tile, int64_t first_group, int64_t group_end, float* state, float* workspace) {
  float* group_state = workspace;
  float* scores = group_state + attention_state_floats(kMaximumTileRows, tile.head_dim);
  float* wide = scores + kMaximumTileRows * kScoreStride;
  float* queries = wide + value_numbers(tile.head_dim);
  float* products = queries + kMaximumTileRows * tile.head_dim;
  pack_queries(tile, queries);
  clear_state(tile, state_parts(tile, state));
  attend_groups(tile, first_group, group_end, state, group_state, [=, &tile](int64_t group, const AttentionState& out) {
    attend_group(tile, group, queries, scores, wide, products, out);
  });
}

void finish_attention(const AttentionTile& tile, const float* state) {
  const AttentionState from = state_parts(tile, const_cast<float*>(state));
  const int64_t stride = padded_head_dim(tile.head_dim);
  // One division a row: a mean is two roundings away from the quotient of its sums.
  constexpr int64_t kRows = (kMaximumUnitRows + Vec::lanes - 1) / Vec::lanes * Vec::lanes;
  float shares[kRows];
  for (int64_t row = 0; row < tile.rows; row += Vec::lanes) {
    const int64_t count = tile.rows - row < Vec::lanes ? tile.rows - row : Vec::lanes;
    Vec::store(shares + row, Vec::div(Vec::set1(1.0f), Vec::load_n(from.totals + row, count)));
  }
  TileRow at(tile);
  for (int64_t row = 0; row < tile.rows; ++row, at.next()) {
    float* out = tile.out + at.token() * tile.out_stride + at.head() * tile.head_dim;
    const Vec::F share = Vec::set1(shares[row]);
    for (int64_t d = 0; d < tile.head_dim; d += Vec::lanes) {
      // Adding 0 turns a -0 into 0: the sign of an underflow is all that could tell how groups were spread.
      const Vec::F mean = Vec::fma(Vec::load(from.sums + row * stride + d), share, Vec::zero());
      if (d + Vec::lanes <= tile.head_dim) {
        Vec::store(out + d, mean);
      } else {
        Vec::store_n(out + d, mean, tile.head_dim - d);
      }
    }
  }
}

/// Writes the rows of `out` of some tiles, one after another. attend: as AttentionKernels::attend.
template <class Attend>
inline void attend_each(const AttentionTile* tiles, int64_t count, const Attend& attend, float* state,
                        float* workspace) {
  for (int64_t i = 0; i < count; ++i) {
    const GroupRange groups = attended_groups(tiles[i]);
    attend(tiles[i], groups.first, groups.end, state, workspace);
    finish_attention(tiles[i], state);
  }
}

void attend_whole_tiles(const AttentionTile* tiles, int64_t count, float* workspace) {
  attend_each(tiles, count, attend_tile, workspace,
              workspace + attention_state_floats(kMaximumTileRows, tiles->head_dim));
}

void score_tile(const AttentionTile& tile, int64_t group, float* scores, float* workspace) {
  KeyRange ranges[kMaximumTileRows];
  find_ranges(tile, group, ranges);
  float* queries = workspace + value_numbers(tile.head_dim);
  pack_queries(tile, queries);
  const GroupMasks masks = tile.sparse.any() ? group_masks(tile, group) : GroupMasks{};
  multiply_keys(tile, group, queries, ranges, tile.sparse.any() ? &masks : nullptr, scores, workspace,
                queries + kMaximumTileRows * tile.head_dim);
  if (!tile.sparse.any()) return finish_tile_scores(tile, group, ranges, scores);
  for (int64_t row = 0; row < tile.rows; ++row) {
    for (int64_t page = 0; page < kGroupPages; ++page) {
      const KeyMask mask = masks.rows[row][page];
      if (mask != 0) finish_page(tile, row, group, page, mask, scores + row * kScoreStride);
    }
  }
}

}  // namespace
}  // namespace octoformer
