// The int8 linear op under every ISA of the machine, against the scalar reference of native/quantization, bit for bit.
#include "cpu/int8_linear.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "backend/error.h"
#include "linear_testing.h"
#include "quantization/llm_int8.h"
#include "reference/effort.h"

namespace octoformer {
namespace {

using namespace testing_linear;
using reference::random_matrix;

struct Shape {
  int64_t rows, out_features, in_features;
};

// None, one, primes, and one off every tile: rows 2, 4, 6, 16; panels 8, 16, 64; four k a step, 64 a tile; blocks of K.
constexpr Shape kShapes[] = {{0, 5, 7},     {1, 1, 1},     {1, 64, 64},   {1, 67, 129},   {2, 130, 33},  {3, 0, 4},
                             {5, 63, 31},   {6, 65, 200},  {7, 17, 1},    {7, 1, 66},     {13, 129, 67}, {16, 64, 128},
                             {17, 100, 97}, {31, 191, 64}, {33, 31, 353}, {20, 70, 1030}, {4, 3, 0},     {19, 5, 0}};

struct Scheme {
  const char* name;
  Int8Settings settings;
};

const std::vector<Scheme>& schemes() {
  constexpr auto absmax = Int8Mapping::absmax, zeropoint = Int8Mapping::zeropoint;
  constexpr auto row = Int8Granularity::row, tensor = Int8Granularity::tensor;
  const auto scheme = [](Int8Mapping weights, Int8Granularity weight_scales, Int8Mapping activations,
                         Int8Granularity activation_scales, float threshold = 0.0f,
                         OutlierRule rule = OutlierRule::token, bool floats = false) {
    Int8Settings settings;
    settings.weights = weights;
    settings.weight_scales = weight_scales;
    settings.activations = activations;
    settings.activation_scales = activation_scales;
    settings.threshold = threshold;
    settings.outliers = rule;
    settings.float_outlier_weights = floats;
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
      {"every entry an outlier", scheme(absmax, row, absmax, row, std::numeric_limits<float>::denorm_min())},
  };
  return all;
}

/// What native/quantization makes of it.
Matrix expected_product(const Matrix& a, const Matrix& w, const float* bias, const Int8Settings& settings) {
  const QuantizedMatrix qw = quantize(view(w), settings.weights, settings.weight_scales);
  Matrix out(a.rows, w.rows);
  if (settings.threshold > 0.0f) {
    LlmInt8Options options;
    options.threshold = settings.threshold;
    options.outliers = settings.outliers;
    options.mapping = settings.activations;
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

class Int8Linear : public ::testing::TestWithParam<Isa> {
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

TEST_P(Int8Linear, EverySchemeIsTheReferenceBitForBit) {
  for (const Shape& shape : kShapes) {
    if (!reference::tries_product(shape.rows, shape.out_features, shape.in_features)) continue;
    Matrix a = random_matrix(shape.rows, shape.in_features, 1);
    for (float& value : a.values) value = 3.0f * value + 0.2f;  // of which a fifth reaches the threshold of 2.5
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

INSTANTIATE_TEST_SUITE_P(Isas, Int8Linear, ::testing::ValuesIn(available_isas()), IsaPrinter());

}  // namespace
}  // namespace octoformer
