// What tests of the int8 linear op share: shapes, weights that are int8 already, and the op under one ISA.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "cpu/int8_linear.h"
#include "linear_testing.h"
#include "quantization/llm_int8.h"
#include "quantization/row_range.h"

namespace octoformer::testing_int8 {

using namespace testing_linear;

struct Shape {
  int64_t rows, out_features, in_features;
};

// None, one, primes, and one off every tile: rows 2, 4, 6, 16; panels 8, 16, 64; four k a step, 64 a tile; blocks of K.
// Few rows by more panels than kernels take at once, and by more than a task has; the most rows that any takes, and one
// more.
inline constexpr Shape kShapes[] = {{0, 5, 7},      {1, 1, 1},     {1, 64, 64},    {1, 67, 129},  {2, 130, 33},
                                    {3, 0, 4},      {5, 63, 31},   {6, 65, 200},   {7, 17, 1},    {7, 1, 66},
                                    {13, 129, 67},  {16, 64, 128}, {17, 100, 97},  {31, 191, 64}, {33, 31, 353},
                                    {37, 70, 1030}, {4, 3, 0},     {39, 5, 0},     {17, 1, 5},    {33, 1, 65},
                                    {40, 67, 3},    {1, 610, 70},  {2, 1100, 600}, {3, 330, 40},  {4, 410, 36},
                                    {8, 290, 131},  {9, 100, 64},  {64, 97, 130},  {65, 70, 70}};

/// How the scalar reference takes activations by a layer's settings.
inline LlmInt8Options reference_options(const Int8Settings& settings) {
  return {.threshold = settings.threshold,
          .threshold_unit = settings.threshold_unit,
          .outliers = settings.outliers,
          .mapping = settings.activations,
          .outliers_are_integers = outliers_are_integers(settings)};
}

/// Rows whose int8 values are given: w = q * (absmax / 127).
class GivenInt8Rows final : public RowSource, public Int8RowSource {
 public:
  GivenInt8Rows(std::vector<int8_t> values, std::vector<float> absmax)
      : values_(std::move(values)),
        absmax_(std::move(absmax)),
        columns_(static_cast<int64_t>(values_.size() / absmax_.size())) {}
  void read_rows(int64_t first, int64_t count, float* out) const override {
    for (int64_t i = 0; i < count * columns_; ++i) {
      const auto row = static_cast<size_t>(first + i / columns_);
      out[i] = static_cast<float>(values_[static_cast<size_t>(first * columns_ + i)]) * (absmax_[row] / 127.0f);
    }
  }
  const Int8RowSource* int8_rows() const override { return this; }
  void read_int8_rows(int64_t first, int64_t count, int8_t* out, float* absmax) const override {
    std::copy_n(values_.begin() + first * columns_, count * columns_, out);
    std::copy_n(absmax_.begin() + first, count, absmax);
  }

 private:
  std::vector<int8_t> values_;
  std::vector<float> absmax_;
  int64_t columns_;
};

class Int8LinearTest : public ::testing::TestWithParam<Isa> {
 protected:
  static LinearWeightDescription describe(const Matrix& w, const Int8Settings& settings) {
    return {"test.weight", w.rows, w.columns, WeightForm::int8, ComputeType::float32, settings};
  }
  std::unique_ptr<LinearWeight> pack(const Matrix& w, const Int8Settings& settings) const {
    return driver_.pack(describe(w, settings), MatrixRows(w), nullptr);
  }
  static Matrix multiply(Int8LinearDriver& driver, const Matrix& a, const LinearWeight& weight,
                         const float* bias = nullptr) {
    Matrix out(a.rows, weight.description().out_features);
    LinearArguments arguments;
    arguments.input = view(a);
    arguments.weight = &weight;
    arguments.bias = bias;
    arguments.out = view(out);
    driver.linear(arguments);
    return out;
  }

  const KernelTable& table_ = kernel_table(GetParam());
  Int8LinearDriver driver_{table_.int8, 2};
};

}  // namespace octoformer::testing_int8
