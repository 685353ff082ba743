#include "formats/dequantize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "backend/half.h"
#include "formats/checkpoint_files.h"
#include "formats/tensor_encoding.h"

namespace octoformer {
namespace {

/// Through an odd address, as data lie in a file.
std::vector<float> dequantized(TensorEncoding encoding, const std::string& blocks, int64_t elements) {
  const std::string shifted = "x" + blocks;
  std::vector<float> values(static_cast<size_t>(elements));
  dequantize(encoding, reinterpret_cast<const std::byte*>(shifted.data()) + 1, elements, values.data());
  return values;
}

void expect_same_bits(std::span<const float> values, std::span<const float> expected) {
  ASSERT_EQ(values.size(), expected.size());
  for (size_t i = 0; i < values.size(); ++i) {
    ASSERT_EQ(bits_of(values[i]), bits_of(expected[i])) << i << ": " << values[i] << ", expected " << expected[i];
  }
}

class BlockFormats : public testing::TestWithParam<TensorEncodingInfo> {};

TEST_P(BlockFormats, GiveTheReferenceBits) {
  const std::shared_ptr<Checkpoint> golden = open_one((fixtures() / "gguf" / "blocks.safetensors").string());
  const std::string prefix = "blocks." + std::string(GetParam().name);
  const std::vector<float> expected = read_all(*golden, prefix + ".values");
  const std::span<const std::byte> raw = golden->bytes(golden->at(prefix + ".raw"));
  const std::string blocks(reinterpret_cast<const char*>(raw.data()), raw.size());
  const auto elements = static_cast<int64_t>(expected.size());
  ASSERT_EQ(static_cast<int64_t>(blocks.size()), elements / GetParam().block_elements * GetParam().block_bytes);
  expect_same_bits(dequantized(GetParam().encoding, blocks, elements), expected);
  // One block alone gives the same as among others.
  const int64_t block = elements / GetParam().block_elements - 1;
  expect_same_bits(dequantized(GetParam().encoding, blocks.substr(static_cast<size_t>(block * GetParam().block_bytes)),
                               GetParam().block_elements),
                   std::span(expected).last(static_cast<size_t>(GetParam().block_elements)));
}

/// Tested by their definitions below.
constexpr std::array kTableFormats = {TensorEncoding::iq4_nl, TensorEncoding::iq4_xs, TensorEncoding::mxfp4};

/// Those of which the fixture has blocks.
std::vector<TensorEncodingInfo> block_formats() {
  std::vector<TensorEncodingInfo> formats;
  for (const TensorEncodingInfo& info : kTensorEncodingTable) {
    const bool is_table = std::find(kTableFormats.begin(), kTableFormats.end(), info.encoding) != kTableFormats.end();
    if (info.block_elements > 1 && !is_table) formats.push_back(info);
  }
  return formats;
}

INSTANTIATE_TEST_SUITE_P(Gguf, BlockFormats, testing::ValuesIn(block_formats()),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(BlockFormatsTable, HasAllTen) { EXPECT_EQ(block_formats().size(), 10u); }

/// Bytes that go through all values, one after another in an order of their own.
std::string mixed_bytes(size_t count, uint32_t seed) {
  std::string bytes;
  uint32_t state = seed;
  for (size_t i = 0; i < count; ++i) {
    state = state * 1664525u + 1013904223u;
    bytes += static_cast<char>(state >> 24);
  }
  return bytes;
}

int byte_at(const std::string& bytes, size_t place) { return static_cast<uint8_t>(bytes[place]); }

/// Element `element` of 32 in 16 bytes from `first` on.
int nibble_at(const std::string& bytes, size_t first, int element) {
  const int byte = byte_at(bytes, first + static_cast<size_t>(element % 16));
  return element < 16 ? byte % 16 : byte / 16;
}

constexpr std::array<int, 16> kUnevenSteps = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

TEST(TableFormats, Iq4NlHasAScaleForThirtyTwo) {
  for (uint32_t seed = 0; seed < 50; ++seed) {
    const std::string scale = bytes_of<uint16_t>({static_cast<uint16_t>(0x2c00 + 331 * seed)});
    const std::string blocks = scale + mixed_bytes(16, seed) + scale + mixed_bytes(16, seed + 100);
    std::vector<float> expected;
    for (size_t block = 0; block < 2; ++block) {
      for (int element = 0; element < 32; ++element) {
        const int q = nibble_at(blocks, 18 * block + 2, element);
        const double d = float16_to_float(static_cast<uint16_t>(0x2c00 + 331 * seed));
        expected.push_back(static_cast<float>(d * kUnevenSteps[static_cast<size_t>(q)]));
      }
    }
    expect_same_bits(dequantized(TensorEncoding::iq4_nl, blocks, 64), expected);
  }
}

TEST(TableFormats, Iq4XsHasSixBitsOfScaleForEachGroup) {
  for (uint32_t seed = 0; seed < 50; ++seed) {
    const auto half = static_cast<uint16_t>(0x1c00 + 419 * seed);
    const std::string block = bytes_of<uint16_t>({half}) + mixed_bytes(134, seed);
    const int upper = byte_at(block, 2) + 256 * byte_at(block, 3);
    std::vector<float> expected;
    for (int element = 0; element < 256; ++element) {
      const int group = element / 32;
      const int low = byte_at(block, static_cast<size_t>(4 + group / 2)) / (group % 2 == 0 ? 1 : 16) % 16;
      const int scale = low + 16 * (upper / (1 << (2 * group)) % 4) - 32;
      const int q = nibble_at(block, static_cast<size_t>(8 + 16 * group), element % 32);
      const double d = float16_to_float(half);
      expected.push_back(static_cast<float>(d * scale * kUnevenSteps[static_cast<size_t>(q)]));
    }
    expect_same_bits(dequantized(TensorEncoding::iq4_xs, block, 256), expected);
  }
}

/// Sign, two bits of exponent with the bias 1, one of mantissa; zero has no sign in ggml.
double e2m1(int code) {
  const int exponent = code / 2 % 4;
  const double magnitude = exponent == 0 ? code % 2 / 2.0 : (1 + code % 2 / 2.0) * std::ldexp(1.0, exponent - 1);
  return code < 8 || magnitude == 0 ? magnitude : -magnitude;
}

TEST(TableFormats, Mxfp4HasAPowerOfTwoForThirtyTwo) {
  for (int exponent = 0; exponent < 255; ++exponent) {
    const std::string block = static_cast<char>(exponent) + mixed_bytes(16, static_cast<uint32_t>(exponent));
    std::vector<float> expected;
    for (int element = 0; element < 32; ++element) {
      expected.push_back(static_cast<float>(e2m1(nibble_at(block, 1, element)) * std::ldexp(1.0, exponent - 127)));
    }
    expect_same_bits(dequantized(TensorEncoding::mxfp4, block, 32), expected);
  }
}

TEST(PlainFormats, WidenEveryFloat16) {
  std::string halves;
  std::vector<float> expected;
  for (uint32_t half = 0; half < 0x10000; ++half) {
    const bool is_nan = (half & 0x7fffu) > 0x7c00u;
    if (is_nan) continue;
    halves += bytes_of<uint16_t>({static_cast<uint16_t>(half)});
    expected.push_back(float16_to_float(static_cast<uint16_t>(half)));
  }
  expect_same_bits(dequantized(TensorEncoding::f16, halves, static_cast<int64_t>(expected.size())), expected);
  // One by one: what is left of a row after its vectors goes another way.
  for (size_t i = 0; i < expected.size(); ++i) {
    expect_same_bits(dequantized(TensorEncoding::f16, halves.substr(2 * i, 2), 1), std::span(expected).subspan(i, 1));
  }
  for (const uint16_t nan : {0x7c01, 0x7e00, 0x7fff, 0xfc01, 0xfe00, 0xffff}) {
    const float value = dequantized(TensorEncoding::f16, bytes_of<uint16_t>({nan}), 1)[0];
    EXPECT_TRUE(std::isnan(value));
    EXPECT_EQ(std::signbit(value), (nan & 0x8000) != 0);
  }
}

TEST(PlainFormats, WidenEveryBfloat16) {
  std::string halves;
  std::vector<float> expected;
  for (uint32_t half = 0; half < 0x10000; ++half) {
    halves += bytes_of<uint16_t>({static_cast<uint16_t>(half)});
    expected.push_back(float_of(half << 16));
  }
  expect_same_bits(dequantized(TensorEncoding::bf16, halves, 0x10000), expected);
}

TEST(PlainFormats, GiveTheSameForAnyLength) {
  std::string halves;
  for (uint16_t i = 0; i < 67; ++i) halves += bytes_of<uint16_t>({static_cast<uint16_t>(i * 977)});
  const std::vector<float> all = dequantized(TensorEncoding::f16, halves, 67);
  for (const int64_t length : {0, 1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 33, 66}) {
    expect_same_bits(dequantized(TensorEncoding::f16, halves, length),
                     std::span(all).first(static_cast<size_t>(length)));
  }
}

TEST(PlainFormats, ConvertIntegers) {
  EXPECT_EQ(dequantized(TensorEncoding::i8, bytes_of<int8_t>({-128, -1, 0, 1, 127}), 5),
            (std::vector<float>{-128, -1, 0, 1, 127}));
  EXPECT_EQ(dequantized(TensorEncoding::u8, bytes_of<uint8_t>({0, 127, 128, 255}), 4),
            (std::vector<float>{0, 127, 128, 255}));
  // 2^24 + 1 lies halfway between two floats: nearest even.
  EXPECT_EQ(dequantized(TensorEncoding::i32, bytes_of<int32_t>({INT32_MIN, -5, 16777217, INT32_MAX}), 4),
            (std::vector<float>{-0x1p31f, -5, 16777216, 0x1p31f}));
  EXPECT_EQ(dequantized(TensorEncoding::i64, bytes_of<int64_t>({INT64_MIN, -5, 16777219, INT64_MAX}), 4),
            (std::vector<float>{-0x1p63f, -5, 16777220, 0x1p63f}));
  EXPECT_EQ(dequantized(TensorEncoding::boolean, bytes_of<uint8_t>({0, 1, 2, 255}), 4),
            (std::vector<float>{0, 1, 1, 1}));
}

TEST(PlainFormats, NarrowDoubles) {
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(dequantized(TensorEncoding::f64, bytes_of<double>({0.1, -1e-50, 0x1.000001p0, 0x1.000003p0, infinity}), 5),
            (std::vector<float>{0.1f, -0.0f, 1.0f, 0x1.000004p0f, std::numeric_limits<float>::infinity()}));
}

TEST(PlainFormats, CopyFloat32Bits) {
  const float nan = float_of(0x7f800001u);
  EXPECT_EQ(bits_of(dequantized(TensorEncoding::f32, bytes_of<float>({nan}), 1)[0]), 0x7f800001u);
}

TEST(PlainFormats, HaveNoUnsupportedOnes) {
  float out = 0;
  const std::byte byte{};
  expect_error(ErrorCode::internal, {}, [&] { dequantize(TensorEncoding::unsupported, &byte, 1, &out); });
}

}  // namespace
}  // namespace octoformer
