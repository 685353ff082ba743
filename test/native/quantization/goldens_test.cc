// Every scheme against PyTorch's results (quantization/ of the golden folder): integers bit for bit, floats to 1e-5 of
// the largest. Runs where OCTOFORMER_GOLDENS names such a folder.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "formats/checkpoint.h"
#include "quantization/llm_int8.h"
#include "quantization/quantized_matrix.h"

namespace octoformer {
namespace {

class QuantizationGoldens : public testing::Test {
 protected:
  void SetUp() override {
    const char* folder = std::getenv("OCTOFORMER_GOLDENS");
    const std::filesystem::path file =
        std::filesystem::path(folder ? folder : "") / "quantization" / "golden.safetensors";
    if (!folder || !std::filesystem::exists(file)) GTEST_SKIP() << "OCTOFORMER_GOLDENS names no folder of goldens";
    const std::vector<std::string> files = {file.string()};
    goldens_ = Checkpoint::open(files);
    for (const TensorInfo& tensor : goldens_->tensors()) cases_.insert(tensor.name.substr(0, tensor.name.find('.')));
  }

  std::vector<float> floats(const std::string& name) const {
    const TensorInfo& tensor = goldens_->at(name);
    std::vector<float> out(static_cast<size_t>(tensor.rows() * tensor.columns()));
    if (!out.empty()) goldens_->read_rows(tensor, 0, tensor.rows(), out.data());
    return out;
  }

  template <class Integer>
  std::vector<Integer> integers(const std::string& name) const {  // all are far below 2^24, so exact as floats
    const std::vector<float> values = floats(name);
    return {values.begin(), values.end()};
  }

  ConstMatrixView matrix(const std::string& name, std::vector<float>& storage) const {
    storage = floats(name);
    const TensorInfo& tensor = goldens_->at(name);
    return {storage.data(), tensor.rows(), tensor.columns(), tensor.columns()};
  }

  void expect_close(const std::vector<float>& got, const std::string& name) const {
    const std::vector<float> expected = floats(name);
    ASSERT_EQ(got.size(), expected.size()) << name;
    float largest = 0.0f;
    for (float value : expected) largest = std::max(largest, std::fabs(value));
    for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], expected[i], 1e-5f * largest) << name << " at " << i;
  }

  void expect_quantized(const QuantizedMatrix& got, const std::string& prefix) const {
    EXPECT_EQ(got.data, integers<int8_t>(prefix + "_q")) << prefix;
    EXPECT_EQ(got.scale, floats(prefix + "_scale")) << prefix;
    if (got.mapping == Int8Mapping::zeropoint) {
      EXPECT_EQ(got.zero_point, integers<int32_t>(prefix + "_zero")) << prefix;
    }
  }

  std::shared_ptr<Checkpoint> goldens_;
  std::set<std::string> cases_;
};

TEST_F(QuantizationGoldens, Schemes) {
  struct Scheme {
    const char* name;
    Int8Mapping mapping;
    Int8Granularity activations, weights;
  };
  const Scheme schemes[] = {
      {"absmax", Int8Mapping::absmax, Int8Granularity::tensor, Int8Granularity::tensor},
      {"row_wise", Int8Mapping::absmax, Int8Granularity::row, Int8Granularity::tensor},
      {"vector_wise", Int8Mapping::absmax, Int8Granularity::row, Int8Granularity::row},
      {"zeropoint", Int8Mapping::zeropoint, Int8Granularity::tensor, Int8Granularity::tensor},
      {"vector_wise_zeropoint", Int8Mapping::zeropoint, Int8Granularity::row, Int8Granularity::row},
  };
  for (const std::string& name : cases_) {
    std::vector<float> a_storage, w_storage;
    const ConstMatrixView a = matrix(name + ".a", a_storage), w = matrix(name + ".w", w_storage);
    const std::vector<float> bias = floats(name + ".bias");
    for (const Scheme& scheme : schemes) {
      const std::string prefix = name + "." + scheme.name;
      const QuantizedMatrix qa = quantize(a, scheme.mapping, scheme.activations);
      const QuantizedMatrix qw = quantize(w, scheme.mapping, scheme.weights);
      expect_quantized(qa, prefix + ".a");
      expect_quantized(qw, prefix + ".w");
      EXPECT_EQ(int8_product(qa, qw), integers<int32_t>(prefix + ".acc")) << prefix;
      if (scheme.mapping == Int8Mapping::zeropoint) {
        EXPECT_EQ(centered_int8_product(qa, qw), integers<int32_t>(prefix + ".acc_centered")) << prefix;
      }
      expect_close(scaled_int8_product(qa, qw, bias.data()), prefix + ".out");
    }
  }
}

TEST_F(QuantizationGoldens, LlmInt8) {
  for (const std::string& name : cases_) {
    std::vector<float> a_storage, w_storage;
    const ConstMatrixView a = matrix(name + ".a", a_storage), w = matrix(name + ".w", w_storage);
    const std::vector<float> bias = floats(name + ".bias");
    const QuantizedMatrix qw = quantize(w, Int8Mapping::absmax, Int8Granularity::row);
    for (const OutlierRule rule : {OutlierRule::column, OutlierRule::token}) {
      const std::string prefix = name + (rule == OutlierRule::column ? ".llm_int8_column" : ".llm_int8_token");
      const LlmInt8Options options{.outliers = rule};
      const LlmInt8Activations parts = quantize_llm_int8(a, options);
      EXPECT_EQ(parts.outlier_columns, integers<int64_t>(prefix + ".outlier_columns")) << prefix;
      expect_quantized(parts.a, prefix + ".a");
      EXPECT_EQ(int8_product(parts.a, qw), integers<int32_t>(prefix + ".acc")) << prefix;
      expect_close(llm_int8_product(a, qw, nullptr, bias.data(), options), prefix + ".out");
    }
  }
}

TEST_F(QuantizationGoldens, BitsandbytesInFloat32) {
  for (const std::string& name : cases_) {
    const std::string prefix = name + ".bnb.f32.";
    if (!goldens_->find(prefix + "plain.a_q")) continue;
    std::vector<float> a_storage;
    const ConstMatrixView a = matrix(name + ".a", a_storage);
    EXPECT_EQ(quantize(a, Int8Mapping::absmax, Int8Granularity::row).data, integers<int8_t>(prefix + "plain.a_q"));
    const LlmInt8Activations parts = quantize_llm_int8(a, {});
    EXPECT_EQ(parts.a.data, integers<int8_t>(prefix + "outliers.a_q")) << prefix;
    EXPECT_EQ(parts.outlier_columns, integers<int64_t>(prefix + "outliers.outlier_columns")) << prefix;
  }
}

}  // namespace
}  // namespace octoformer
