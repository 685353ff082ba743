// Rows quantized once for several int8 layers, and by the op that makes them: the bits of a layer that does it itself.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "cpu/cpu_backend.h"
#include "linear_testing.h"
#include "reference/effort.h"

namespace octoformer {
namespace {

using namespace testing_linear;
using reference::random_matrix;

struct Scheme {
  const char* name;
  Int8Settings settings;
};

constexpr const char* kOutliersByToken = "affine activations, token";

std::vector<Scheme> schemes() {
  std::vector<Scheme> all = {{"vector-wise", {}}};
  Int8Settings settings;
  settings.activations = Int8Mapping::zeropoint;
  settings.threshold = 1.5f;
  all.push_back({kOutliersByToken, settings});
  settings.weights = Int8Mapping::zeropoint;
  settings.outliers = OutlierRule::column;
  all.push_back({"zero points, column", settings});
  settings = {};
  settings.activation_scales = Int8Granularity::tensor;
  settings.threshold = 1.5f;
  all.push_back({"one scale for all rows, token", settings});
  settings = {};
  settings.outlier_features = {0, 5, 66};
  all.push_back({"calibrated", settings});
  return all;
}

class QuantizedRowsTest : public ::testing::TestWithParam<Isa> {
 protected:
  std::unique_ptr<LinearWeight> pack(const Matrix& w, const Int8Settings& settings,
                                     WeightForm form = WeightForm::int8) const {
    return backend_->pack_linear({"test.weight", w.rows, w.columns, form, ComputeType::float32, settings},
                                 MatrixRows(w), nullptr);
  }
  Matrix multiply(const Matrix& a, const LinearWeight& weight, QuantizedRows* quantized) const {
    Matrix out(a.rows, weight.description().out_features);
    LinearArguments arguments;
    arguments.input = view(a);
    arguments.quantized = quantized;
    arguments.weight = &weight;
    arguments.out = view(out);
    backend_->linear(arguments);
    return out;
  }

  /// `op(out)` is the op that has made `made`: its quantized rows have the same bits, and no floats are written.
  void expect_same_bits(const std::function<RowOrigin(MatrixView)>& op, const Matrix& made, const Scheme& scheme,
                        const std::string& where) {
    const auto first = pack(random_matrix(33, made.columns, 33), scheme.settings);
    const auto second = pack(random_matrix(70, made.columns, 34), scheme.settings);
    ASSERT_TRUE(backend_->share_quantized_rows(*first, *second)) << where;
    const Matrix nothing(made.rows, made.columns);
    Matrix untouched = nothing;
    backend_->quantize_rows({op(view(untouched)), first.get(), slot_.get()});
    for (const LinearWeight* weight : {first.get(), second.get()}) {
      EXPECT_TRUE(same_bits(multiply(nothing, *weight, slot_.get()), multiply(made, *weight, nullptr))) << where;
    }
    EXPECT_TRUE(same_bits(untouched, nothing)) << where << ": wrote floats that nobody reads";

    backend_->quantize_rows({ConstMatrixView(view(made)), second.get(), slot_.get()});
    EXPECT_TRUE(same_bits(multiply(nothing, *first, slot_.get()), multiply(made, *first, nullptr)))
        << where << ": rows as they lie in memory";
  }

  std::unique_ptr<Backend> backend_ = make_cpu_backend({.threads = 3, .isa = std::string(isa_name(GetParam()))});
  /// Kept over calls of all sizes, as the executor does.
  std::unique_ptr<QuantizedRows> slot_ = backend_->make_quantized_rows();
};

constexpr int64_t kRowCounts[] = {0, 1, 5, 16, 37, 600};

/// How many rows are spread over threads is the same for all schemes: where tests are slow one shows it.
bool tries(const Scheme& scheme, int64_t rows) {
  return !reference::slow() || rows < 600 || scheme.name == kOutliersByToken;
}

TEST_P(QuantizedRowsTest, ANormsReadersHaveTheBitsOfTheNormThenTheLayer) {
  constexpr int64_t kColumns = 67;
  const Matrix scale = random_matrix(1, kColumns, 30), shift = random_matrix(1, kColumns, 31);
  for (const NormKind kind : {NormKind::rms, NormKind::layer}) {
    for (const int64_t rows : kRowCounts) {
      const Matrix x = random_matrix(rows, kColumns, 32);
      const auto norm = [&](MatrixView out) {
        NormArguments arguments;
        arguments.kind = kind;
        arguments.input = view(x);
        arguments.out = out;
        arguments.weight = scale.values.data();
        arguments.bias = kind == NormKind::layer ? shift.values.data() : nullptr;
        arguments.weight_offset = 1.0f;
        arguments.epsilon = 1e-5f;
        arguments.group = kColumns;
        return arguments;
      };
      Matrix normed(rows, kColumns);
      backend_->norm(norm(view(normed)));
      for (const Scheme& scheme : schemes()) {
        if (!tries(scheme, rows)) continue;
        expect_same_bits(norm, normed, scheme, std::string(scheme.name) + ", " + std::to_string(rows) + " rows");
      }
    }
  }
}

TEST_P(QuantizedRowsTest, AnActivationsReadersHaveTheBitsOfTheActivationThenTheLayer) {
  constexpr int64_t kColumns = 131;  // two whole words of outliers' bits, and more
  for (const int64_t rows : kRowCounts) {
    const Matrix gate = random_matrix(rows, kColumns, 41), up = random_matrix(rows, kColumns, 42);
    for (const Activation kind :
         {Activation::identity, Activation::relu, Activation::relu_squared, Activation::silu, Activation::gelu,
          Activation::gelu_tanh, Activation::gelu_quick, Activation::tanh, Activation::sigmoid}) {
      const auto plain = [&](MatrixView out) { return ActivationArguments{kind, view(gate), out}; };
      const auto gated = [&](MatrixView out) { return GatedActivationArguments{kind, view(gate), view(up), out}; };
      Matrix activated(rows, kColumns), product(rows, kColumns);
      backend_->activation(plain(view(activated)));
      backend_->gated_activation(gated(view(product)));
      for (const Scheme& scheme : schemes()) {
        if (!tries(scheme, rows)) continue;
        const std::string where = std::string(scheme.name) + ", activation " + std::to_string(static_cast<int>(kind)) +
                                  ", " + std::to_string(rows) + " rows";
        expect_same_bits(plain, activated, scheme, where);
        expect_same_bits(gated, product, scheme, where + ", gated");
      }
      if (rows == 600) break;  // how rows are spread over threads is the same for all
    }
  }
}

TEST_P(QuantizedRowsTest, ANormByGroupsIsTheNorms) {
  const Matrix x = random_matrix(9, 64, 35), scale = random_matrix(1, 16, 36);
  Matrix normed(9, 64);
  NormArguments norm;
  norm.input = view(x);
  norm.out = view(normed);
  norm.weight = scale.values.data();
  norm.epsilon = 1e-6f;
  norm.group = 16;
  backend_->norm(norm);
  const auto weight = pack(random_matrix(20, 64, 37), {});
  backend_->quantize_rows({norm, weight.get(), slot_.get()});
  EXPECT_TRUE(same_bits(multiply(x, *weight, slot_.get()), multiply(normed, *weight, nullptr)));
}

TEST_P(QuantizedRowsTest, ALayersReadersHaveTheBitsOfTheLayerThenTheNext) {
  constexpr int64_t kIn = 67, kBetween = 150;  // a whole panel and a part of one under every ISA
  const Matrix bias = random_matrix(1, kBetween, 51), w = random_matrix(kBetween, kIn, 52);
  for (const Scheme& scheme : schemes()) {
    const auto first = pack(w, scheme.settings), floats = pack(w, {}, WeightForm::float32);
    const auto second = pack(random_matrix(33, kBetween, 53), scheme.settings);
    for (const int64_t rows : {0, 1, 5, 37, 600, 601}) {
      if (!tries(scheme, rows)) continue;
      const Matrix x = random_matrix(rows, kIn, 54), residual = random_matrix(rows, kBetween, 55);
      for (const LinearWeight* layer : {first.get(), floats.get()}) {
        const std::string where = std::string(scheme.name) + ", " + std::to_string(rows) + " rows";
        Matrix between(rows, kBetween);
        const Matrix nothing = between;
        LinearArguments arguments;
        arguments.input = view(x);
        arguments.weight = layer;
        arguments.bias = bias.values.data();
        arguments.activation = Activation::gelu;
        arguments.residual = view(residual);
        arguments.out = view(between);
        backend_->linear(arguments);
        Matrix untouched = nothing;
        arguments.out = view(untouched);
        backend_->linear_to_quantized(arguments, *second, *slot_);
        EXPECT_TRUE(same_bits(multiply(nothing, *second, slot_.get()), multiply(between, *second, nullptr))) << where;
        if (rows < 600 || layer == floats.get() || scheme.settings.looks_across_rows()) continue;
        EXPECT_TRUE(same_bits(untouched, nothing)) << where << ": wrote floats that nobody reads";
      }
    }
  }
}

TEST_P(QuantizedRowsTest, AGatedLayersReadersHaveTheBitsOfTheLayerThenTheActivation) {
  constexpr int64_t kIn = 67;
  struct Shape {
    int64_t columns, gate, up, out_features;
    bool whole_panels;  // under every ISA
  };
  for (const Shape& shape : {Shape{576, 0, 576, 1152, true}, Shape{192, 384, 0, 600, true},
                             Shape{75, 0, 75, 150, false}, Shape{192, 1, 193, 385, false}}) {
    const Matrix bias = random_matrix(1, shape.out_features, 61), w = random_matrix(shape.out_features, kIn, 62);
    for (const Scheme& scheme : schemes()) {
      const auto first = pack(w, scheme.settings), floats = pack(w, {}, WeightForm::float32);
      const auto second = pack(random_matrix(33, shape.columns, 63), scheme.settings);
      for (const int64_t rows : {0, 1, 5, 37, 601}) {
        // Only int8 layers take blocks, of whole panels, whatever the scheme.
        const bool blocks = rows > 600;
        if (blocks && (!shape.whole_panels || !tries(scheme, rows))) continue;
        const Matrix x = random_matrix(rows, kIn, 64), nothing(rows, shape.out_features), none(rows, shape.columns);
        for (const LinearWeight* layer : {first.get(), floats.get()}) {
          if (blocks && layer == floats.get()) continue;
          const std::string where = std::string(scheme.name) + ", " + std::to_string(rows) + " rows, gate at " +
                                    std::to_string(shape.gate) + ", " + std::to_string(shape.columns) + " columns";
          Matrix between = nothing, product = none, unread = none;
          LinearArguments arguments;
          arguments.input = view(x);
          arguments.weight = layer;
          arguments.bias = bias.values.data();
          const auto gated = [&](Matrix& from, Matrix& to) {
            const MatrixView all = view(from);
            arguments.out = all;
            return GatedActivationArguments{Activation::silu,
                                            {all.data + shape.gate, rows, shape.columns, all.stride},
                                            {all.data + shape.up, rows, shape.columns, all.stride},
                                            view(to)};
          };
          const GatedActivationArguments apart = gated(between, product);
          backend_->linear(arguments);
          backend_->gated_activation(apart);
          Matrix untouched = nothing;
          const GatedActivationArguments at_once = gated(untouched, unread);
          backend_->gated_linear_to_quantized(arguments, at_once, *second, *slot_);
          EXPECT_TRUE(same_bits(multiply(none, *second, slot_.get()), multiply(product, *second, nullptr))) << where;
          if (!blocks || scheme.settings.looks_across_rows()) continue;
          EXPECT_TRUE(same_bits(unread, none)) << where << ": wrote floats that nobody reads";
          EXPECT_TRUE(same_bits(untouched, nothing)) << where << ": wrote floats that nobody reads";
        }
      }
    }
  }
}

TEST_P(QuantizedRowsTest, LargestColumnsAreThoseOfTheWholeProduct) {
  constexpr int64_t kIn = 67, kOut = 2501;  // several tasks a thread under every ISA, and a part of a panel
  constexpr float kInfinity = std::numeric_limits<float>::infinity(), kNan = std::numeric_limits<float>::quiet_NaN();
  Matrix w = random_matrix(kOut, kIn, 71);
  for (int64_t twice = 1; 2 * twice < kOut; ++twice) {  // each row is there several times: the first one counts
    std::copy_n(w.values.data() + twice * kIn, kIn, w.values.data() + 2 * twice * kIn);
  }
  for (const Scheme& scheme : schemes()) {
    const auto weight = pack(w, scheme.settings);
    for (const int64_t rows : {1, 2, 19}) {
      const Matrix x = random_matrix(rows, kIn, 72);
      for (const float bias : {0.0f, -1000.0f, -kInfinity, kNan}) {
        Matrix biases(1, kOut), out(rows, kOut);
        const bool one = bias == bias;  // NaN goes to one column only
        for (int64_t i = one ? 0 : kOut - 1; i < kOut; ++i) biases.values[static_cast<size_t>(i)] = bias;
        LinearArguments arguments;
        arguments.input = view(x);
        arguments.weight = weight.get();
        arguments.bias = biases.values.data();
        arguments.out = view(out);
        std::vector<int32_t> found(static_cast<size_t>(rows));
        const bool known = backend_->largest_columns(arguments, found);
        const std::string where =
            std::string(scheme.name) + ", " + std::to_string(rows) + " rows, bias " + std::to_string(bias);
        EXPECT_FALSE(known && !(bias > -kInfinity)) << where;
        EXPECT_TRUE(known || rows > 2 || !(bias > -kInfinity)) << where;  // all kernels take two rows at once
        if (!known) continue;
        backend_->linear(arguments);
        for (int64_t row = 0; row < rows; ++row) {
          const float* const first = out.values.data() + row * kOut;
          EXPECT_EQ(found[static_cast<size_t>(row)], std::max_element(first, first + kOut) - first) << where;
        }
      }
    }
  }
  LinearArguments arguments;
  const auto floats = pack(w, {}, WeightForm::float32);
  const Matrix x = random_matrix(1, kIn, 73);
  Matrix out(1, kOut);
  arguments.input = view(x);
  arguments.weight = floats.get();
  arguments.out = view(out);
  std::vector<int32_t> found(1);
  EXPECT_FALSE(backend_->largest_columns(arguments, found));
}

TEST_P(QuantizedRowsTest, OnlyLayersThatQuantizeAlikeShare) {
  const Matrix w = random_matrix(20, 70, 38);
  const auto plain = pack(w, {}), floats = pack(w, {}, WeightForm::float32);
  EXPECT_TRUE(backend_->share_quantized_rows(*plain, *pack(random_matrix(3, 70, 39), {})));
  EXPECT_FALSE(backend_->share_quantized_rows(*plain, *floats));
  EXPECT_FALSE(backend_->share_quantized_rows(*floats, *floats));
  EXPECT_FALSE(backend_->share_quantized_rows(*plain, *pack(random_matrix(20, 200, 40), {})));
  const auto differs = [&](auto change) {
    Int8Settings settings;
    change(settings);
    return !backend_->share_quantized_rows(*plain, *pack(w, settings));
  };
  EXPECT_TRUE(differs([](Int8Settings& s) { s.activations = Int8Mapping::zeropoint; }));
  EXPECT_TRUE(differs([](Int8Settings& s) { s.weights = Int8Mapping::zeropoint; }));
  EXPECT_TRUE(differs([](Int8Settings& s) { s.activation_scales = Int8Granularity::tensor; }));
  EXPECT_TRUE(differs([](Int8Settings& s) { s.threshold = 6.0f; }));
  EXPECT_TRUE(differs([](Int8Settings& s) { s.outliers = OutlierRule::column; }));
  EXPECT_TRUE(differs([](Int8Settings& s) { s.outlier_features = {3}; }));
  EXPECT_TRUE(differs([](Int8Settings& s) { s.weight_only = true; }));
  EXPECT_TRUE(differs([](Int8Settings& s) { s.count_outliers = true; }));
  EXPECT_FALSE(differs([](Int8Settings& s) { s.float_outlier_weights = true; }));
  EXPECT_FALSE(differs([](Int8Settings& s) { s.weight_scales = Int8Granularity::tensor; }));

  Int8Settings weight_only, counting;
  weight_only.weight_only = true;
  counting.count_outliers = true;
  const auto one = pack(w, weight_only), counted = pack(w, counting);
  EXPECT_FALSE(backend_->share_quantized_rows(*one, *one));
  EXPECT_TRUE(backend_->share_quantized_rows(*counted, *counted)) << "alone it counts its own";
}

TEST_P(QuantizedRowsTest, OneScaleForAllRowsBesideIntegersOfOutliersIsOfThisCallAlone) {
  Int8Settings by_row;
  by_row.threshold = 1.5f;
  by_row.threshold_unit = ThresholdUnit::row_rms;
  Int8Settings for_all = by_row;
  for_all.activation_scales = Int8Granularity::tensor;
  const Matrix w = random_matrix(20, 70, 41), x = random_matrix(17, 70, 42);
  Matrix larger = x;
  for (float& value : larger.values) value *= 1000.0f;
  const auto weight = pack(w, for_all), other = pack(w, by_row);
  const Matrix before = multiply(x, *weight, nullptr);
  multiply(larger, *other, nullptr);
  EXPECT_TRUE(same_bits(multiply(x, *weight, nullptr), before));
}

INSTANTIATE_TEST_SUITE_P(Isas, QuantizedRowsTest, ::testing::ValuesIn(available_isas()), IsaPrinter());

}  // namespace
}  // namespace octoformer
