// The families behind dequantize(), one file each. Every function takes whole blocks: of the layout that the comment in
// its source gives, at any address.
#pragma once
#include <bit>
#include <cstdint>
#include <cstring>

namespace octoformer {

static_assert(std::endian::native == std::endian::little, "checkpoints are little-endian and are read in place");

template <class T>
T load(const uint8_t* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

// dequantize_plain.cc
void widen_float16(const uint8_t* from, int64_t elements, float* out);
void widen_bfloat16(const uint8_t* from, int64_t elements, float* out);
void narrow_float64(const uint8_t* from, int64_t elements, float* out);
void convert_int8(const uint8_t* from, int64_t elements, float* out);
void convert_uint8(const uint8_t* from, int64_t elements, float* out);
void convert_int32(const uint8_t* from, int64_t elements, float* out);
void convert_int64(const uint8_t* from, int64_t elements, float* out);
void convert_bool(const uint8_t* from, int64_t elements, float* out);

// dequantize_blocks32.cc: 32 elements with one scale (and minimum)
void dequantize_q8_0(const uint8_t* from, int64_t blocks, float* out);
void dequantize_q4_0(const uint8_t* from, int64_t blocks, float* out);
void dequantize_q4_1(const uint8_t* from, int64_t blocks, float* out);
void dequantize_q5_0(const uint8_t* from, int64_t blocks, float* out);
void dequantize_q5_1(const uint8_t* from, int64_t blocks, float* out);

// dequantize_k_quants.cc: 256 elements in groups of 16 or 32, whose scales are quantized themselves
void dequantize_q2_k(const uint8_t* from, int64_t blocks, float* out);
void dequantize_q3_k(const uint8_t* from, int64_t blocks, float* out);
void dequantize_q4_k(const uint8_t* from, int64_t blocks, float* out);
void dequantize_q5_k(const uint8_t* from, int64_t blocks, float* out);
void dequantize_q6_k(const uint8_t* from, int64_t blocks, float* out);

// dequantize_tables.cc: 4 bits choose one of 16 values
void dequantize_iq4_nl(const uint8_t* from, int64_t blocks, float* out);
void dequantize_iq4_xs(const uint8_t* from, int64_t blocks, float* out);
void dequantize_mxfp4(const uint8_t* from, int64_t blocks, float* out);

}  // namespace octoformer
