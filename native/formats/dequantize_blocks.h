// What ggml's block formats have in common.
#pragma once
#include <cstdint>

#include "backend/half.h"
#include "formats/dequantize_families.h"
#include "formats/tensor_encoding.h"

namespace octoformer {

/// A float16 scale or minimum.
inline float scale_at(const uint8_t* from) { return float16_to_float(load<uint16_t>(from)); }

/// Calls block(from, out) for every block of an encoding.
template <TensorEncoding encoding, class Block>
void for_blocks(const uint8_t* from, int64_t blocks, float* out, Block block) {
  constexpr TensorEncodingInfo kInfo = encoding_info(encoding);
  for (int64_t i = 0; i < blocks; ++i) block(from + i * kInfo.block_bytes, out + i * kInfo.block_elements);
}

/// value(q) for 32 elements of 4 bits each: byte j holds element j (low half) and element j + 16 (high half).
template <class Value>
void for_nibbles(const uint8_t* nibbles, float* out, Value value) {
  constexpr int kHalf = 16;
  // Not unrolled, so that gcc makes vector code of them: it unrolls first, and then sees no loop any more.
#pragma GCC unroll 1
  for (int j = 0; j < kHalf; ++j) out[j] = value(nibbles[j] & 15);
#pragma GCC unroll 1
  for (int j = 0; j < kHalf; ++j) out[j + kHalf] = value(nibbles[j] >> 4);
}

}  // namespace octoformer
