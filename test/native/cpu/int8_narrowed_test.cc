// Int8 weights few pairs of which are large, as models have them: where pairs of products are added in 16 bits, kernels
// narrow these (gemm_int8_narrowed.h), and multiply runs of k with many of them otherwise. Under every ISA of the
// machine, against the scalar reference, bit for bit.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <vector>

#include "int8_linear_testing.h"
#include "quantization/llm_int8.h"
#include "reference/effort.h"

namespace octoformer {
namespace {

using namespace testing_int8;
using namespace testing_linear;

class Int8NarrowedWeights : public Int8LinearTest {};

// Either side of what two weights may add up to, and the most they can.
constexpr int8_t kPairs[][2] = {{127, 127}, {-128, -128}, {127, 1},   {127, 2},    {1, 127},    {2, 127},
                                {-128, 0},  {-128, -1},   {-127, -1}, {-127, -2},  {0, -128},   {64, 64},
                                {65, 64},   {-64, -64},   {-64, -65}, {127, -128}, {-128, 127}, {126, 3},
                                {100, 60},  {90, 90},     {127, 101}, {-80, -70},  {-128, -99}, {-100, -127}};

/// Activations of either sign, a fifth of them as large as can be, or a pair of k of which is nearly as large in all
/// rows, so that many sums come to the edge.
Matrix activations_of(int64_t rows, int64_t columns, bool even) {
  Matrix a = reference::random_matrix(rows, columns, 1);
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t k = 0; k < columns; ++k) {
      float& value = a.values[static_cast<size_t>(row * columns + k)];
      if (even) {
        const float level = static_cast<float>(k / 2 * 37 % 256) / 127.5f - 1.0f;
        value = row % 3 == 0 ? level * value : level;
      } else if ((row * columns + k) % 5 == 0) {
        value = value < 0.0f ? -1.0f : 1.0f;
      }
    }
  }
  return a;
}

/// One in `rarity` pairs is one of kPairs, every one of the k from 1024 to 2047; others are small. None is below
/// `least`.
QuantizedMatrix weights_of(int64_t rows, int64_t columns, uint64_t rarity, int8_t least) {
  QuantizedMatrix w{rows, columns, Int8Mapping::absmax, Int8Granularity::row, {}, {}, {}};
  w.data.resize(static_cast<size_t>(rows * columns));
  w.scale.assign(static_cast<size_t>(rows), 1.0f);
  reference::Random random(static_cast<uint64_t>(rows * columns));
  for (int64_t n = 0; n < rows; ++n) {
    int8_t* row = w.data.data() + n * columns;
    for (int64_t k = 0; k < columns; k += 2) {
      const bool large = random.bits() % rarity == 0 || k / 1024 == 1;
      const auto& pair = kPairs[random.bits() % std::size(kPairs)];
      for (int64_t i = 0; i < 2 && k + i < columns; ++i) {
        const auto small = static_cast<int8_t>(random.bits() % 127 - 63);
        row[k + i] = std::max(least, large ? pair[i] : small);
      }
    }
  }
  return w;
}

TEST_P(Int8NarrowedWeights, AreTheReferenceBitForBit) {
  constexpr Shape kSizes[] = {{33, 1, 1},   {34, 17, 4},   {40, 16, 66},  {41, 35, 97},   {48, 130, 576},
                              {65, 33, 70}, {71, 20, 130}, {39, 49, 353}, {35, 19, 3300}, {80, 40, 2000}};
  for (const Shape& shape : kSizes) {
    if (!reference::tries_product(shape.rows, shape.out_features, shape.in_features)) continue;
    // Absmax, weights and activations, and all that bytes can hold.
    for (const auto mapping : {Int8Mapping::absmax, Int8Mapping::zeropoint}) {
      const int8_t least = mapping == Int8Mapping::absmax ? -127 : -128;
      Int8Settings settings;
      settings.activations = mapping;
      for (const uint64_t rarity : {1, 20, 60, 1000000}) {
        const Matrix a = activations_of(shape.rows, shape.in_features, rarity <= 20);
        const QuantizedMatrix w = weights_of(shape.out_features, shape.in_features, rarity, least);
        const GivenInt8Rows rows(w.data, std::vector<float>(static_cast<size_t>(w.rows), 127.0f));
        const auto weight =
            driver_.pack({"w", w.rows, w.columns, WeightForm::int8, ComputeType::float32, settings}, rows, nullptr);
        const std::vector<float> expected =
            scaled_int8_product(quantize(view(a), settings.activations, settings.activation_scales), w, nullptr);
        EXPECT_EQ(multiply(driver_, a, *weight).values, expected)
            << shape.rows << " x " << shape.out_features << " x " << shape.in_features << ", " << rarity;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Isas, Int8NarrowedWeights, ::testing::ValuesIn(available_isas()), IsaPrinter());

}  // namespace
}  // namespace octoformer
