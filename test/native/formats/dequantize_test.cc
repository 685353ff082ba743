#include "formats/dequantize.h"

#include <gtest/gtest.h>

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

std::vector<TensorEncodingInfo> block_formats() {
  std::vector<TensorEncodingInfo> formats;
  for (const TensorEncodingInfo& info : kTensorEncodingTable) {
    if (info.block_elements > 1) formats.push_back(info);
  }
  return formats;
}

INSTANTIATE_TEST_SUITE_P(Gguf, BlockFormats, testing::ValuesIn(block_formats()),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(BlockFormatsTable, HasAllTen) { EXPECT_EQ(block_formats().size(), 10u); }

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
