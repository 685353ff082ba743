// The int8 linear op under every ISA of the machine, against the scalar reference of native/quantization, bit for bit.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "backend/error.h"
#include "int8_linear_testing.h"
#include "quantization/llm_int8.h"
#include "quantization/row_range.h"
#include "reference/effort.h"

namespace octoformer {
namespace {

using namespace testing_int8;
using namespace testing_linear;
using reference::random_matrix;

class Int8Linear : public Int8LinearTest {};

struct Scheme {
  const char* name;
  Int8Settings settings;
};

const std::vector<Scheme>& schemes() {
  constexpr auto absmax = Int8Mapping::absmax, zeropoint = Int8Mapping::zeropoint;
  constexpr auto row = Int8Granularity::row, tensor = Int8Granularity::tensor;
  constexpr auto rms = ThresholdUnit::row_rms;
  const auto scheme = [](Int8Mapping weights, Int8Granularity weight_scales, Int8Mapping activations,
                         Int8Granularity activation_scales, float threshold = 0.0f,
                         OutlierRule rule = OutlierRule::token, bool floats = false,
                         ThresholdUnit unit = ThresholdUnit::absolute) {
    Int8Settings settings;
    settings.weights = weights;
    settings.weight_scales = weight_scales;
    settings.activations = activations;
    settings.activation_scales = activation_scales;
    settings.threshold = threshold;
    settings.outliers = rule;
    settings.float_outlier_weights = floats;
    settings.threshold_unit = unit;
    return settings;
  };
  static const std::vector<Scheme> all = {
      {"absmax", scheme(absmax, tensor, absmax, tensor)},
      {"zeropoint", scheme(zeropoint, tensor, zeropoint, tensor)},
      {"row-wise", scheme(absmax, tensor, absmax, row)},
      {"vector-wise", scheme(absmax, row, absmax, row)},
      {"vector-wise zeropoint", scheme(zeropoint, row, zeropoint, row)},
      {"affine activations", scheme(absmax, row, zeropoint, row)},
      {"row-wise, decomposed", scheme(absmax, tensor, absmax, row, 2.5f, OutlierRule::column)},
      {"llm.int8 column", scheme(absmax, row, absmax, row, 2.5f, OutlierRule::column)},
      {"llm.int8 column, float", scheme(absmax, row, absmax, row, 2.5f, OutlierRule::column, true)},
      {"llm.int8 token", scheme(absmax, row, absmax, row, 2.5f)},
      {"llm.int8 token, float", scheme(absmax, row, absmax, row, 2.5f, OutlierRule::token, true)},
      {"llm.int8 zeropoint column", scheme(zeropoint, row, zeropoint, row, 2.5f, OutlierRule::column)},
      {"llm.int8 zeropoint token", scheme(zeropoint, row, zeropoint, row, 2.5f)},
      {"affine activations, token", scheme(absmax, row, zeropoint, row, 2.5f)},
      {"row-wise, whole columns", scheme(absmax, tensor, absmax, row, 2.5f, OutlierRule::whole_column)},
      {"llm.int8 whole columns, float", scheme(absmax, row, absmax, row, 2.5f, OutlierRule::whole_column, true)},
      {"llm.int8 zeropoint whole columns", scheme(zeropoint, row, zeropoint, row, 2.5f, OutlierRule::whole_column)},
      {"affine, token, row rms", scheme(absmax, row, zeropoint, row, 1.5f, OutlierRule::token, false, rms)},
      {"absmax, token, row rms", scheme(absmax, row, absmax, row, 2.5f, OutlierRule::token, false, rms)},
      {"zero points, token, row rms", scheme(zeropoint, row, zeropoint, row, 2.0f, OutlierRule::token, false, rms)},
      {"token, row rms, float", scheme(absmax, row, zeropoint, row, 2.0f, OutlierRule::token, true, rms)},
      {"column, row rms", scheme(absmax, row, absmax, row, 2.0f, OutlierRule::column, false, rms)},
      {"every entry an outlier", scheme(absmax, row, absmax, row, std::numeric_limits<float>::denorm_min())},
  };
  return all;
}

/// What native/quantization makes of it.
Matrix expected_product(const Matrix& a, const Matrix& w, const float* bias, const Int8Settings& settings) {
  const QuantizedMatrix qw = quantize(view(w), settings.weights, settings.weight_scales);
  Matrix out(a.rows, w.rows);
  if (settings.threshold > 0.0f) {
    const LlmInt8Options options = reference_options(settings);
    out.values =
        llm_int8_product(view(a), qw, settings.float_outlier_weights ? w.values.data() : nullptr, bias, options);
  } else {
    out.values = scaled_int8_product(quantize(view(a), settings.activations, settings.activation_scales), qw, bias);
  }
  return out;
}

/// Equal numbers; a zero's sign may differ (the reference adds an empty outlier sum), and NaN equals NaN.
testing::AssertionResult equal(const Matrix& a, const Matrix& b) {
  if (a.values.size() != b.values.size()) return testing::AssertionFailure() << "sizes differ";
  for (size_t i = 0; i < a.values.size(); ++i) {
    if (a.values[i] == b.values[i] || (std::isnan(a.values[i]) && std::isnan(b.values[i]))) continue;
    return testing::AssertionFailure() << "at " << i << ": " << a.values[i] << " and " << b.values[i];
  }
  return testing::AssertionSuccess();
}

TEST_P(Int8Linear, EverySchemeIsTheReferenceBitForBit) {
  for (const Shape& shape : kShapes) {
    if (!reference::tries_product(shape.rows, shape.out_features, shape.in_features)) continue;
    Matrix a = random_matrix(shape.rows, shape.in_features, 1);
    for (size_t i = 0; i < a.values.size(); ++i) {
      // A fifth of them reaches the threshold of 2.5, a few any threshold in root mean squares.
      a.values[i] = (i % 41 == 7 ? 30.0f : 3.0f) * a.values[i] + 0.2f;
    }
    const Matrix w = random_matrix(shape.out_features, shape.in_features, 2);
    const Matrix bias = random_matrix(1, shape.out_features, 3);
    for (const Scheme& scheme : schemes()) {
      const auto weight = pack(w, scheme.settings);
      EXPECT_TRUE(equal(multiply(driver_, a, *weight, bias.values.data()),
                        expected_product(a, w, bias.values.data(), scheme.settings)))
          << scheme.name << ": " << shape.rows << " x " << shape.out_features << " x " << shape.in_features;
    }
  }
}

// Few rows and many take different kernels; threads, blocks and tiles of outliers cut elsewhere. Nothing of it may show
// where rows are independent.
TEST_P(Int8Linear, ARowHasTheSameBitsAloneInAnyBatchAndOnAnyThreads) {
  for (const int64_t features : {600, 1111}) {  // threads share a few rows by one or by several of them
    if (reference::slow() && features > 600) continue;
    Matrix a = random_matrix(45, features, 5);
    for (int64_t m = 0; m < a.rows; ++m) {
      for (int64_t k = m % 3; k < a.columns; k += 97) a.at(m, k) *= 40.0f;  // other outliers in every third row
    }
    const Matrix w = random_matrix(203, features, 6), bias = random_matrix(1, 203, 7);
    for (const Scheme& scheme : schemes()) {
      if (scheme.settings.looks_across_rows()) continue;
      Int8LinearDriver alone(table_.int8, 1), crowd(table_.int8, 5);
      const auto weight = pack(w, scheme.settings);
      const Matrix all = multiply(driver_, a, *weight, bias.values.data());
      EXPECT_TRUE(same_bits(all, multiply(alone, a, *weight, bias.values.data()))) << scheme.name;
      EXPECT_TRUE(same_bits(all, multiply(crowd, a, *weight, bias.values.data()))) << scheme.name;
      for (int64_t rows : {2, 3, 6, 7, 16, 17, 33}) {
        Matrix part(rows, a.columns), expected(rows, w.rows);
        std::memcpy(part.values.data(), a.values.data(), part.values.size() * sizeof(float));
        std::memcpy(expected.values.data(), all.values.data(), expected.values.size() * sizeof(float));
        EXPECT_TRUE(same_bits(multiply(driver_, part, *weight, bias.values.data()), expected)) << scheme.name << rows;
        EXPECT_TRUE(same_bits(multiply(crowd, part, *weight, bias.values.data()), expected)) << scheme.name << rows;
      }
      for (int64_t row = 0; row < a.rows; row += reference::slow() ? 7 : 1) {
        ASSERT_TRUE(same_bits(multiply(driver_, row_of(a, row), *weight, bias.values.data()), row_of(all, row)))
            << scheme.name << ", row " << row;
      }
    }
  }
}

// The weight that came next the last time is fetched while its predecessor is multiplied, there or not.
TEST_P(Int8Linear, AWeightMayBeGoneWhenItIsFetchedAhead) {
  const Matrix a = random_matrix(3, 512, 8), w = random_matrix(1030, 512, 9);  // enough bytes for several threads
  const auto stays = pack(w, {});
  const Matrix expected = multiply(driver_, a, *stays);
  for (int round = 0; round < 3; ++round) {
    const auto goes = pack(random_matrix(1030 + round, 512, 10), {});
    for (int again = 0; again < 2; ++again) {
      EXPECT_TRUE(same_bits(multiply(driver_, a, *stays), expected));
      multiply(driver_, a, *goes);
    }
  }
  EXPECT_TRUE(same_bits(multiply(driver_, a, *stays), expected));
}

TEST_P(Int8Linear, ZerosNaNAndInfinitiesAreTheReferences) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity(), kNaN = std::numeric_limits<float>::quiet_NaN();
  Matrix a = random_matrix(9, 70, 8), w = random_matrix(33, 70, 9);
  for (int64_t k = 0; k < 70; ++k) a.at(1, k) = 0.0f, w.at(2, k) = 0.0f, a.at(7, k) = 1e-42f;
  a.at(3, 5) = kNaN;
  a.at(4, 69) = kInfinity;
  a.at(5, 0) = -kInfinity;
  a.at(6, 1) = 3e38f, a.at(6, 2) = -3e38f;  // the affine range overflows
  for (const Scheme& scheme : schemes()) {
    const auto weight = pack(w, scheme.settings);
    EXPECT_TRUE(equal(multiply(driver_, a, *weight), expected_product(a, w, nullptr, scheme.settings))) << scheme.name;
  }
}

// What docs/quantization.md says of activations that are not finite.
TEST_P(Int8Linear, WhatIsNotFiniteStaysInItsRow) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity(), kNaN = std::numeric_limits<float>::quiet_NaN();
  const Matrix clean = random_matrix(20, 70, 41), w = random_matrix(33, 70, 42);
  Matrix a = clean;
  a.at(3, 5) = kNaN;
  a.at(17, 69) = kInfinity;
  for (const Scheme& scheme : schemes()) {
    const auto weight = pack(w, scheme.settings);
    const Matrix out = multiply(driver_, a, *weight), expected = multiply(driver_, clean, *weight);
    const bool all = scheme.settings.activation_scales == Int8Granularity::tensor;
    const bool shares_columns = scheme.settings.looks_across_rows();
    for (int64_t m = 0; m < a.rows; ++m) {
      for (int64_t n = 0; n < w.rows; ++n) {
        const float y = out.at(m, n);
        if (all || m == 3) {
          ASSERT_TRUE(std::isnan(y)) << scheme.name << ", row " << m;
        } else if (m == 17 && scheme.settings.threshold > 0.0f) {  // an outlier, multiplied in float
          ASSERT_FALSE(std::isfinite(y)) << scheme.name;
          ASSERT_TRUE(std::isnan(y) || (y > 0.0f) == (w.at(n, 69) > 0.0f)) << scheme.name;
        } else if (m == 17) {
          ASSERT_TRUE(std::isnan(y)) << scheme.name;
        } else if (!shares_columns) {
          ASSERT_EQ(y, expected.at(m, n)) << scheme.name << ", row " << m;
        } else {
          ASSERT_TRUE(std::isfinite(y)) << scheme.name << ", row " << m;
        }
      }
    }
  }
}

// The largest magnitudes that bytes can have, at the largest K: sums of nearly 2^31.
TEST_P(Int8Linear, ExtremesAtTheLargestDepthAreExact) {
  constexpr int64_t kDepth = kLargestInt8Depth;
  for (const int8_t extreme : {int8_t{-128}, int8_t{-127}, int8_t{127}}) {
    const GivenInt8Rows rows(std::vector<int8_t>(static_cast<size_t>(2 * kDepth), extreme), {127.0f, 127.0f});
    Int8Settings settings;
    settings.activations = Int8Mapping::zeropoint;
    const auto weight = driver_.pack({"w", 2, kDepth, WeightForm::int8, ComputeType::float32, settings}, rows, nullptr);
    for (const float value : {1.0f, -1.0f}) {  // all of the range's steps: 255 above the zero point, or below
      for (const int64_t rows : {1, 7, 33}) {
        Matrix a(rows, kDepth);
        std::fill(a.values.begin(), a.values.end(), value);
        const float expected = static_cast<float>(255 * kDepth * extreme) * (value / 255.0f);
        const Matrix out = multiply(driver_, a, *weight);
        for (const float y : out.values) ASSERT_EQ(y, expected) << static_cast<int>(extreme) << ", " << rows;
      }
    }
  }
}

// Outliers of as many steps as there can be, one a row or thousands of one sign, at the largest K.
TEST_P(Int8Linear, IntegersOfOutliersAtTheLargestDepthAreExact) {
  constexpr int64_t kDepth = kLargestInt8Depth;
  Int8Settings settings;
  settings.activations = Int8Mapping::zeropoint;
  settings.threshold = 2.0f;
  settings.threshold_unit = ThresholdUnit::row_rms;
  settings.count_outliers = true;
  QuantizedMatrix w{2, kDepth, Int8Mapping::absmax, Int8Granularity::row, {}, {1.0f, 1.0f}, {}};
  w.data.assign(static_cast<size_t>(2 * kDepth), -128);
  for (int64_t k = 0; k < kDepth; ++k) w.data[static_cast<size_t>(kDepth + k)] = k % 3 == 0 ? 127 : -127;
  Matrix a(17, kDepth);
  for (int64_t m = 0; m < a.rows; ++m) {
    const float sign = m % 2 == 0 ? 1.0f : -1.0f;
    for (int64_t k = 0; k < kDepth; ++k) a.at(m, k) = sign * (m < 4 ? 0.0f : m < 8 ? 1e-4f : 0.2f);
    if (m < 8) {
      a.at(m, m * 8224) = (m % 3 == 0 ? -1.0f : 1.0f) * 3.0f;
    } else {
      for (int64_t k = m; k < kDepth; k += m) a.at(m, k) = sign * 5.0f;
    }
  }
  const LlmInt8Options options = reference_options(settings);
  const std::vector<float> expected = llm_int8_product(view(a), w, nullptr, nullptr, options);
  const std::vector<int32_t> integers = quantize_llm_int8(view(a), options).integers;
  EXPECT_GT(*std::max_element(integers.begin(), integers.end()), 26000);
  EXPECT_LT(*std::min_element(integers.begin(), integers.end()), -26000);
  const GivenInt8Rows rows(w.data, {127.0f, 127.0f});
  const auto weight = driver_.pack({"w", 2, kDepth, WeightForm::int8, ComputeType::float32, settings}, rows, nullptr);
  EXPECT_EQ(multiply(driver_, a, *weight).values, expected);
  const OutlierCounts counts = weight->outlier_counts();
  EXPECT_EQ(counts.rows, 17u);
  EXPECT_EQ(counts.entries_by_feature[8224], 3u);  // of rows 1, 8 and 16
  for (int64_t m = 0; m < a.rows; m += 5) {
    const Matrix alone = multiply(driver_, row_of(a, m), *weight);
    EXPECT_TRUE(std::equal(alone.values.begin(), alone.values.end(), expected.begin() + 2 * m)) << m;
  }
}

// With zero points on both sides each factor reaches 255 steps: sums of 2^31 - 33,023.
TEST_P(Int8Linear, ExtremesAtTheLargestAffineDepthAreExact) {
  constexpr int64_t kDepth = kLargestAffineInt8Depth;
  Int8Settings settings;
  settings.weights = settings.activations = Int8Mapping::zeropoint;
  Matrix w(3, kDepth);
  for (int64_t k = 0; k < kDepth; ++k) w.at(0, k) = 1.0f, w.at(1, k) = -1.0f, w.at(2, k) = k % 2 == 0 ? 1.0f : 0.0f;
  const auto weight = pack(w, settings);
  for (const float value : {1.0f, -1.0f}) {
    for (const int64_t rows : {1, 33}) {
      Matrix a(rows, kDepth);
      std::fill(a.values.begin(), a.values.end(), value);
      const Matrix out = multiply(driver_, a, *weight);
      constexpr float kStep = 1.0f / 255.0f;
      for (int64_t m = 0; m < rows; ++m) {
        EXPECT_EQ(out.at(m, 0), value * static_cast<float>(kDepth * 255 * 255) * kStep * kStep) << rows;
        EXPECT_EQ(out.at(m, 1), -value * static_cast<float>(kDepth * 255 * 255) * kStep * kStep) << rows;
        EXPECT_EQ(out.at(m, 2), value * static_cast<float>((kDepth + 1) / 2 * 255 * 255) * kStep * kStep) << rows;
      }
    }
  }
  try {
    pack(random_matrix(1, kDepth + 1, 20), settings);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
    EXPECT_NE(std::string(error.what()).find("test.weight: in_features 33026 exceeds 33025"), std::string::npos)
        << error.what();
  }
}

TEST_P(Int8Linear, BeyondTheLargestDepthIsRefusedByName) {
  const Matrix w = random_matrix(1, kLargestInt8Depth + 1, 10);
  try {
    pack(w, {});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
    EXPECT_NE(std::string(error.what()).find("test.weight: in_features 65794 exceeds 65793"), std::string::npos);
  }
}

TEST_P(Int8Linear, AWeightThatIsNotFiniteIsRefusedByName) {
  Matrix w = random_matrix(70, 70, 11);
  w.at(66, 3) = std::numeric_limits<float>::quiet_NaN();
  try {
    pack(w, {});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_checkpoint);
    EXPECT_NE(std::string(error.what()).find("[66, 3]"), std::string::npos) << error.what();
  }
}

TEST_P(Int8Linear, PackedRowsReadBackAreTheReferences) {
  const Matrix w = random_matrix(67, 131, 12);
  for (const Scheme& scheme : schemes()) {
    const QuantizedMatrix expected = quantize(view(w), scheme.settings.weights, scheme.settings.weight_scales);
    const Int8Rows rows = pack(w, scheme.settings)->int8_rows(3, 60);
    EXPECT_TRUE(std::equal(rows.values.begin(), rows.values.end(), expected.row(3))) << scheme.name;
    for (size_t n = 0; n < 60; ++n) {
      EXPECT_EQ(rows.scale[n], expected.row_scale(static_cast<int64_t>(n) + 3));
      EXPECT_EQ(rows.zero_point.empty() ? 0 : rows.zero_point[n], expected.row_zero_point(static_cast<int64_t>(n) + 3));
    }
  }
}

TEST_P(Int8Linear, QuantizedCheckpointsAreTakenAsTheyAre) {
  const Matrix w = random_matrix(19, 45, 13), a = random_matrix(3, 45, 14);
  const QuantizedMatrix quantized = quantize(view(w), Int8Mapping::absmax, Int8Granularity::row);
  std::vector<float> absmax(19, 0.0f);
  for (int64_t n = 0; n < 19; ++n) {
    for (int64_t k = 0; k < 45; ++k)
      absmax[static_cast<size_t>(n)] = std::max(absmax[static_cast<size_t>(n)], std::fabs(w.at(n, k)));
  }
  const auto taken = driver_.pack(describe(w, {}), GivenInt8Rows(quantized.data, absmax), nullptr);
  EXPECT_EQ(taken->int8_rows(0, 19).values, quantized.data);
  EXPECT_TRUE(same_bits(multiply(driver_, a, *taken), multiply(driver_, a, *pack(w, {}))));
}

// Calibrated features leave the int8 part and its ranges, in every row; their weights are bfloat16.
TEST_P(Int8Linear, CalibratedFeaturesAreMultipliedInFloat) {
  const Matrix a = random_matrix(21, 130, 15), w = random_matrix(35, 130, 16);
  Int8Settings settings;
  settings.outlier_features = {0, 63, 64, 129};
  settings.count_outliers = true;
  Matrix rest = a;
  for (int64_t m = 0; m < a.rows; ++m) {
    for (const int64_t k : settings.outlier_features) rest.at(m, k) = 0.0f;
  }
  Matrix expected = expected_product(rest, w, nullptr, {});
  for (int64_t m = 0; m < a.rows; ++m) {
    for (int64_t n = 0; n < w.rows; ++n) {
      float sum = 0.0f;
      for (const int64_t k : settings.outlier_features) {
        sum = std::fma(a.at(m, k), bfloat16_to_float(float_to_bfloat16(w.at(n, k))), sum);
      }
      expected.at(m, n) += sum;
    }
  }
  const auto weight = pack(w, settings);
  EXPECT_TRUE(equal(multiply(driver_, a, *weight), expected));
  const OutlierCounts counts = weight->outlier_counts();
  EXPECT_EQ(counts.rows, 21u);
  EXPECT_EQ(counts.entries_by_feature[63], 21u);
  EXPECT_EQ(counts.entries_by_feature[62], 0u);
}

TEST_P(Int8Linear, EmbeddingsAreDequantizedRows) {
  for (const int64_t columns : {1, 35, 64, 1023, 1024, 2100}) {
    const Matrix w = random_matrix(67, columns, 19);
    for (const Int8Mapping mapping : {Int8Mapping::absmax, Int8Mapping::zeropoint}) {
      Int8Settings settings;
      settings.weights = mapping;
      const auto table = pack(w, settings);
      const std::vector<float> expected = dequantize(quantize(view(w), mapping, Int8Granularity::row));
      const std::vector<int32_t> indices = {66, 0, 5};
      Matrix out(3, columns);
      driver_.embedding({indices, table.get(), 1.0f, false, view(out)});
      for (int64_t i = 0; i < 3; ++i) {
        for (int64_t k = 0; k < columns; ++k) {
          ASSERT_EQ(out.at(i, k), expected[static_cast<size_t>(indices[static_cast<size_t>(i)] * columns + k)])
              << columns << " columns, " << i << ", " << k;
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Isas, Int8Linear, ::testing::ValuesIn(available_isas()), IsaPrinter());

}  // namespace
}  // namespace octoformer
