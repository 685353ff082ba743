// The schemes against values worked by hand (from the paper and its companion article) and in awkward cases.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "backend/error.h"
#include "quantization/llm_int8.h"
#include "quantization/quantized_matrix.h"
#include "quantization/row_range.h"

namespace octoformer {
namespace {

ConstMatrixView view(const std::vector<float>& values, int64_t rows) {
  const int64_t columns = rows == 0 ? 0 : static_cast<int64_t>(values.size()) / rows;
  return {values.data(), rows, columns, columns};
}

QuantizedMatrix absmax(const std::vector<float>& values, int64_t rows = 1) {
  return quantize(view(values, rows), Int8Mapping::absmax, Int8Granularity::row);
}

TEST(Absmax, WorkedExampleOfTheArticle) {
  // 0.1 with maximum 3.2: round(0.1 * 127 / 3.2) = 4, and back 4 * 3.2 / 127 = 0.1008.
  const QuantizedMatrix q = absmax({0.1f, -3.2f, 3.2f});
  EXPECT_EQ(q.data, (std::vector<int8_t>{4, -127, 127}));
  EXPECT_NEAR(dequantize(q)[0], 0.1008f, 5e-5f);
}

TEST(Absmax, GroupsHaveScalesOfTheirOwn) {
  // Groups of two, the last of each row has one: 127ths of 12.7, 2.54 and 1.27, then of 25.4, 0 and 127.
  const std::vector<float> values = {0.1f, -12.7f, 2.54f, 0.02f, 1.27f, 25.4f, 12.8f, 0.0f, 0.0f, -127.0f};
  const QuantizedMatrix q = quantize_groups(view(values, 2), 2);
  EXPECT_EQ(q.data, (std::vector<int8_t>{1, -127, 127, 1, 127, 127, 64, 0, 0, -127}));
  const std::vector<float> steps = {0.1f, 0.02f, 0.01f, 0.2f, 0.0f, 1.0f};
  ASSERT_EQ(q.scale.size(), steps.size());
  for (size_t i = 0; i < steps.size(); ++i) EXPECT_FLOAT_EQ(q.scale[i], steps[i]);
  const std::vector<float> back = dequantize(q);
  for (size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(back[i], values[i], 0.5f * steps[i / 5 * 3 + i % 5 / 2]) << i;
}

TEST(Zeropoint, WorkedExampleOfTheArticle) {
  // Range [-3.0, 3.2]: 255 / 6.2 = 41.13 steps a unit, zero point round(-128 + 3 * 41.13) = -5; 0.1 becomes 4 - 5 = -1.
  const QuantizedMatrix q = quantize(view({0.1f, -3.0f, 3.2f}, 1), Int8Mapping::zeropoint, Int8Granularity::tensor);
  EXPECT_NEAR(1.0f / q.scale[0], 41.13f, 5e-3f);
  EXPECT_EQ(q.zero_point[0], -5);
  EXPECT_EQ(q.data[0], -1);
  EXPECT_EQ(q.data[1], -128);
  EXPECT_EQ(q.data[2], 127);
}

TEST(Absmax, TiesGoToEven) {
  // 127 / 127 = 1: the values are on the grid's halves.
  EXPECT_EQ(absmax({127.0f, 0.5f, 1.5f, 2.5f, -0.5f, -1.5f}).data, (std::vector<int8_t>{127, 0, 2, 2, 0, -2}));
}

TEST(Quantize, ZerosHaveScaleZero) {
  for (const Int8Mapping mapping : {Int8Mapping::absmax, Int8Mapping::zeropoint}) {
    const QuantizedMatrix q = quantize(view({0.0f, 0.0f, -0.0f}, 1), mapping, Int8Granularity::row);
    EXPECT_EQ(q.scale[0], 0.0f);
    EXPECT_EQ(q.data, (std::vector<int8_t>{0, 0, 0}));
    EXPECT_EQ(q.row_zero_point(0), 0);
  }
}

TEST(Quantize, TinyRowsWhoseQuotientOverflowsAreZeros) {
  const QuantizedMatrix q = absmax({1e-42f, 0.0f});
  EXPECT_EQ(q.scale[0], 0.0f);
  EXPECT_EQ(q.data, (std::vector<int8_t>{0, 0}));
}

TEST(Quantize, NonFiniteValuesPoisonTheirRowOnly) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    const QuantizedMatrix a = absmax({1.0f, bad, 1.0f, 0.5f}, 2);
    const QuantizedMatrix w = absmax({1.0f, 1.0f}, 1);
    const std::vector<float> out = scaled_int8_product(a, w, nullptr);
    EXPECT_TRUE(std::isnan(out[0]));
    EXPECT_NEAR(out[1], 1.5f, 0.5f / 127);  // half a step of the row
  }
}

TEST(Quantize, EmptyMatrices) {
  const QuantizedMatrix none = quantize(view({}, 0), Int8Mapping::absmax, Int8Granularity::row);
  EXPECT_TRUE(none.data.empty());
  EXPECT_TRUE(none.scale.empty());
  const QuantizedMatrix no_columns = quantize({nullptr, 2, 0, 0}, Int8Mapping::zeropoint, Int8Granularity::tensor);
  EXPECT_EQ(no_columns.scale[0], 0.0f);
}

TEST(Int8Product, TheLargestDepthHoldsTheLargestSum) {
  // Unsigned 255 times -128, the largest product of the u8 x s8 kernels, summed kLargestInt8Depth times.
  EXPECT_LE(kLargestInt8Depth * 255 * 128, int64_t{std::numeric_limits<int32_t>::max()});
  EXPECT_GT((kLargestInt8Depth + 1) * 255 * 128, int64_t{std::numeric_limits<int32_t>::max()});
  const std::vector<float> ones(kLargestInt8Depth, -1.0f);
  EXPECT_EQ(int8_product(absmax(ones), absmax(ones))[0], kLargestInt8Depth * 127 * 127);
  const std::vector<float> more(kLargestInt8Depth + 1, 1.0f);
  EXPECT_THROW(int8_product(absmax(more), absmax(more)), Error);
}

TEST(Int8Product, DifferentInnerSizesAreAnError) {
  EXPECT_THROW(int8_product(absmax({1.0f, 2.0f}), absmax({1.0f})), Error);
}

TEST(LlmInt8, TheThresholdItselfIsAnOutlier) {
  const std::vector<float> a = {1.0f, 6.0f, 2.0f, 5.999f, 0.5f, -2.0f};
  const LlmInt8Activations column = quantize_llm_int8(view(a, 2), {});
  EXPECT_EQ(column.outlier_columns, (std::vector<int64_t>{1}));
  EXPECT_EQ(column.a.data[1], 0);
  EXPECT_EQ(column.a.data[4], 0);                  // the whole column
  EXPECT_FLOAT_EQ(column.a.scale[0], 2.0f / 127);  // the row's outlier value is left out
  EXPECT_FLOAT_EQ(column.a.scale[1], 5.999f / 127);
  const LlmInt8Activations token = quantize_llm_int8(view(a, 2), {.outliers = OutlierRule::token});
  EXPECT_EQ(token.a.data[1], 0);
  EXPECT_EQ(token.a.data[4], 11);  // round(0.5 * 127 / 5.999)
}

TEST(LlmInt8, TheFactorOfBitsandbytesRuleIsRoundedTwice) {
  // 2.895 is half of 5.79: 63.5 steps, a tie by the quotient 127 / 5.79, and just below it by (1 / 5.79) * 127, which
  // is one unit in the last place less (PyTorch: torch.round(2.895 * (127.0 / torch.tensor(5.79))) is 63).
  const std::vector<float> a = {5.79f, 2.895f, 60.0f};
  EXPECT_EQ(quantize_llm_int8(view(a, 1), {}).a.data, (std::vector<int8_t>{127, 63, 0}));
  for (const OutlierRule rule : {OutlierRule::token, OutlierRule::whole_column}) {
    EXPECT_EQ(quantize_llm_int8(view(a, 1), {.outliers = rule}).a.data, (std::vector<int8_t>{127, 64, 0}));
  }
}

TEST(LlmInt8, WholeColumnsLeaveTheRangesToo) {
  const std::vector<float> a = {1.0f, 6.0f, 2.0f, 0.25f, 5.0f, -0.5f};
  const LlmInt8Activations parts = quantize_llm_int8(view(a, 2), {.outliers = OutlierRule::whole_column});
  EXPECT_EQ(parts.outlier_columns, (std::vector<int64_t>{1}));
  EXPECT_FLOAT_EQ(parts.a.scale[1], 0.5f / 127);  // 5 is no outlier, but its column is one
  EXPECT_EQ(parts.a.data, (std::vector<int8_t>{64, 0, 127, 64, 0, -127}));
}

TEST(LlmInt8, AThresholdInRootMeanSquaresFollowsItsRow) {
  // Root mean squares of the rows: 2 and 0.02, of which 4 and 0.04 are two.
  const std::vector<float> a = {4.0f, 0.0f, 0.0f, 0.0f, 0.01f, 0.03f, -0.01f, 0.02f, 0.0f, 0.0f, 0.0f, 0.0f};
  const LlmInt8Options options{
      .threshold = 2.0f, .threshold_unit = ThresholdUnit::row_rms, .outliers = OutlierRule::token};
  EXPECT_EQ(quantize_llm_int8(view(a, 3), options).outlier_columns, (std::vector<int64_t>{0}));
  const LlmInt8Options lower{
      .threshold = 1.5f, .threshold_unit = ThresholdUnit::row_rms, .outliers = OutlierRule::token};
  EXPECT_EQ(quantize_llm_int8(view(a, 3), lower).outlier_columns, (std::vector<int64_t>{0, 1}));
}

TEST(LlmInt8, OutliersCanStayIntegersOfTheirRowsSteps) {
  // A root mean square is 2.5, of which -9.5 is more than two. The others, from -1 to 2, are closer together than two
  // and a half of it, 6.25: the range ends at 5.25.
  std::vector<float> a(16, 0.0f);
  a[0] = -9.5f, a[1] = 2.0f, a[2] = -1.0f, a[3] = std::sqrt(3.0f), a[4] = std::sqrt(1.75f);
  const float squares = sum_of_squares(a.data(), 16), least = 2.5f * std::sqrt(squares / 16.0f);
  const LlmInt8Options options{.threshold = 2.0f,
                               .threshold_unit = ThresholdUnit::row_rms,
                               .outliers = OutlierRule::token,
                               .mapping = Int8Mapping::zeropoint,
                               .outliers_are_integers = true};
  const LlmInt8Activations parts = quantize_llm_int8(view(a, 1), options);
  EXPECT_EQ(parts.outlier_columns, (std::vector<int64_t>{0}));
  const float step = parts.a.scale[0];
  EXPECT_FLOAT_EQ(step, least / 255.0f);
  const int32_t zero = parts.a.zero_point[0];
  EXPECT_EQ(zero, static_cast<int32_t>(std::rint(-128.0f + 1.0f / step)));
  for (size_t k = 0; k < a.size(); ++k) {
    EXPECT_EQ(parts.integers[k], static_cast<int32_t>(std::rint(a[k] / step)) + zero) << k;
    EXPECT_EQ(parts.a.data[k], static_cast<int8_t>(parts.integers[k] & 255)) << k;
  }
  EXPECT_LT(parts.integers[0], -256);
  // Exact but for half a step of each number.
  std::vector<float> weights(16, 0.5f);
  const QuantizedMatrix w = absmax(weights, 1);
  const float exact = 0.5f * (a[0] + a[1] + a[2] + a[3] + a[4]);
  EXPECT_NEAR(llm_int8_product(view(a, 1), w, nullptr, nullptr, options)[0], exact, 0.5f * step * 5 * 0.5f + 1e-5f);
}

TEST(LlmInt8, ARowWhoseSquaresOverflowHasNoOutliersByItsOwnMeasure) {
  const std::vector<float> a = {1e30f, 1.0f, std::numeric_limits<float>::infinity(), 1.0f};
  const LlmInt8Options options{
      .threshold = 1.0f, .threshold_unit = ThresholdUnit::row_rms, .outliers = OutlierRule::token};
  const LlmInt8Activations parts = quantize_llm_int8(view(a, 2), options);
  EXPECT_TRUE(parts.outlier_columns.empty());
  EXPECT_EQ(parts.a.data[0], 127);
  EXPECT_TRUE(std::isnan(parts.a.scale[1]));
}

TEST(LlmInt8, ATokenDoesNotDependOnItsNeighbours) {
  const std::vector<float> both = {1.0f, 60.0f, -2.0f, 0.25f, 0.5f, 3.0f};
  const QuantizedMatrix w = absmax({0.1f, -0.2f, 0.3f, 0.7f, 0.6f, -0.5f}, 2);
  const LlmInt8Options options{.outliers = OutlierRule::token};
  const std::vector<float> together = llm_int8_product(view(both, 2), w, nullptr, nullptr, options);
  const std::vector<float> second(both.begin() + 3, both.end());
  const std::vector<float> alone = llm_int8_product(view(second, 1), w, nullptr, nullptr, options);
  EXPECT_EQ(std::vector<float>(together.begin() + 2, together.end()), alone);
}

TEST(LlmInt8, EveryValueAnOutlierLeavesAnEmptyInt8Part) {
  const std::vector<float> a = {10.0f, -20.0f};
  const QuantizedMatrix w = absmax({0.5f, 1.0f}, 1);
  const LlmInt8Activations parts = quantize_llm_int8(view(a, 1), {});
  EXPECT_EQ(parts.a.scale[0], 0.0f);
  const float expected = 10.0f * dequantize(w)[0] - 20.0f * dequantize(w)[1];
  EXPECT_NEAR(llm_int8_product(view(a, 1), w, nullptr, nullptr, {})[0], expected, 1e-5f);
}

TEST(LlmInt8, AnInfinityIsAnOutlierAndStaysInfinite) {
  const std::vector<float> a = {std::numeric_limits<float>::infinity(), 1.0f};
  const QuantizedMatrix w = absmax({0.5f, 1.0f}, 1);
  EXPECT_EQ(llm_int8_product(view(a, 1), w, nullptr, nullptr, {})[0], std::numeric_limits<float>::infinity());
}

TEST(LlmInt8, ZeropointLeavesOutliersOutOfTheCenteredSum) {
  const std::vector<float> a = {0.5f, 100.0f, 2.0f, 1.0f};
  const std::vector<float> weights = {0.25f, -0.5f, 1.0f, 0.75f};
  const LlmInt8Options options{.mapping = Int8Mapping::zeropoint};
  const QuantizedMatrix w = quantize(view(weights, 1), Int8Mapping::zeropoint, Int8Granularity::row);
  const float exact = 0.5f * 0.25f - 50.0f + 2.0f + 0.75f;
  // Half a step of a (2 / 255) times sum|w|, half a step of w (1.5 / 255) times sum|a| without the outlier.
  const float bound = 0.5f * (2.0f / 255) * 2.5f + 0.5f * (1.5f / 255) * 3.5f;
  EXPECT_NEAR(llm_int8_product(view(a, 1), w, weights.data(), nullptr, options)[0], exact, bound);
}

TEST(LlmInt8, AThresholdOfZeroTurnsTheDecompositionOff) {
  const std::vector<float> a = {1.0f, 60.0f};
  EXPECT_TRUE(quantize_llm_int8(view(a, 1), {.threshold = 0.0f}).outlier_columns.empty());
  EXPECT_THROW(quantize_llm_int8(view(a, 1), {.threshold = -1.0f}), Error);
}

}  // namespace
}  // namespace octoformer
