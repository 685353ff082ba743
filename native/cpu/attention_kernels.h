// What one ISA offers for attention over paged keys and values (key_value_page.h).
//
// Keys are taken in groups of kGroupPages pages, cut by absolute position. A group gives each query row a maximum, a
// sum of exponentials and a weighted sum of values; groups are merged in the order of positions. A row's operations are
// the same ones in the same order however rows are tiled and groups spread over threads, so its bits are too.
#pragma once
#include <cstddef>
#include <cstdint>

#include "backend/sparse_pattern.h"
#include "cpu/key_value_page.h"

namespace octoformer {

/// 256 keys: long enough that merging costs nothing beside it, short enough that the scores of a tile stay in the
/// first-level cache and that one long sequence feeds many threads.
inline constexpr int64_t kGroupPages = 8;
inline constexpr int64_t kGroupKeys = kGroupPages * kPageKeys;

/// Query rows that share the loads of keys and values. 24 rows of 256 scores take 24 KB of the first-level cache and
/// are a multiple of every register tile.
inline constexpr int64_t kMaximumTileRows = 24;

/// The same of layers that run on bfloat16 units (AttentionKernels::unit_rows): two AMX tiles of rows.
inline constexpr int64_t kMaximumUnitRows = 32;

/// Tiles that one call of AttentionKernels::attend_whole takes at most. Those of one head share its keys and values,
/// and a processor's units of different kinds work on two neighbours at once (kernels/attention_amx.h).
inline constexpr int64_t kMaximumWholeTiles = 8;

/// Floats from one row's scores to the next one's: not a power of two, which would crowd all rows into few cache sets.
inline constexpr int64_t kScoreStride = kGroupKeys + 16;

/// PositionTerms of one head, packed: keys as those of a page lie, a block [head_dim][kPageKeys] for every kPageKeys
/// places, queries as a tile's do, a block [head_dim][kMaximumTileRows] for every kMaximumTileRows places.
struct TilePositions {
  const int32_t* index;  // at distance 0; null: no terms
  int64_t reach;
  const float* keys;     // or null
  const float* queries;  // or null
};

/// Some query rows of one sequence that read the same kv head. Row r is query head r % heads_per_kv of new token
/// r / heads_per_kv; the tile has rows [first_row, first_row + rows).
struct AttentionTile {
  const float* query;  // the sequence's first new token, at the first query head of this kv head
  int64_t query_stride;
  float* out;  // likewise
  int64_t out_stride;
  const std::byte* const* pages;
  KeyValueForm form;
  size_t head_offset;   // bytes from a page's start to this kv head's keys
  const float* slopes;  // [heads_per_kv] ALiBi slopes or null
  int64_t first_row;
  int64_t rows;  // 1 ... kMaximumTileRows, or kMaximumUnitRows if on_units
  int64_t heads_per_kv;
  int64_t head_dim;
  int64_t past;
  int64_t keys;  // past + new tokens; of cross attention the other sequence's
  int64_t window;
  float scale;
  float softcap;
  bool causal;
  bool bfloat16_slopes;        // see AttentionArguments::alibi_bfloat16
  const float* distance_bias;  // of the first head of the tile, at distance 0; or null
  int64_t distance_stride;     // floats from one head's to the next one's
  SparsePattern sparse;
  TilePositions positions;
  /// Queries and weights are rounded to bfloat16 too, for the ISA's bfloat16 units. Depends on the ISA and the layer.
  bool on_units;
};

/// Positions of keys: [first, end).
struct KeyRange {
  int64_t first;
  int64_t end;
};

/// The keys between (and including) the first and the last that the new token `token` (of sequence length `keys`)
/// attends to: all of them, unless the pattern is sparse (attention_pattern.h).
static inline KeyRange attended_keys(const AttentionTile& tile, int64_t token) {
  const int64_t position = tile.past + token;
  KeyRange range{0, tile.causal ? position + 1 : tile.keys};
  if (tile.window > 0 && !tile.sparse.any()) {
    if (position - tile.window + 1 > range.first) range.first = position - tile.window + 1;
    if (position + tile.window < range.end) range.end = position + tile.window;
  }
  return range;
}

/// Groups [first, end) of kGroupKeys keys.
struct GroupRange {
  int64_t first;
  int64_t end;
};

/// Those that some row of the tile attends to.
static inline GroupRange attended_groups(const AttentionTile& tile) {
  // Ranges move up with the token, so the first row has the first key and the last row the last one.
  const KeyRange first = attended_keys(tile, tile.first_row / tile.heads_per_kv);
  const KeyRange last = attended_keys(tile, (tile.first_row + tile.rows - 1) / tile.heads_per_kv);
  return {first.first / kGroupKeys, (last.end + kGroupKeys - 1) / kGroupKeys};
}

/// Floats of a state (running maxima, sums of exponentials, weighted sums of values of a tile's rows).
static constexpr int64_t attention_state_floats(int64_t rows, int64_t head_dim) {
  return (2 * rows + kHeadDimMultiple - 1) / kHeadDimMultiple * kHeadDimMultiple + rows * padded_head_dim(head_dim);
}

/// Products of a tile's rows with a block of places, or of a block of places with a page's keys.
static constexpr int64_t position_products_floats() { return kMaximumTileRows * kScoreStride; }

/// Floats that kernels need beside their results: for `attend_whole` a state, queries, scores, one group's state, a
/// page's keys or values widened to float32, products of positions.
static constexpr int64_t attention_workspace_floats(int64_t head_dim, bool positions) {
  return kMaximumTileRows * (head_dim + kScoreStride) + 2 * attention_state_floats(kMaximumTileRows, head_dim) +
         value_numbers(head_dim) + (positions ? position_products_floats() : 0);
}

/// The same where tiles are `on_units`: states and queries in bfloat16 of all tiles of a call; scores and states of two
/// groups, of which one is begun before the other is done; a page's values.
static constexpr int64_t unit_workspace_floats(int64_t head_dim) {
  return (kMaximumWholeTiles + 2) * attention_state_floats(kMaximumUnitRows, head_dim) +
         kMaximumUnitRows * (kMaximumWholeTiles * padded_head_dim(head_dim) / 2 + 2 * kScoreStride) +
         value_numbers(head_dim) / 2;
}

struct AttentionKernels {
  /// Overwrites `state` with groups [first_group, group_end) merged in order. Both pointers 64-byte aligned.
  void (*attend)(const AttentionTile& tile, int64_t first_group, int64_t group_end, float* state, float* workspace);
  /// All groups of 1 ... kMaximumWholeTiles tiles of one layer, each of which attends to some: writes their rows of
  /// `out`.
  void (*attend_whole)(const AttentionTile* tiles, int64_t count, float* workspace);
  /// Merges the state of one later group into `state`; both are of the same tile.
  void (*merge)(const AttentionTile& tile, int64_t group, float* state, const float* later);
  /// Writes the tile's rows of `out`.
  void (*finish)(const AttentionTile& tile, const float* state);
  /// The finished scores (scaled, capped, biased) of one group: scores[row * kScoreStride + key], meaningful only where
  /// the row attends.
  void (*scores)(const AttentionTile& tile, int64_t group, float* scores, float* workspace);
  /// Rows of a tile that is `on_units`; 0: there are no kernels for such tiles.
  int64_t unit_rows;
};

}  // namespace octoformer
