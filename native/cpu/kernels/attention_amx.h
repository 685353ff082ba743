// Attention on AMX tiles, where pages keep bfloat16: queries and the weights of the softmax are rounded to bfloat16, 16
// or 32 rows of them at a time, products are summed in float32, and the softmax between them is that of float32.
//
// Tiles of rows go through it group by group of keys, each overlapped with its neighbours: while the softmax of one
// group takes vectors, the values of the one before and the keys of the one after are multiplied. Where a head's keys
// and values are more than the second-level cache holds, all tiles of a call take a group before any takes the next
// one.
//
// A key outside of a row's range has weight 0 here. What lies there has no effect all the same: numbers that are not
// finite, which 0 would not silence, are taken out before (multiply_cleaned).
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "cpu/kernels/attention.h"
#include "cpu/kernels/attention_amx_products.h"
#include "cpu/kernels/attention_unit_softmax.h"
#include "cpu/kernels/attention_units.h"

namespace octoformer {
namespace {

/// Asks for lines of a tile's rows in a matrix of tokens: they are far from each other, where no prefetcher of the
/// machine looks.
template <int Writes>
inline void fetch_rows(const AttentionTile& tile, const float* matrix, int64_t stride) {
  TileRow at(tile);
  for (int64_t row = 0; row < tile.rows; ++row, at.next()) {
    const float* head = matrix + at.token() * stride + at.head() * tile.head_dim;
    for (int64_t d = 0; d < tile.head_dim; d += kLineFloats) __builtin_prefetch(head + d, Writes, 3);
  }
}

constexpr int64_t kUnitRows = kMaximumUnitRows;

/// Half of what the second-level cache of a processor with AMX holds: the other half is others'.
constexpr int64_t kManyBytes = 1 << 20;

/// Some tiles of the same layer (kMaximumWholeTiles at most), one group of keys after another.
class UnitPipeline {
 public:
  UnitPipeline(const AttentionTile* tiles, int64_t count, const UnitWorkspace& work)
      : tiles_(tiles), count_(count), work_(work) {}

  /// Calls finish(tile, state) for every tile. Every one attends to some group of [first_group, group_end) of its own,
  /// which groups_of(tile) gives.
  template <class GroupsOf, class Finish>
  void run(const GroupsOf& groups_of, const Finish& finish) {
    Step steps[3];
    Step *before = &steps[0], *now = &steps[1], *after = &steps[2];  // groups that follow each other
    for (int64_t tile = 0; tile < count_; ++tile) groups_[tile] = groups_of(tiles_[tile]);
    begin_tiles(0);
    if (!find_next(*now)) return;
    begin(*now);
    multiply_all(keys_);
    for (bool any_before = false;; any_before = true) {
      const bool any_after = find_next(*after);
      // Other numbers of rows need tiles of other sizes, which can't change under way.
      const bool together = any_after && after->tile->rows == now->tile->rows && !changes_tiles(*after->tile);
      if (together) begin(*after);
      weigh(*now);
      if (any_before) complete(*before, finish);
      multiply_weighted(*now);
      if (!any_after) break;
      if (!together) {
        multiply_all(values_);
        begin(*after);
        multiply_all(keys_);
      }
      Step* free = before;
      before = now;
      now = after;
      after = free;
    }
    multiply_all(values_);
    complete(*now, finish);
    TILE_RELEASE();
  }

 private:
  /// A group of keys and a tile.
  struct Step {
    const AttentionTile* tile;
    int64_t group;
    bool first, last;         // of the tile's groups
    float* tile_state;        // of all groups so far
    const uint16_t* queries;  // rounded
    AttentionState out;
    float* scores;
    PageRange pages;
    KeyRange all;  // keys that all rows attend to
    KeyRange ranges[kMaximumUnitRows];
  };

  static bool changes_tiles(const AttentionTile& tile) { return step_depth(tile.head_dim) != kPageKeys; }

  /// Takes tiles from `first` on, that go through the groups together.
  void begin_tiles(int64_t first) {
    const int64_t bytes = tiles_->keys * padded_head_dim(tiles_->head_dim) * 2 * 2;  // of keys and values
    first_tile_ = first;
    tile_end_ = bytes >= kManyBytes ? count_ : first + 1;
    tile_ = first - 1;
    group_ = groups_[first].first;
    group_end_ = groups_[first].end;
    for (int64_t tile = first + 1; tile < tile_end_; ++tile) {
      if (groups_[tile].first < group_) group_ = groups_[tile].first;
      if (groups_[tile].end > group_end_) group_end_ = groups_[tile].end;
    }
  }

  bool find_next(Step& step) {
    do {
      if (++tile_ < tile_end_) continue;
      tile_ = first_tile_;
      if (++group_ < group_end_) continue;
      if (tile_end_ >= count_) return false;
      begin_tiles(tile_end_);
      ++tile_;
    } while (group_ < groups_[tile_].first || group_ >= groups_[tile_].end);
    step.tile = &tiles_[tile_];
    step.group = group_;
    step.first = group_ == groups_[tile_].first;
    step.last = group_ + 1 == groups_[tile_].end;
    step.tile_state = work_.tile_states[tile_];
    step.queries = work_.queries[tile_];
    parity_ = 1 - parity_;
    step.out = state_parts(*step.tile, step.first ? step.tile_state : work_.group_states[parity_]);
    step.scores = work_.scores[parity_];
    return true;
  }

  /// Makes everything ready for the products with the keys: keys_.
  void begin(Step& step) {
    const AttentionTile& tile = *step.tile;
    find_ranges(tile, step.group, step.ranges);
    const BlockRange block = block_range(step.ranges, tile.rows);
    step.pages = pages_of(block.any);
    step.all = block.all;
    if (step.first) {
      round_queries(tile, work_.queries[tile_]);
      if (tile_ + 1 < count_) fetch_next(tiles_[tile_ + 1]);
    }
    if (step.last) fetch_rows<1>(tile, tile.out, tile.out_stride);
    if (tile.rows != configured_rows_ || changes_tiles(tile)) {
      configure_attention_tiles(tile.rows, step_depth(tile.head_dim));
      configured_rows_ = tile.rows;
    }
    keys_ = KeyProducts(tile, step.group, step.pages, step.queries, step.scores);
  }

  static void fetch_next(const AttentionTile& tile) {
    fetch_rows<0>(tile, tile.query, tile.query_stride);
    if (tile.rows > kTileRow) return;
    const int64_t key = attended_keys(tile, tile.first_row / tile.heads_per_kv).first;
    fetch(page_keys(tile, key / kPageKeys), 2 * key_numbers(tile.form, tile.head_dim));
  }

  /// The softmax, while the values of the group before and the keys of the one after are multiplied.
  void weigh(const Step& now) {
    const AttentionTile& tile = *now.tile;
    const int64_t parts = (tile.rows + kSoftmaxRows - 1) / kSoftmaxRows;
    const int64_t steps = (values_.steps_left() + keys_.steps_left() + parts - 1) / parts;
    softmax_tile(tile, now.group, now.ranges, now.all, now.pages, now.scores, now.out.maxima, now.out.totals, [&] {
      for (int64_t i = 0; i < steps; ++i) {
        if (values_.steps_left() > 0) {
          values_.step();
        } else if (keys_.steps_left() > 0) {
          keys_.step();
        }
      }
    });
    multiply_all(values_);
    multiply_all(keys_);
  }

  /// Begins the products with the values: values_.
  void multiply_weighted(const Step& now) {
    const AttentionTile& tile = *now.tile;
    if (changes_tiles(tile)) configure_attention_tiles(tile.rows, kPageKeys);
    if (!finite_outside(tile, now.group, now.pages, now.all)) {
      return multiply_cleaned(tile, now.group, now.pages, now.ranges, now.scores, work_.page, now.out.sums);
    }
    values_ =
        ValueProducts(tile, now.group * kGroupPages + now.pages.first, now.pages.end - now.pages.first,
                      reinterpret_cast<const std::byte*>(now.scores) + now.pages.first * kTileRowBytes, now.out.sums);
  }

  template <class Products>
  static void multiply_all(Products& products) {
    while (products.steps_left() > 0) products.step();
  }

  template <class Finish>
  void complete(const Step& step, const Finish& finish) const {
    const AttentionTile& tile = *step.tile;
    LET_TILES_SEE_MEMORY();
    if (!step.first) merge_states(tile, step.group, step.tile_state, step.out.maxima);
    if (step.last) finish(tile, step.tile_state);
  }

  const AttentionTile* const tiles_;
  const int64_t count_;
  const UnitWorkspace& work_;
  GroupRange groups_[kMaximumWholeTiles];
  int64_t first_tile_ = 0, tile_end_ = 0, group_end_ = 0;  // those that go through the groups together
  int64_t tile_ = 0, group_ = 0;                           // the step found last
  int64_t configured_rows_ = 0;
  int parity_ = 0;
  KeyProducts keys_;
  ValueProducts values_;
};

void attend_on_units(const AttentionTile& tile, int64_t first_group, int64_t group_end, float* state,
                     float* workspace) {
  if (first_group >= group_end) return clear_state(tile, state_parts(tile, state));
  UnitWorkspace work(tile.head_dim, workspace);
  work.tile_states[0] = state;
  UnitPipeline(&tile, 1, work)
      .run([=](const AttentionTile&) { return GroupRange{first_group, group_end}; },
           [](const AttentionTile&, const float*) {});
}

void attend_whole_on_units(const AttentionTile* tiles, int64_t count, float* workspace) {
  UnitPipeline(tiles, count, UnitWorkspace(tiles->head_dim, workspace)).run(attended_groups, finish_attention);
}

void score_on_units(const AttentionTile& tile, int64_t group, float* scores, float* workspace) {
  const UnitWorkspace work(tile.head_dim, workspace);
  KeyRange ranges[kMaximumUnitRows];
  find_ranges(tile, group, ranges);
  round_queries(tile, work.queries[0]);
  configure_attention_tiles(tile.rows, step_depth(tile.head_dim));
  KeyProducts keys(tile, group, pages_of(block_range(ranges, tile.rows).any), work.queries[0], scores);
  while (keys.steps_left() > 0) keys.step();
  TILE_RELEASE();
  LET_TILES_SEE_MEMORY();
  finish_tile_scores(tile, group, ranges, scores);
}

}  // namespace
}  // namespace octoformer
