// How one layer's keys and values lie in a KV page: for each kv head first the keys, transposed to
// [head_dim][kKeyValuePageTokens] so that lanes run over keys when scores are computed, then the values,
// [kKeyValuePageTokens][padded head_dim], so that lanes run over head_dim when they are summed. Numbers are float32,
// bfloat16 or int8; int8 ones are followed by their scales (float32): of each token's key, then of each token's value.
//
// bfloat16 numbers lie in pairs of what is summed over, as bfloat16 units want them: keys
// [padded head_dim / 2][kKeyValuePageTokens][2], values [kKeyValuePageTokens / 2][padded head_dim][2].
// Only this file, store_key_value.cc, kernels/key_value_blocks.h and what attends on units (attention_amx.h and its
// products, attention_dots.h, attention_units.h) know the layout.
#pragma once
#include <cstddef>
#include <cstdint>

#include "backend/key_value_form.h"

namespace octoformer {

/// Positions of a page, and so the block of keys in attention. backend.h has the same number for the runtime.
inline constexpr int64_t kPageKeys = 32;

/// Rows of values and of sums are padded to the widest vector (AVX-512: 16 floats), so kernels need no tails.
inline constexpr int64_t kHeadDimMultiple = 16;

static constexpr int64_t padded_head_dim(int64_t head_dim) {
  return (head_dim + kHeadDimMultiple - 1) / kHeadDimMultiple * kHeadDimMultiple;
}

/// Numbers of one kv head's keys, and of its values.
static constexpr int64_t key_numbers(KeyValueForm form, int64_t head_dim) {
  return (form == KeyValueForm::bfloat16 ? padded_head_dim(head_dim) : head_dim) * kPageKeys;
}
static constexpr int64_t value_numbers(int64_t head_dim) { return kPageKeys * padded_head_dim(head_dim); }

static constexpr size_t number_bytes(KeyValueForm form) {
  return form == KeyValueForm::float32 ? 4 : form == KeyValueForm::bfloat16 ? 2 : 1;
}

/// Bytes from one kv head's keys to its values, and to the scales (of int8 numbers).
static constexpr size_t values_offset(KeyValueForm form, int64_t head_dim) {
  return static_cast<size_t>(key_numbers(form, head_dim)) * number_bytes(form);
}
static constexpr size_t scales_offset(KeyValueForm form, int64_t head_dim) {
  return values_offset(form, head_dim) + static_cast<size_t>(value_numbers(head_dim)) * number_bytes(form);
}

/// Bytes from the layer's start in a page to one kv head's keys.
static constexpr size_t head_offset(KeyValueForm form, int64_t kv_head, int64_t head_dim) {
  const size_t scales = form == KeyValueForm::int8 ? 2 * kPageKeys * sizeof(float) : 0;
  return static_cast<size_t>(kv_head) * (scales_offset(form, head_dim) + scales);
}

}  // namespace octoformer
