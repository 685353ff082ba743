// ggml's K-quants (ggml-common.h: block_q2_K ... block_q6_K): super-blocks of 256 elements in groups of 16 or 32. A
// group's scale (and minimum) is a small integer times the super-block's float16 scale d (and dmin). Layouts, sizes in
// bytes:
//   Q2_K: scales 16 (low half: scale, high half: minimum of a group of 16), numbers 64, d 2, dmin 2
//   Q3_K: third bits 32, low bits 64, scales 12 (16 of 6 bits), d 2
//   Q4_K: d 2, dmin 2, scales 12 (8 scales and 8 minima of 6 bits), numbers 128
//   Q5_K: d 2, dmin 2, scales 12 (as Q4_K), fifth bits 32, low bits 128
//   Q6_K: low bits 128, high bits 64, scales 16 (int8), d 2
#include "formats/dequantize_blocks.h"

namespace octoformer {

namespace {

struct ScaleAndMinimum {
  int scale, minimum;
};

/// Group `group` of 8 in the 12 bytes of Q4_K and Q5_K: the first four groups have the low 6 bits of bytes 0-3 (scales)
/// and 4-7 (minima); the last four have their low 4 bits in bytes 8-11 and their upper 2 in the upper 2 of bytes 0-7.
ScaleAndMinimum unpack_scale(const uint8_t* scales, int group) {
  if (group < 4) return {scales[group] & 63, scales[group + 4] & 63};
  return {(scales[group + 4] & 15) | (scales[group - 4] >> 6) << 4, (scales[group + 4] >> 4) | (scales[group] >> 6)
                                                                                                   << 4};
}

}  // namespace

void dequantize_q2_k(const uint8_t* from, int64_t blocks, float* out) {
  for_blocks<TensorEncoding::q2_k>(from, blocks, out, [](const uint8_t* block, float* values) {
    const uint8_t* const numbers = block + 16;
    const float d = scale_at(block + 80);
    const float dmin = scale_at(block + 82);
    // 32 bytes hold 128 elements: bits 0-1 the first 32 of them, bits 2-3 the next ...
    for (int group = 0; group < 16; ++group) {
      const uint8_t* const bytes = numbers + group / 8 * 32 + group % 2 * 16;
      const int shift = group / 2 % 4 * 2;
      const float scale = d * static_cast<float>(block[group] & 15);
      const float minimum = dmin * static_cast<float>(block[group] >> 4);
      for (int j = 0; j < 16; ++j) {
        values[group * 16 + j] = scale * static_cast<float>(bytes[j] >> shift & 3) - minimum;
      }
    }
  });
}

void dequantize_q3_k(const uint8_t* from, int64_t blocks, float* out) {
  for_blocks<TensorEncoding::q3_k>(from, blocks, out, [](const uint8_t* block, float* values) {
    const uint8_t* const third_bits = block;
    const uint8_t* const low_bits = block + 32;
    const uint8_t* const scales = block + 96;
    const float d = scale_at(block + 108);
    for (int group = 0; group < 16; ++group) {
      // Low 4 bits in bytes 0-7 (groups 8-15 in the high halves), upper 2 in bytes 8-11.
      const int low = group < 8 ? scales[group] & 15 : scales[group - 8] >> 4;
      const int high = scales[8 + group % 4] >> (group / 4 * 2) & 3;
      const float scale = d * static_cast<float>((low | high << 4) - 32);
      const uint8_t* const bytes = low_bits + group / 8 * 32 + group % 2 * 16;
      const uint8_t* const thirds = third_bits + group % 2 * 16;
      const int shift = group / 2 % 4 * 2;
      const int third = group / 2;
      for (int j = 0; j < 16; ++j) {
        const int q = (bytes[j] >> shift & 3) + (thirds[j] >> third & 1) * 4 - 4;
        values[group * 16 + j] = scale * static_cast<float>(q);
      }
    }
  });
}

void dequantize_q4_k(const uint8_t* from, int64_t blocks, float* out) {
  for_blocks<TensorEncoding::q4_k>(from, blocks, out, [](const uint8_t* block, float* values) {
    const float d = scale_at(block);
    const float dmin = scale_at(block + 2);
    for (int group = 0; group < 8; ++group) {
      const ScaleAndMinimum quantized = unpack_scale(block + 4, group);
      const float scale = d * static_cast<float>(quantized.scale);
      const float minimum = dmin * static_cast<float>(quantized.minimum);
      const uint8_t* const bytes = block + 16 + group / 2 * 32;
      const int shift = group % 2 * 4;
      for (int j = 0; j < 32; ++j) {
        values[group * 32 + j] = scale * static_cast<float>(bytes[j] >> shift & 15) - minimum;
      }
    }
  });
}

void dequantize_q5_k(const uint8_t* from, int64_t blocks, float* out) {
  for_blocks<TensorEncoding::q5_k>(from, blocks, out, [](const uint8_t* block, float* values) {
    const float d = scale_at(block);
    const float dmin = scale_at(block + 2);
    const uint8_t* const fifth_bits = block + 16;
    for (int group = 0; group < 8; ++group) {
      const ScaleAndMinimum quantized = unpack_scale(block + 4, group);
      const float scale = d * static_cast<float>(quantized.scale);
      const float minimum = dmin * static_cast<float>(quantized.minimum);
      const uint8_t* const bytes = block + 48 + group / 2 * 32;
      const int shift = group % 2 * 4;
      for (int j = 0; j < 32; ++j) {
        const int q = (bytes[j] >> shift & 15) | (fifth_bits[j] >> group & 1) << 4;
        values[group * 32 + j] = scale * static_cast<float>(q) - minimum;
      }
    }
  });
}

void dequantize_q6_k(const uint8_t* from, int64_t blocks, float* out) {
  for_blocks<TensorEncoding::q6_k>(from, blocks, out, [](const uint8_t* block, float* values) {
    const float d = scale_at(block + 208);
    for (int group = 0; group < 16; ++group) {
      // 128 elements in 64 bytes of low bits and 32 of high bits. Quarter by quarter: low halves of bytes 0-31, low
      // halves of 32-63, high halves of 0-31, high halves of 32-63.
      const int part = group / 8;
      const int quarter = group / 2 % 4;
      const int within = group % 2 * 16;
      const uint8_t* const low_bits = block + part * 64 + quarter % 2 * 32 + within;
      const uint8_t* const high_bits = block + 128 + part * 32 + within;
      const int low_shift = quarter / 2 * 4;
      const int high_shift = quarter * 2;
      const float scale = d * static_cast<float>(static_cast<int8_t>(block[192 + group]));
      for (int j = 0; j < 16; ++j) {
        const int q = ((low_bits[j] >> low_shift & 15) | (high_bits[j] >> high_shift & 3) << 4) - 32;
        values[group * 16 + j] = scale * static_cast<float>(q);
      }
    }
  });
}

}  // namespace octoformer
