// What int8 products end with, under every ISA: activation and residual, and where they may write.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "cpu/int8_linear.h"
#include "linear_testing.h"

namespace octoformer {
namespace {

using namespace testing_linear;

class Int8Epilogue : public ::testing::TestWithParam<Isa> {};

constexpr int64_t kColumns = 203;  // several panels on every ISA, and a part of one
constexpr int64_t kStride = 220;
constexpr float kUntouched = 12345.0f;

struct Product {
  const LinearWeight& weight;
  const Matrix &input, &bias;

  /// [rows, kStride]: results, then what lay there before.
  Matrix operator()(Int8LinearDriver& driver, Activation activation, const Matrix& residual, bool in_place) const {
    Matrix out(input.rows, kStride);
    for (int64_t m = 0; m < out.rows; ++m) {
      for (int64_t n = 0; n < kStride; ++n) {
        out.at(m, n) = n >= kColumns ? kUntouched : in_place ? residual.at(m, n) : 0.0f;
      }
    }
    LinearArguments arguments;
    arguments.input = view(input);
    arguments.weight = &weight;
    arguments.bias = bias.values.data();
    arguments.activation = activation;
    arguments.out = {out.values.data(), out.rows, kColumns, kStride};
    arguments.residual = view(residual);
    if (in_place) arguments.residual = arguments.out;
    driver.linear(arguments);
    return out;
  }
};

// A kernel that wrote beyond the columns of its panel would change a residual that another panel has yet to add, or
// what lies behind the last column.
TEST_P(Int8Epilogue, WritesItsColumnsOnlyAndMayAddWhatLiesThere) {
  Int8LinearDriver driver(kernel_table(GetParam()).int8, 2);
  const Matrix w = reference::random_matrix(kColumns, 300, 1), bias = reference::random_matrix(1, kColumns, 2);
  const LinearWeightDescription description = {"w", kColumns, 300, WeightForm::int8, ComputeType::float32, {}};
  const auto weight = driver.pack(description, MatrixRows(w), nullptr);
  for (const int64_t rows : {1, 5, 16, 33, 70}) {
    const Matrix input = reference::random_matrix(rows, 300, 3), none(rows, kColumns);
    const Matrix residual = reference::random_matrix(rows, kColumns, 4);
    const Product product{*weight, input, bias};
    const Matrix plain = product(driver, Activation::identity, none, false);
    for (const Activation activation : {Activation::identity, Activation::relu, Activation::silu, Activation::gelu}) {
      const Matrix apart = product(driver, activation, residual, false);
      EXPECT_TRUE(same_bits(product(driver, activation, residual, true), apart)) << rows << " rows";
      for (int64_t m = 0; m < rows; ++m) {
        for (int64_t n = kColumns; n < kStride; ++n) ASSERT_EQ(apart.at(m, n), kUntouched) << m << ", " << n;
        for (int64_t n = 0; n < kColumns; ++n) {
          const double x = plain.at(m, n);
          const double activated = activation == Activation::identity ? x
                                   : activation == Activation::relu   ? std::max(x, 0.0)
                                   : activation == Activation::silu   ? x / (1.0 + std::exp(-x))
                                                                      : x * 0.5 * std::erfc(-x * std::sqrt(0.5));
          // A few roundings of an activation (math_test.cc has their bounds), and one of the sum.
          const double bound = 8 * std::numeric_limits<float>::epsilon() * (std::abs(x) + std::abs(residual.at(m, n)));
          ASSERT_NEAR(apart.at(m, n), activated + residual.at(m, n), bound) << m << ", " << n;
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Isas, Int8Epilogue, ::testing::ValuesIn(available_isas()), IsaPrinter());

}  // namespace
}  // namespace octoformer
