// ggml's blocks of 32 elements (ggml-common.h: block_q8_0, block_q4_0, block_q4_1, block_q5_0, block_q5_1): a float16
// scale d, for the _1 kinds a float16 minimum m, for the 5-bit kinds 32 fifth bits, then the numbers. Of 4-bit numbers
// byte j holds element j (low half) and element j + 16 (high half).
#include "formats/dequantize_blocks.h"

namespace octoformer {

namespace {

constexpr int kElements = 32;
constexpr int kHalf = 16;

/// value(q) for the 5-bit numbers of one block: bit j of `fifth` belongs to element j.
template <class Value>
void for_five_bits(const uint8_t* fifth, const uint8_t* nibbles, float* out, Value value) {
  const auto bits = load<uint32_t>(fifth);
  uint8_t high[kElements];
  for (int j = 0; j < kElements; ++j) high[j] = static_cast<uint8_t>((bits >> j & 1u) << 4);
  for (int j = 0; j < kHalf; ++j) out[j] = value((nibbles[j] & 15) | high[j]);
  for (int j = 0; j < kHalf; ++j) out[j + kHalf] = value((nibbles[j] >> 4) | high[j + kHalf]);
}

}  // namespace

void dequantize_q8_0(const uint8_t* from, int64_t blocks, float* out) {
  for_blocks<TensorEncoding::q8_0>(from, blocks, out, [](const uint8_t* block, float* values) {
    const float d = scale_at(block);
    for (int j = 0; j < kElements; ++j) values[j] = d * static_cast<float>(static_cast<int8_t>(block[2 + j]));
  });
}

void dequantize_q4_0(const uint8_t* from, int64_t blocks, float* out) {
  for_blocks<TensorEncoding::q4_0>(from, blocks, out, [](const uint8_t* block, float* values) {
    const float d = scale_at(block);
    for_nibbles(block + 2, values, [d](int q) { return d * static_cast<float>(q - 8); });
  });
}

void dequantize_q4_1(const uint8_t* from, int64_t blocks, float* out) {
  for_blocks<TensorEncoding::q4_1>(from, blocks, out, [](const uint8_t* block, float* values) {
    const float d = scale_at(block);
    const float m = scale_at(block + 2);
    for_nibbles(block + 4, values, [d, m](int q) { return d * static_cast<float>(q) + m; });
  });
}

void dequantize_q5_0(const uint8_t* from, int64_t blocks, float* out) {
  for_blocks<TensorEncoding::q5_0>(from, blocks, out, [](const uint8_t* block, float* values) {
    const float d = scale_at(block);
    for_five_bits(block + 2, block + 6, values, [d](int q) { return d * static_cast<float>(q - 16); });
  });
}

void dequantize_q5_1(const uint8_t* from, int64_t blocks, float* out) {
  for_blocks<TensorEncoding::q5_1>(from, blocks, out, [](const uint8_t* block, float* values) {
    const float d = scale_at(block);
    const float m = scale_at(block + 2);
    for_five_bits(block + 4, block + 8, values, [d, m](int q) { return d * static_cast<float>(q) + m; });
  });
}

}  // namespace octoformer
