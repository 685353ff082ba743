// Which keys of a page a position attends to. No library includes: kernels of every ISA include it.
#pragma once
#include <cstdint>

#include "cpu/attention_kernels.h"

namespace octoformer {

/// One bit a key of a page.
using KeyMask = uint32_t;
static_assert(kPageKeys == 32);
static constexpr KeyMask kAllKeys = ~KeyMask{0};

/// Bits of positions [first, end) in the page that begins at `start`.
static inline KeyMask mask_of_range(int64_t first, int64_t end, int64_t start) {
  first = first > start ? first - start : 0;
  end = end - start < kPageKeys ? end - start : kPageKeys;
  if (first >= end) return 0;
  return (kAllKeys >> (kPageKeys - (end - first))) << first;
}

/// The keys of a page that new token `token` of the tile's sequence attends to.
static inline KeyMask attended_mask(const AttentionTile& tile, int64_t token, int64_t page) {
  const SparsePattern& sparse = tile.sparse;
  const int64_t position = tile.past + token, start = page * kPageKeys;
  KeyMask mask = mask_of_range(0, sparse.sinks, start);
  if (sparse.block > 0) {
    const int64_t own = position / sparse.block * sparse.block;
    mask |= mask_of_range(own, own + sparse.block, start);
    for (int64_t end = start / sparse.block * sparse.block + sparse.block;
         end - sparse.summary < start + kPageKeys && sparse.summary > 0; end += sparse.block) {
      mask |= mask_of_range(end - sparse.summary, end, start);
    }
  } else if (tile.window > 0) {
    mask |= mask_of_range(position - tile.window + 1, position + tile.window, start);
  } else if (sparse.stride == 0) {
    mask = kAllKeys;
  }
  if (sparse.stride > 0) {
    int64_t offset = (position - start) % sparse.stride;
    if (offset < 0) offset += sparse.stride;
    for (; offset < kPageKeys; offset += sparse.stride) mask |= KeyMask{1} << offset;
  }
  return mask & mask_of_range(0, tile.causal ? position + 1 : tile.keys, start);
}

/// Whether some row of the tile attends to a key of the group.
static inline bool attends_to_group(const AttentionTile& tile, int64_t group) {
  if (!tile.sparse.any()) return true;
  const int64_t first = tile.first_row / tile.heads_per_kv, last = (tile.first_row + tile.rows - 1) / tile.heads_per_kv;
  for (int64_t token = first; token <= last; ++token) {
    for (int64_t page = group * kGroupPages; page < (group + 1) * kGroupPages; ++page) {
      if (attended_mask(tile, token, page) != 0) return true;
    }
  }
  return false;
}

}  // namespace octoformer
