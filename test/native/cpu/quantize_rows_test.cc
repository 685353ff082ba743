// The kernels that rows are quantized with against native/quantization, bit for bit, under every ISA.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "cpu/isa.h"
#include "cpu/isa_dispatch.h"
#include "quantization/row_range.h"
#include "reference/effort.h"
#include "reference/random.h"

namespace octoformer {
namespace {

using reference::Random;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr int64_t kCounts[] = {0, 1, 3, 4, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 131, 576, 1000, 8193, 9000};

void expect_range(const RowScan& found, const ValueRange& range, const std::string& where) {
  EXPECT_EQ(found.finite, range.finite) << where;
  if (!range.finite) return;  // such a row has no grid
  EXPECT_EQ(found.low, range.low) << where;
  EXPECT_EQ(found.high, range.high) << where;
}

/// What one row must give, with outliers beyond `below`.
void expect_scan(const Int8Kernels& kernels, const std::vector<float>& x, float below, const std::string& where) {
  const auto count = static_cast<int64_t>(x.size());
  ValueRange whole, rest;
  std::vector<int32_t> expected;
  for (size_t k = 0; k < x.size(); ++k) {
    whole.include(x[k]);
    if (std::fabs(x[k]) > below) {
      expected.push_back(static_cast<int32_t>(k));
    } else {
      rest.include(x[k]);
    }
  }
  RowScan found;
  std::vector<RowPart> parts(static_cast<size_t>(row_parts(count)));
  kernels.scan_row(x.data(), count, parts.data(), &found);
  expect_range(found, whole, where);
  const float squares = sum_of_squares(x.data(), count);
  EXPECT_TRUE(found.squares == squares || (std::isnan(found.squares) && std::isnan(squares)))
      << where << ": " << found.squares << " instead of " << squares;
  std::vector<int32_t> outliers(x.size() + 1, -1);
  const int64_t number = kernels.scan_outliers(x.data(), count, below, parts.data(), outliers.data(), &found);
  expect_range(found, rest, where + ", without outliers");
  EXPECT_EQ(outliers.back(), -1) << where << ": wrote past the end";
  outliers.resize(static_cast<size_t>(number));
  EXPECT_EQ(outliers, expected) << where;
}

TEST(QuantizeRows, RangesSquaresAndOutliersAreTheReferences) {
  for (const Isa isa : available_isas()) {
    const Int8Kernels& kernels = kernel_table(isa).int8;
    for (const int64_t count : kCounts) {
      Random random(static_cast<uint64_t>(61 + count));
      const std::vector<float> x = random.vector(count, -3.0f, 3.0f);
      const std::string where = std::string(isa_name(isa)) + ", " + std::to_string(count) + " columns";
      expect_scan(kernels, x, 2.5f, where);
      expect_scan(kernels, x, 0.0f, where + ", all outliers");
      expect_scan(kernels, x, 100.0f, where + ", no outliers");
      for (const float special : {kInfinity, -kInfinity, kNaN, 3e38f, 1e-42f, -0.0f}) {
        for (const int64_t place : {int64_t{0}, count / 2, count - 1}) {
          if (count == 0) continue;
          std::vector<float> with = x;
          with[static_cast<size_t>(place)] = special;
          expect_scan(kernels, with, 2.5f, where + ", " + std::to_string(special) + " at " + std::to_string(place));
        }
      }
      // Squares that overflow or vanish say nothing about the values.
      expect_scan(kernels, std::vector<float>(static_cast<size_t>(count), 1e30f), 1e31f, where + ", large");
      expect_scan(kernels, std::vector<float>(static_cast<size_t>(count), -1e-30f), 1.0f, where + ", small");
    }
  }
}

/// Bytes of the row, as they lie in runs `stride` apart, must be the grid's; what lies between stays.
void expect_bytes(const Int8Kernels& kernels, const std::vector<float>& x, const Int8Grid& grid, const char* where) {
  constexpr uint8_t kUntouched = 0xa5;
  for (const int64_t stride : {kByteRun, int64_t{1024}}) {
    for (const uint8_t flip : {uint8_t{0}, uint8_t{0x80}}) {
      std::vector<uint8_t> out((x.size() / kByteRun + 1) * static_cast<size_t>(stride), kUntouched), expected = out;
      for (size_t k = 0; k < x.size(); ++k) {
        expected[k / kByteRun * static_cast<size_t>(stride) + k % kByteRun] =
            static_cast<uint8_t>(static_cast<uint8_t>(grid.quantize(x[k])) ^ flip);
      }
      kernels.quantize_row(x.data(), static_cast<int64_t>(x.size()),
                           {grid.multiplier, grid.step, grid.zero_point, grid.least, flip}, out.data(), stride);
      for (size_t i = 0; i < out.size(); ++i) {
        ASSERT_EQ(out[i], expected[i]) << where << ", byte " << i << " of " << x.size() << " at a stride of " << stride
                                       << ", step " << grid.step;
      }
    }
  }
}

TEST(QuantizeRows, BytesAreTheReferences) {
  for (const Isa isa : available_isas()) {
    const Int8Kernels& kernels = kernel_table(isa).int8;
    for (const int64_t count : kCounts) {
      // Up to where ranges overflow, and down to steps whose reciprocals and remainders are not to be had.
      for (const float size : {1.0f, 3e-4f, 1e30f, 1.5e38f, 1e-27f, 1e-30f, 1e-35f, 4e-37f}) {
        Random random(static_cast<uint64_t>(71 + count));
        std::vector<float> x = random.vector(count, -1.0f, 2.0f);
        ValueRange range;
        for (float& value : x) range.include(value *= size);
        for (const Int8Mapping mapping : {Int8Mapping::absmax, Int8Mapping::zeropoint}) {
          const Int8Grid grid = int8_grid(range, mapping);
          if (grid.scale > 0.0f) expect_bytes(kernels, x, grid, isa_name(isa).data());
        }
      }
    }
  }
}

/// Quotients beside ties are where a rounding more or less than the division's shows.
TEST(QuantizeRows, QuotientsBesideTiesAreRoundedAsADivisionRoundsThem) {
  Random random(83);
  for (const float size : {1.0f, 0x1p-99f, 0x1p-101f, 0x1p90f}) {
    for (const float low : random.vector(reference::slow() ? 9 : 60, -3.0f, 0.0f)) {
      const ValueRange range{low * size, (low + 2.5f) * size, true};
      const Int8Grid grid = int8_grid(range, Int8Mapping::zeropoint);
      std::vector<float> x;
      for (int n = -128 - grid.zero_point; n < 127 - grid.zero_point; ++n) {
        float value = (static_cast<float>(n) + 0.5f) * grid.step;
        for (int i = 0; i < 3; ++i) value = std::nextafter(value, -kInfinity);
        for (int i = 0; i < 7; ++i, value = std::nextafter(value, kInfinity)) x.push_back(value);
      }
      for (const Isa isa : available_isas()) {
        expect_bytes(kernel_table(isa).int8, x, grid, isa_name(isa).data());
      }
    }
  }
}

/// The same for steps whose mantissas lie where kernels begin to divide, or stop.
TEST(QuantizeRows, StepsNearRoundNumbersDivideToo) {
  for (const uint32_t mantissa : {0x0u, 0x1u, 0x7u, 0x8u, 0x9u, 0xfff7u, 0xfff8u, 0xfff9u, 0xffffu, 0x12348u, 0x7f0008u,
                                  0x7efff7u, 0x7fffffu, 0x7ffff8u, 0x7ffff7u, 0x400000u, 0x555555u}) {
    const float step = std::bit_cast<float>(0x3c000000u + mantissa);
    for (const int32_t zero_point : {-128, -3, 127}) {
      const Int8Grid grid{.scale = step, .step = step, .zero_point = zero_point, .least = -128};
      std::vector<float> x;
      for (int n = -300; n < 300; ++n) {
        float value = (static_cast<float>(n) + 0.5f) * step;
        for (int i = 0; i < 2; ++i) value = std::nextafter(value, -kInfinity);
        for (int i = 0; i < 5; ++i, value = std::nextafter(value, kInfinity)) x.push_back(value);
      }
      for (const Isa isa : available_isas()) expect_bytes(kernel_table(isa).int8, x, grid, isa_name(isa).data());
    }
  }
}

}  // namespace
}  // namespace octoformer
