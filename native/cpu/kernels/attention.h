// Attention of a tile of query rows over paged keys and values, group after group (attention_kernels.h): an online
// softmax (Milakov and Gimelshein, arXiv:1805.02867; Dao et al., arXiv:2205.14135) whose steps are cut by position.
// A key outside of a row's range is never multiplied, so what lies there (NaN, other rows' tokens) has no effect.
#pragma once
#include <stdint.h>

#include "cpu/attention_kernels.h"
#include "cpu/kernels/attention_tile.h"
#include "cpu/kernels/math.h"
#include "cpu/kernels/softmax.h"

namespace octoformer {
namespace {

/// The parts of a state; see attention_state_floats.
struct AttentionState {
  float* maxima;  // [rows]
  float* totals;  // [rows] sums of exp(score - maximum)
  float* sums;    // [rows][padded head_dim] the same exponentials times values
};

inline AttentionState state_parts(const AttentionTile& tile, float* state) {
  return {state, state + tile.rows,
          state + attention_state_floats(tile.rows, tile.head_dim) - tile.rows * padded_head_dim(tile.head_dim)};
}

/// Keys of a group that a row of the tile attends to, counted from the group's start; empty if first >= end.
inline KeyRange keys_in_group(const AttentionTile& tile, int64_t row, int64_t group) {
  const KeyRange all = attended_keys(tile, (tile.first_row + row) / tile.heads_per_kv);
  const int64_t start = group * kGroupKeys;
  const int64_t first = all.first - start, end = all.end - start;
  return {first > 0 ? first : 0, end < kGroupKeys ? end : kGroupKeys};
}

inline const float* page_keys(const AttentionTile& tile, int64_t page) {
  return reinterpret_cast<const float*>(tile.pages[page] + tile.head_offset);
}

/// queries[d][row], so that the rows' factors for one d lie side by side
inline void pack_queries(const AttentionTile& tile, float* queries) {
  for (int64_t row = 0; row < tile.rows; ++row) {
    const int64_t token = (tile.first_row + row) / tile.heads_per_kv, head = (tile.first_row + row) % tile.heads_per_kv;
    const float* query = tile.query + token * tile.query_stride + head * tile.head_dim;
    for (int64_t d = 0; d < tile.head_dim; ++d) queries[d * kMaximumTileRows + row] = query[d];
  }
}

/// Products of queries and keys, for the pages of the group that some row of a block attends to.
inline void multiply_keys(const AttentionTile& tile, int64_t group, const float* queries, const KeyRange* ranges,
                          float* scores) {
  for (int64_t page = 0; page < kGroupPages; ++page) {
    const int64_t start = page * kPageKeys;
    for (int64_t row = 0; row < tile.rows; row += kScoreRows) {
      const int64_t count = tile.rows - row < kScoreRows ? tile.rows - row : kScoreRows;
      bool attended = false;
      for (int64_t r = row; r < row + count; ++r) {
        attended |= ranges[r].first < start + kPageKeys && ranges[r].end > start && ranges[r].first < ranges[r].end;
      }
      if (!attended) continue;
      score_page(queries + row, page_keys(tile, group * kGroupPages + page), tile.head_dim, count,
                 scores + row * kGroupKeys + start);
    }
  }
}

constexpr float kLaneIndex[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

/// Scales, caps and biases a row's scores over whole vectors around its range; keys outside of it get -inf. Returns
/// the maximum (kLowestMaximum at least).
inline float finish_scores(const AttentionTile& tile, int64_t row, int64_t group, KeyRange range, float* scores) {
  const int64_t token = (tile.first_row + row) / tile.heads_per_kv, head = (tile.first_row + row) % tile.heads_per_kv;
  const Vec::F scale = Vec::set1(tile.scale), softcap = Vec::set1(tile.softcap);
  const Vec::F lane = Vec::load(kLaneIndex), none = Vec::set1(-__builtin_inff());
  const Vec::F first = Vec::set1(static_cast<float>(range.first)), end = Vec::set1(static_cast<float>(range.end));
  const bool biased = tile.slopes != nullptr;
  const Vec::F slope = Vec::set1(biased ? tile.slopes[head] : 0.0f);
  const Vec::F distance = Vec::set1(static_cast<float>(group * kGroupKeys - (tile.past + token)));
  Vec::F maximum = Vec::set1(kLowestMaximum);
  for (int64_t key = range.first / Vec::lanes * Vec::lanes; key < range.end; key += Vec::lanes) {
    const Vec::F index = Vec::add(Vec::set1(static_cast<float>(key)), lane);
    Vec::F score = Vec::mul(Vec::load(scores + key), scale);
    if (tile.softcap > 0.0f) score = soft_cap(score, softcap);
    if (biased) score = Vec::fma(slope, Vec::add(index, distance), score);
    if (key < range.first || key + Vec::lanes > range.end) {
      score = Vec::select_less(index, first, none, Vec::select_less(index, end, score, none));
    }
    Vec::store(scores + key, score);
    maximum = Vec::max(score, maximum);
  }
  return Vec::reduce_max(maximum);
}

/// Turns scores into exponentials, 0 outside of the range; returns their sum.
inline float exponentials(KeyRange range, float maximum, float* scores) {
  const Vec::F shift = Vec::set1(maximum);
  Vec::F total = Vec::zero();
  for (int64_t key = range.first / Vec::lanes * Vec::lanes; key < range.end; key += Vec::lanes) {
    const Vec::F weight = exponential(Vec::sub(Vec::load(scores + key), shift));
    Vec::store(scores + key, weight);
    total = Vec::add(total, weight);
  }
  return Vec::reduce_add(total);
}

/// Adds one page's values to the sums of up to kValueRows rows: the keys that all of them attend to as a block, those
/// before and after row by row. Every row sees its keys in increasing order.
inline void add_page(const float* weights, const float* values, int64_t stride, const KeyRange* ranges, int64_t start,
                     int64_t rows, float* sums) {
  const auto clip = [=](int64_t key) { return key < start ? 0 : key > start + kPageKeys ? kPageKeys : key - start; };
  int64_t shared_first = 0, shared_end = kPageKeys;
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t first = clip(ranges[row].first), end = clip(ranges[row].end);
    if (first > shared_first) shared_first = first;
    if (end < shared_end) shared_end = end;
  }
  if (shared_first >= shared_end) shared_first = shared_end = kPageKeys;  // nothing shared: all keys come "before"
  const auto add_alone = [=](int64_t row, int64_t from, int64_t to) {
    const int64_t first = clip(ranges[row].first), end = clip(ranges[row].end);
    if (from < first) from = first;
    if (to > end) to = end;
    if (from < to) add_values(weights + row * kGroupKeys, values, stride, from, to, 1, sums + row * stride);
  };
  for (int64_t row = 0; row < rows; ++row) add_alone(row, 0, shared_first);
  if (shared_first < shared_end) add_values(weights, values, stride, shared_first, shared_end, rows, sums);
  for (int64_t row = 0; row < rows; ++row) add_alone(row, shared_end, kPageKeys);
}

/// One group's maxima, totals and sums; rows that attend to nothing in it are left as they are.
inline void attend_group(const AttentionTile& tile, int64_t group, const float* queries, float* scores,
                         const AttentionState& out) {
  KeyRange ranges[kMaximumTileRows];
  for (int64_t row = 0; row < tile.rows; ++row) ranges[row] = keys_in_group(tile, row, group);
  multiply_keys(tile, group, queries, ranges, scores);

  const int64_t stride = padded_head_dim(tile.head_dim);
  int64_t first_key = kGroupKeys, end_key = 0;
  for (int64_t row = 0; row < tile.rows; ++row) {
    if (ranges[row].first >= ranges[row].end) {
      ranges[row] = {0, 0};
      continue;
    }
    if (ranges[row].first < first_key) first_key = ranges[row].first;
    if (ranges[row].end > end_key) end_key = ranges[row].end;
    float* row_scores = scores + row * kGroupKeys;
    out.maxima[row] = finish_scores(tile, row, group, ranges[row], row_scores);
    out.totals[row] = exponentials(ranges[row], out.maxima[row], row_scores);
    for (int64_t d = 0; d < stride; d += Vec::lanes) Vec::store(out.sums + row * stride + d, Vec::zero());
  }

  for (int64_t start = first_key / kPageKeys * kPageKeys; start < end_key; start += kPageKeys) {
    const float* keys = page_keys(tile, group * kGroupPages + start / kPageKeys);
    for (int64_t row = 0; row < tile.rows; row += kValueRows) {
      const int64_t count = tile.rows - row < kValueRows ? tile.rows - row : kValueRows;
      add_page(scores + row * kGroupKeys + start, keys + key_floats(tile.head_dim), stride, ranges + row, start, count,
               out.sums + row * stride);
    }
  }
}

void merge_states(const AttentionTile& tile, int64_t group, float* state, const float* later_state) {
  const AttentionState into = state_parts(tile, state);
  const AttentionState later = state_parts(tile, const_cast<float*>(later_state));
  const int64_t stride = padded_head_dim(tile.head_dim);
  for (int64_t row = 0; row < tile.rows; ++row) {
    const KeyRange range = keys_in_group(tile, row, group);
    if (range.first >= range.end) continue;
    const float maximum = later.maxima[row] > into.maxima[row] ? later.maxima[row] : into.maxima[row];
    // Lane by lane the same value; a vector because exponential is one.
    const Vec::F old_factor = exponential(Vec::set1(into.maxima[row] - maximum));
    const Vec::F new_factor = exponential(Vec::set1(later.maxima[row] - maximum));
    float factors[2][Vec::lanes];
    Vec::store(factors[0], old_factor);
    Vec::store(factors[1], new_factor);
    into.maxima[row] = maximum;
    into.totals[row] = into.totals[row] * factors[0][0] + later.totals[row] * factors[1][0];
    for (int64_t d = row * stride; d < (row + 1) * stride; d += Vec::lanes) {
      const Vec::F added = Vec::mul(Vec::load(later.sums + d), new_factor);
      Vec::store(into.sums + d, Vec::fma(Vec::load(into.sums + d), old_factor, added));
    }
  }
}

void attend_tile(const AttentionTile& tile, int64_t first_group, int64_t group_end, float* state, float* workspace) {
  float* group_state = workspace;
  float* scores = group_state + attention_state_floats(kMaximumTileRows, tile.head_dim);
  float* queries = scores + kMaximumTileRows * kGroupKeys;
  const AttentionState into = state_parts(tile, state);
  for (int64_t row = 0; row < tile.rows; ++row) {
    into.maxima[row] = kLowestMaximum;
    into.totals[row] = 0.0f;
  }
  for (int64_t i = 0; i < tile.rows * padded_head_dim(tile.head_dim); ++i) into.sums[i] = 0.0f;
  pack_queries(tile, queries);
  for (int64_t group = first_group; group < group_end; ++group) {
    attend_group(tile, group, queries, scores, state_parts(tile, group_state));
    merge_states(tile, group, state, group_state);
  }
}

void finish_attention(const AttentionTile& tile, const float* state) {
  const AttentionState from = state_parts(tile, const_cast<float*>(state));
  const int64_t stride = padded_head_dim(tile.head_dim);
  for (int64_t row = 0; row < tile.rows; ++row) {
    const int64_t token = (tile.first_row + row) / tile.heads_per_kv, head = (tile.first_row + row) % tile.heads_per_kv;
    float* out = tile.out + token * tile.out_stride + head * tile.head_dim;
    const Vec::F total = Vec::set1(from.totals[row]);
    for (int64_t d = 0; d < tile.head_dim; d += Vec::lanes) {
      // Adding 0 turns a -0 into 0: the sign of an underflow is all that could tell how groups were spread.
      const Vec::F mean = Vec::add(Vec::div(Vec::load(from.sums + row * stride + d), total), Vec::zero());
      if (d + Vec::lanes <= tile.head_dim) {
        Vec::store(out + d, mean);
      } else {
        Vec::store_n(out + d, mean, tile.head_dim - d);
      }
    }
  }
}

void score_group(const AttentionTile& tile, int64_t group, float* scores, float* workspace) {
  KeyRange ranges[kMaximumTileRows];
  for (int64_t row = 0; row < tile.rows; ++row) ranges[row] = keys_in_group(tile, row, group);
  pack_queries(tile, workspace);
  multiply_keys(tile, group, workspace, ranges, scores);
  for (int64_t row = 0; row < tile.rows; ++row) {
    if (ranges[row].first < ranges[row].end) finish_scores(tile, row, group, ranges[row], scores + row * kGroupKeys);
  }
}

void store_row(const StoreRow& row) {
  float* keys = reinterpret_cast<float*>(row.head);
  for (int64_t d = 0; d < row.head_dim; ++d) keys[d * kPageKeys + row.slot] = row.key[d];
  float* values = keys + key_floats(row.head_dim) + row.slot * padded_head_dim(row.head_dim);
  for (int64_t d = 0; d < row.head_dim; ++d) values[d] = row.value[d];
  for (int64_t d = row.head_dim; d < padded_head_dim(row.head_dim); ++d) values[d] = 0.0f;
}

}  // namespace
}  // namespace octoformer
