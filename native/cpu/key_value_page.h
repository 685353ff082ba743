// How one layer's keys and values lie in a KV page: for each kv head first the keys, transposed to
// [head_dim][kKeyValuePageTokens] so that lanes run over keys when scores are computed, then the values,
// [kKeyValuePageTokens][padded head_dim], so that lanes run over head_dim when they are summed. float32.
// Only this file and kernels/attention.h know the layout.
#pragma once
#include <cstddef>
#include <cstdint>

namespace octoformer {

/// Positions of a page, and so the block of keys in attention. backend.h has the same number for the runtime.
inline constexpr int64_t kPageKeys = 32;

/// Rows of values and of sums are padded to the widest vector (AVX-512: 16 floats), so kernels need no tails.
inline constexpr int64_t kHeadDimMultiple = 16;

static constexpr int64_t padded_head_dim(int64_t head_dim) {
  return (head_dim + kHeadDimMultiple - 1) / kHeadDimMultiple * kHeadDimMultiple;
}

static constexpr int64_t key_floats(int64_t head_dim) { return head_dim * kPageKeys; }
static constexpr int64_t value_floats(int64_t head_dim) { return kPageKeys * padded_head_dim(head_dim); }

/// Bytes from the layer's start in a page to one kv head's keys; its values follow at once.
static constexpr size_t head_offset(int64_t kv_head, int64_t head_dim) {
  return static_cast<size_t>(kv_head * (key_floats(head_dim) + value_floats(head_dim))) * sizeof(float);
}

}  // namespace octoformer
