// The softmax and the weighted sum of values where rows attend to some keys of a page and not to others
// (attention_pattern.h). Pages that no row attends to are not read.
#pragma once
#include <stdint.h>

#include "cpu/attention_pattern.h"
#include "cpu/kernels/attention_tile.h"

namespace octoformer {
namespace {

/// What each row attends to in each page of a group.
struct GroupMasks {
  KeyMask rows[kMaximumTileRows][kGroupPages];

  /// Whether one of `count` rows from `row` on attends to the page.
  bool any(int64_t row, int64_t count, int64_t page) const {
    for (int64_t i = row; i < row + count; ++i) {
      if (rows[i][page] != 0) return true;
    }
    return false;
  }
};

inline GroupMasks group_masks(const AttentionTile& tile, int64_t group) {
  GroupMasks masks;
  for (int64_t row = 0; row < tile.rows; ++row) {
    const int64_t token = (tile.first_row + row) / tile.heads_per_kv;
    for (int64_t page = 0; page < kGroupPages; ++page) {
      masks.rows[row][page] = attended_mask(tile, token, group * kGroupPages + page);
    }
  }
  return masks;
}

/// Gives -inf to what the row does not attend to in a page; returns the largest of the others.
inline float mask_scores(KeyMask mask, float* scores) {
  float largest = -__builtin_inff();
  for (int64_t key = 0; key < kPageKeys; ++key) {
    if ((mask >> key & 1) == 0) {
      scores[key] = -__builtin_inff();
    } else if (scores[key] > largest) {
      largest = scores[key];
    }
  }
  return largest;
}

/// Adds one page's values to the sums of up to kValueRows rows: as a block where all attend to all of it, else by runs
/// of keys, row by row. Every row sees its keys in increasing order.
inline void add_masked_page(const float* weights, const FloatNumbers& values, int64_t stride, const GroupMasks& masks,
                            int64_t first_row, int64_t rows, int64_t page, float* sums) {
  KeyMask shared = kAllKeys;
  for (int64_t row = 0; row < rows; ++row) shared &= masks.rows[first_row + row][page];
  if (shared == kAllKeys) {
    add_values(weights, values, stride, 0, kPageKeys, rows, sums);
    return;
  }
  for (int64_t row = 0; row < rows; ++row) {
    KeyMask rest = masks.rows[first_row + row][page];
    while (rest != 0) {
      const int64_t from = __builtin_ctz(rest);
      const KeyMask gaps = ~(rest >> from);  // bits above the page count as gaps
      const int64_t to = gaps == 0 ? kPageKeys : from + __builtin_ctz(gaps);
      add_values(weights + row * kScoreStride, values, stride, from, to, 1, sums + row * stride);
      rest = to >= kPageKeys ? 0 : rest & (kAllKeys << to);
    }
  }
}

}  // namespace
}  // namespace octoformer
