// Rows quantized once for several int8 layers, and by the norm before them: the bits of a layer that does it itself.
#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "cpu/cpu_backend.h"
#include "linear_testing.h"

namespace octoformer {
namespace {

using namespace testing_linear;
using reference::random_matrix;

struct Scheme {
  const char* name;
  Int8Settings settings;
};

std::vector<Scheme> schemes() {
  std::vector<Scheme> all = {{"vector-wise", {}}};
  Int8Settings settings;
  settings.activations = Int8Mapping::zeropoint;
  settings.threshold = 1.5f;
  all.push_back({"affine activations, token", settings});
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

  std::unique_ptr<Backend> backend_ = make_cpu_backend({.threads = 3, .isa = std::string(isa_name(GetParam()))});
};

TEST_P(QuantizedRowsTest, ANormsReadersHaveTheBitsOfTheNormThenTheLayer) {
  constexpr int64_t kColumns = 67;
  const Matrix scale = random_matrix(1, kColumns, 30), shift = random_matrix(1, kColumns, 31);
  const auto slot = backend_->make_quantized_rows();  // kept over calls of all sizes, as the executor does
  for (const NormKind kind : {NormKind::rms, NormKind::layer}) {
    for (const int64_t rows : {0, 1, 5, 16, 37, 600}) {
      const Matrix x = random_matrix(rows, kColumns, 32);
      for (const Scheme& scheme : schemes()) {
        NormArguments norm;
        norm.kind = kind;
        norm.input = view(x);
        Matrix normed(rows, kColumns);
        norm.out = view(normed);
        norm.weight = scale.values.data();
        norm.bias = kind == NormKind::layer ? shift.values.data() : nullptr;
        norm.weight_offset = 1.0f;
        norm.epsilon = 1e-5f;
        norm.group = kColumns;
        backend_->norm(norm);

        Matrix untouched(rows, kColumns);
        norm.out = view(untouched);
        const auto first = pack(random_matrix(33, kColumns, 33), scheme.settings);
        const auto second = pack(random_matrix(70, kColumns, 34), scheme.settings);
        ASSERT_TRUE(backend_->share_quantized_rows(*first, *second)) << scheme.name;
        backend_->quantize_rows({norm.input, &norm, first.get(), slot.get()});
        for (const LinearWeight* weight : {first.get(), second.get()}) {
          EXPECT_TRUE(same_bits(multiply(x, *weight, slot.get()), multiply(normed, *weight, nullptr)))
              << scheme.name << ", " << rows << " rows";
        }
        EXPECT_TRUE(same_bits(untouched, Matrix(rows, kColumns))) << "wrote floats that nobody reads";

        backend_->quantize_rows({view(normed), nullptr, second.get(), slot.get()});
        EXPECT_TRUE(same_bits(multiply(normed, *first, slot.get()), multiply(normed, *first, nullptr)))
            << scheme.name << ", " << rows << " rows without a norm";
      }
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
  const auto slot = backend_->make_quantized_rows();
  backend_->quantize_rows({norm.input, &norm, weight.get(), slot.get()});
  EXPECT_TRUE(same_bits(multiply(x, *weight, slot.get()), multiply(normed, *weight, nullptr)));
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

INSTANTIATE_TEST_SUITE_P(Isas, QuantizedRowsTest, ::testing::ValuesIn(available_isas()), IsaPrinter());

}  // namespace
}  // namespace octoformer
