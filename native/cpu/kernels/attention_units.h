// What attention on bfloat16 units has in common, whether they multiply tiles (attention_amx.h) or vectors
// (attention_dots.h): where things lie, queries rounded to bfloat16, and numbers that weights of 0 would not silence.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "cpu/kernels/attention.h"
#include "cpu/kernels/attention_unit_softmax.h"

namespace octoformer {
namespace {

/// What a worker needs, in this order in its workspace (unit_workspace_floats). There is room for two wherever one
/// group's neighbour is under way beside it, and for all tiles where they come again with the next group.
struct UnitWorkspace {
  float* tile_states[kMaximumWholeTiles];
  float* group_states[2];
  float* scores[2];  // [rows][kScoreStride]; a row's weights, bfloat16, take their place from the start of the row on
  uint16_t* queries[kMaximumWholeTiles];  // [rows][padded_head_dim]
  uint16_t* page;                         // values of one page

  UnitWorkspace(int64_t head_dim, float* memory) {
    const auto take = [&](int64_t floats) {
      float* taken = memory;
      memory += floats;
      return taken;
    };
    for (float*& state : tile_states) state = take(attention_state_floats(kMaximumUnitRows, head_dim));
    for (float*& state : group_states) state = take(attention_state_floats(kMaximumUnitRows, head_dim));
    for (float*& of_group : scores) of_group = take(kMaximumUnitRows * kScoreStride);
    const auto take_halves = [&](int64_t count) { return reinterpret_cast<uint16_t*>(take(count / 2)); };
    for (uint16_t*& of_tile : queries) of_tile = take_halves(kMaximumUnitRows * padded_head_dim(head_dim));
    page = take_halves(value_numbers(head_dim));
  }
};

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

[[gnu::noinline]] inline bool all_finite(const uint16_t* numbers, int64_t count) {
  uint16_t found = 0;
  for (int64_t i = 0; i < count; ++i) found |= static_cast<uint16_t>((numbers[i] & 0x7f80) == 0x7f80);
  return found == 0;
}

/// Whether the values of all pages are finite, but for those of keys that all rows attend to.
inline bool finite_outside(const AttentionTile& tile, int64_t group, PageRange pages, KeyRange all) {
  for (int64_t page = pages.first; page < pages.end; ++page) {
    if (all.first <= page * kPageKeys && all.end >= (page + 1) * kPageKeys) continue;
    // Pairs of keys up to the end of those that all attend to count as such: while they are generated, half of a page.
    const int64_t start = page * kPageKeys;
    const int64_t known = all.first <= start && all.end > start ? (all.end - start) / 2 * 2 : 0;
    const int64_t columns = padded_head_dim(tile.head_dim);
    const auto* values = reinterpret_cast<const uint16_t*>(page_values(tile, group * kGroupPages + page));
    if (!all_finite(values + known * columns, (kPageKeys - known) * columns)) return false;
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

}  // namespace
}  // namespace octoformer
