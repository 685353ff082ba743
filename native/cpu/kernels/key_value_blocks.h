// A page's keys or values as the float32 block that attention multiplies: where they lie, if they are float32, else
// widened once for all rows of the tile.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "cpu/attention_kernels.h"
#include "cpu/kernels/attention_tile.h"

namespace octoformer {
namespace {

inline const std::byte* page_keys(const AttentionTile& tile, int64_t page) {
  return tile.pages[page] + tile.head_offset;
}
inline const std::byte* page_values(const AttentionTile& tile, int64_t page) {
  return page_keys(tile, page) + values_offset(tile.form, tile.head_dim);
}

/// Of a page in int8: the scales of its keys, then those of its values.
inline const float* key_scales(const AttentionTile& tile, int64_t page) {
  return reinterpret_cast<const float*>(page_keys(tile, page) + scales_offset(tile.form, tile.head_dim));
}
inline const float* value_scales(const AttentionTile& tile, int64_t page) { return key_scales(tile, page) + kPageKeys; }

/// [pairs][columns][2] as [2 * pairs][columns]
inline void widen_pairs(const std::byte* from, int64_t pairs, int64_t columns, float* wide) {
  const uint16_t* halves = reinterpret_cast<const uint16_t*>(from);
  for (int64_t pair = 0; pair < pairs; ++pair, halves += 2 * columns, wide += 2 * columns) {
    for (int64_t i = 0; i < columns; i += Vec::lanes) {
      Vec::store(wide + i, Vec::load_first_bfloat16(halves + 2 * i));
      Vec::store(wide + columns + i, Vec::load_second_bfloat16(halves + 2 * i));
    }
  }
}

/// Keys lie side by side: lanes have scales of their own.
inline void widen_int8_keys(const std::byte* from, const float* scales, int64_t head_dim, float* wide) {
  for (int64_t key = 0; key < kPageKeys; key += Vec::lanes) {
    const Vec::F scale = Vec::load(scales + key);
    for (int64_t at = key; at < head_dim * kPageKeys; at += kPageKeys) {
      Vec::store(wide + at, Vec::mul(load_int8(from + at), scale));
    }
  }
}

inline void widen_int8_values(const std::byte* from, const float* scales, int64_t columns, float* wide) {
  for (int64_t key = 0; key < kPageKeys; ++key) {
    const Vec::F scale = Vec::set1(scales[key]);
    for (int64_t at = key * columns; at < (key + 1) * columns; at += Vec::lanes) {
      Vec::store(wide + at, Vec::mul(load_int8(from + at), scale));
    }
  }
}

/// The keys of a page. `next`: numbers of the same form that will be wanted after them. `wide`: room for them.
inline FloatNumbers keys_of_page(const AttentionTile& tile, int64_t page, const std::byte* next, float* wide) {
  const std::byte* keys = page_keys(tile, page);
  if (tile.form == KeyValueForm::float32) {
    return {reinterpret_cast<const float*>(keys), next, sizeof(float)};
  }
  if (tile.form == KeyValueForm::bfloat16) {
    widen_pairs(keys, (tile.head_dim + 1) / 2, kPageKeys, wide);
  } else {
    widen_int8_keys(keys, key_scales(tile, page), tile.head_dim, wide);
  }
  return {wide, next, static_cast<int64_t>(number_bytes(tile.form))};
}

/// The values of a page, likewise.
inline FloatNumbers values_of_page(const AttentionTile& tile, int64_t page, const std::byte* next, float* wide) {
  const std::byte* values = page_values(tile, page);
  if (tile.form == KeyValueForm::float32) {
    return {reinterpret_cast<const float*>(values), next, sizeof(float)};
  }
  if (tile.form == KeyValueForm::bfloat16) {
    widen_pairs(values, kPageKeys / 2, padded_head_dim(tile.head_dim), wide);
  } else {
    widen_int8_values(values, value_scales(tile, page), padded_head_dim(tile.head_dim), wide);
  }
  return {wide, next, static_cast<int64_t>(number_bytes(tile.form))};
}

/// Whether a tile has so few rows that numbers are widened as they are multiplied.
inline bool widens_by_block(const AttentionTile& tile) {
  return tile.form != KeyValueForm::float32 && tile.rows <= kValueRows && tile.positions.index == nullptr;
}

/// Calls multiply() with the keys of a page of such a tile.
template <class Multiply>
inline void with_narrow_keys(const AttentionTile& tile, int64_t page, const std::byte* next, const Multiply& multiply) {
  const std::byte* keys = page_keys(tile, page);
  if (tile.form == KeyValueForm::bfloat16) {
    multiply(PairNumbers{reinterpret_cast<const uint16_t*>(keys), next, kPageKeys});
  } else {
    multiply(Int8Numbers{keys, next, key_scales(tile, page)});
  }
}
/// The same with its values.
template <class Multiply>
inline void with_narrow_values(const AttentionTile& tile, int64_t page, const std::byte* next,
                               const Multiply& multiply) {
  const std::byte* values = page_values(tile, page);
  if (tile.form == KeyValueForm::bfloat16) {
    multiply(PairNumbers{reinterpret_cast<const uint16_t*>(values), next, padded_head_dim(tile.head_dim)});
  } else {
    multiply(Int8Numbers{values, next, value_scales(tile, page)});
  }
}

}  // namespace
}  // namespace octoformer
