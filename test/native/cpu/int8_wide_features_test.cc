// Int8 weights whose widest features are kept in bfloat16 (Int8Settings::wide_features), under every ISA of the
// machine, against the scalar reference, bit for bit.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "backend/error.h"
#include "backend/half.h"
#include "int8_linear_testing.h"
#include "quantization/llm_int8.h"

namespace octoformer {
namespace {

using namespace testing_int8;
using namespace testing_linear;
using reference::random_matrix;

class Int8WideFeatures : public Int8LinearTest {};

/// The rows of `w`, whose columns 5, 64 and 131 hold the largest numbers.
Matrix wide_matrix(int64_t rows, uint64_t seed) {
  Matrix w = random_matrix(rows, 133, seed);
  for (int64_t n = 0; n < rows; ++n) {
    for (const int64_t k : {5, 64, 131}) w.at(n, k) = 9.0f * w.at(n, k) + (n % 2 == 0 ? 1.0f : -1.0f);
  }
  return w;
}

// Wide features leave the int8 part, its ranges and the scales of the weights; outliers stay integers beside them.
TEST_P(Int8WideFeatures, AreMultipliedInFloat) {
  const std::vector<int64_t> wide = {5, 64, 131};
  Int8Settings settings;
  settings.activations = Int8Mapping::zeropoint;
  settings.threshold = 1.5f;
  settings.threshold_unit = ThresholdUnit::row_rms;
  settings.wide_features = 3;
  const LlmInt8Options options = reference_options(settings);
  for (const int64_t rows : {1, 7, 21, 70}) {
    Matrix a = random_matrix(rows, 133, 20);
    for (int64_t m = 0; m < rows; ++m) a.at(m, 7 * m % 133) *= 20.0f;
    const Matrix w = wide_matrix(67, 21);
    Matrix rest = a, rest_weights = w;
    for (const int64_t k : wide) {
      for (int64_t m = 0; m < rows; ++m) rest.at(m, k) = 0.0f;
      for (int64_t n = 0; n < w.rows; ++n) rest_weights.at(n, k) = 0.0f;
    }
    const QuantizedMatrix quantized = quantize(view(rest_weights), Int8Mapping::absmax, Int8Granularity::row);
    Matrix expected(rows, w.rows);
    expected.values = llm_int8_product(view(rest), quantized, nullptr, nullptr, options);
    for (int64_t m = 0; m < rows; ++m) {
      for (int64_t n = 0; n < w.rows; ++n) {
        float sum = -0.0f;
        for (const int64_t k : wide) {
          sum = std::fma(a.at(m, k), bfloat16_to_float(float_to_bfloat16(w.at(n, k))), sum);
        }
        expected.at(m, n) += sum;
      }
    }
    const auto weight = pack(w, settings);
    EXPECT_TRUE(std::ranges::equal(weight->kept_features(), wide));
    EXPECT_EQ(multiply(driver_, a, *weight).values, expected.values) << rows << " rows";  // but for signs of zeros
    Int8LinearDriver one(table_.int8, 1);
    for (int64_t m = 0; m < rows; ++m) {
      Matrix alone(1, a.columns);
      std::copy_n(a.values.data() + m * a.columns, a.columns, alone.values.data());
      const Matrix out = multiply(one, alone, *weight);
      EXPECT_TRUE(std::equal(out.values.begin(), out.values.end(), expected.values.data() + m * w.rows));
    }
  }
}

// Rows side by side with the same features are multiplied together, by weights that the next ones may have in common.
TEST_P(Int8WideFeatures, AreOfTheRowsThatHaveThem) {
  Int8Settings settings;
  settings.threshold = 6.0f;
  const Matrix w = random_matrix(67, 133, 31);
  const QuantizedMatrix quantized = quantize(view(w), Int8Mapping::absmax, Int8Granularity::row);
  const auto weight = pack(w, settings);
  for (const int64_t rows : {4, 39, 70}) {
    for (const int64_t together : {1, 3, 4, 8, 16}) {
      Matrix a = random_matrix(rows, 133, 32);
      for (int64_t m = 0; m < rows; ++m) {
        const int64_t run = m / together % 3;  // as many features in each, not the same ones; some rows have one more
        for (const int64_t k : {run, 40 + run / 2, int64_t{132}}) a.at(m, k) = a.at(m, k) < 0.0f ? -7.5f : 20.0f;
        if (m % 29 == 28) a.at(m, 90) = 6.25f;
      }
      const std::vector<float> expected =
          llm_int8_product(view(a), quantized, nullptr, nullptr, reference_options(settings));
      EXPECT_EQ(multiply(driver_, a, *weight).values, expected) << rows << " rows, " << together << " together";
    }
  }
}

TEST_P(Int8WideFeatures, OfATableAreTheirOwnNumbers) {
  const Matrix w = wide_matrix(300, 22);
  Int8Settings settings;
  settings.wide_features = 3;
  const auto table = pack(w, settings);
  Matrix rest = w;
  for (int64_t n = 0; n < w.rows; ++n) {
    for (const int64_t k : {5, 64, 131}) rest.at(n, k) = 0.0f;
  }
  const std::vector<float> small = dequantize(quantize(view(rest), Int8Mapping::absmax, Int8Granularity::row));
  const std::vector<int32_t> indices = {299, 0, 65, 130};
  Matrix out(4, 133);
  for (int64_t i = 0; i < 4; ++i) {
    for (int64_t k = 0; k < 133; ++k) out.at(i, k) = 1.0f;
  }
  driver_.embedding({indices, table.get(), 0.5f, true, view(out)});
  for (int64_t i = 0; i < 4; ++i) {
    const int64_t row = indices[static_cast<size_t>(i)];
    for (int64_t k = 0; k < 133; ++k) {
      const bool is_wide = k == 5 || k == 64 || k == 131;
      const float value =
          is_wide ? bfloat16_to_float(float_to_bfloat16(w.at(row, k))) : small[static_cast<size_t>(row * 133 + k)];
      EXPECT_EQ(out.at(i, k), 1.0f + value * 0.5f) << row << ", " << k;
    }
  }
}

TEST_P(Int8WideFeatures, AreOneIn32AtMostOrThoseThatAreGiven) {
  Int8Settings settings;
  settings.wide_features = 16;
  EXPECT_EQ(pack(wide_matrix(9, 23), settings)->kept_features().size(), 4u);  // of 133
  EXPECT_TRUE(pack(random_matrix(9, 31, 24), settings)->kept_features().empty());
  EXPECT_TRUE(pack(random_matrix(0, 64, 25), settings)->int8_rows(0, 0).values.empty());
  // Equal columns: the first ones.
  Matrix equal_columns(3, 64);
  for (float& value : equal_columns.values) value = 0.5f;
  EXPECT_TRUE(std::ranges::equal(pack(equal_columns, settings)->kept_features(), std::vector<int64_t>{0, 1}));
  const Matrix w = wide_matrix(67, 26), a = random_matrix(5, 133, 27);
  settings.wide_features = 3;
  const auto chosen = pack(w, settings);
  settings.outlier_features = {5, 64, 131};
  EXPECT_TRUE(same_bits(multiply(driver_, a, *pack(w, settings)), multiply(driver_, a, *chosen)));
  settings.weights = Int8Mapping::zeropoint;
  EXPECT_THROW(pack(w, settings), Error);
}

TEST_P(Int8WideFeatures, ComeBackWithThePackedArrays) {
  const Matrix w = wide_matrix(67, 28), a = random_matrix(5, 133, 29);
  Int8Settings settings;
  settings.wide_features = 3;
  const auto packed = pack(w, settings);
  const auto sections = packed->sections();
  const auto adopted = Int8Weight::adopt(table_.int8, describe(w, settings), WeightStorage(sections, nullptr));
  ASSERT_NE(adopted, nullptr);
  EXPECT_TRUE(std::ranges::equal(adopted->kept_features(), packed->kept_features()));
  EXPECT_TRUE(same_bits(multiply(driver_, a, *adopted), multiply(driver_, a, *packed)));
  // Of another number of them, or with places beyond the last feature: not that weight.
  settings.wide_features = 2;
  EXPECT_EQ(Int8Weight::adopt(table_.int8, describe(w, settings), WeightStorage(sections, nullptr)), nullptr);
  settings.wide_features = 3;
  auto damaged = sections;
  const std::vector<int64_t> beyond = {5, 64, 133};
  for (auto& section : damaged) {
    if (section.size() == 3 * sizeof(int64_t)) section = std::as_bytes(std::span(beyond));
  }
  EXPECT_EQ(Int8Weight::adopt(table_.int8, describe(w, settings), WeightStorage(damaged, nullptr)), nullptr);
}

INSTANTIATE_TEST_SUITE_P(Isas, Int8WideFeatures, ::testing::ValuesIn(available_isas()), IsaPrinter());

}  // namespace
}  // namespace octoformer
