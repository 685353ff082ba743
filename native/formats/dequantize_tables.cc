// ggml's formats whose 4-bit numbers are places in a table of values (ggml-common.h: block_iq4_nl, block_iq4_xs,
// block_mxfp4). Layouts, sizes in bytes:
//   IQ4_NL: 32 elements: d 2, numbers 16
//   IQ4_XS: 256 elements in groups of 32: d 2, upper 2 bits of the groups' scales 2, their low 4 bits 4, numbers 128
//   MXFP4: 32 elements: exponent of the scale 1, numbers 16
#include <array>
#include <cmath>

#include "formats/dequantize_blocks.h"

namespace octoformer {

namespace {

/// Where the weights of models lie densest, the steps are smallest (kvalues_iq4nl).
constexpr std::array<float, 16> kUneven = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

/// Twice the numbers of E2M1: a sign, two bits of exponent, one of mantissa (Open Compute Project, Microscaling Formats
/// 1.0, section 5.3.3), with one zero for both of its own.
constexpr std::array<float, 16> kTwiceE2m1 = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

/// Half of 2^(exponent - 127), as E8M0 has it. 255, which is not a number there, goes on as ggml has it.
float half_scale(uint8_t exponent) { return std::ldexp(1.0f, exponent - 128); }

}  // namespace

void dequantize_iq4_nl(const uint8_t* from, int64_t blocks, float* out) {
  for_blocks<TensorEncoding::iq4_nl>(from, blocks, out, [](const uint8_t* block, float* values) {
    const float d = scale_at(block);
    for_nibbles(block + 2, values, [d](int q) { return d * kUneven[static_cast<size_t>(q)]; });
  });
}

void dequantize_iq4_xs(const uint8_t* from, int64_t blocks, float* out) {
  for_blocks<TensorEncoding::iq4_xs>(from, blocks, out, [](const uint8_t* block, float* values) {
    const float d = scale_at(block);
    const auto upper_bits = load<uint16_t>(block + 2);
    for (int group = 0; group < 8; ++group) {
      const int low = block[4 + group / 2] >> (group % 2 * 4) & 15;
      const int high = upper_bits >> (2 * group) & 3;
      const float scale = d * static_cast<float>((low | high << 4) - 32);
      for_nibbles(block + 8 + group * 16, values + group * 32,
                  [scale](int q) { return scale * kUneven[static_cast<size_t>(q)]; });
    }
  });
}

void dequantize_mxfp4(const uint8_t* from, int64_t blocks, float* out) {
  for_blocks<TensorEncoding::mxfp4>(from, blocks, out, [](const uint8_t* block, float* values) {
    const float half = half_scale(block[0]);
    for_nibbles(block + 1, values, [half](int q) { return half * kTwiceE2m1[static_cast<size_t>(q)]; });
  });
}

}  // namespace octoformer
