// Weights of a loaded model read back and compared with their checkpoint, and statistics of what linear layers read.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "cpu/cpu_backend.h"
#include "quantization/quantized_matrix.h"
#include "runtime/model.h"
#include "runtime/tiny_llama.h"
#include "runtime/weight_comparison.h"

namespace octoformer {
namespace {

/// w [5, 3] of two parts, the second one turned; v [3] a vector; one linear layer from w to the output.
struct Fixture {
  TinyTensor first{{3, 3}, {1, -2, 0.5f, 0, 0, 0, 100, 3, -7}};
  TinyTensor second{{3, 2}, {4, 40, 5, 50, 6, 60}};  // [in, out]
  TinyTensor vector{{3}, {1, 2, 3}};
  TinyTensor table{{4, 3}, {1, 2, 3, -4, 5, 6.5f, 0, 0, 0, 8, -9, 7}};
  TemporaryFile file{safetensors_of({{"a", first}, {"b", second}, {"v", vector}, {"t", table}}), ".safetensors"};
  std::shared_ptr<Checkpoint> checkpoint = open_one(file.path());

  std::unique_ptr<Model> model(const std::string& form) const {
    const std::string program =
        R"({"version":1,"weights":[)"
        R"({"name":"w","role":"linear","shape":[5,3],"form":")" +
        form +
        R"(","compute":"float32","parts":[{"tensor":"a","shape":[3,3]},{"tensor":"b","shape":[3,2],"transpose":true}]},)"
        R"({"name":"v","role":"vector","shape":[3],"form":"float32","compute":"float32","parts":[{"tensor":"v","shape":[3]}]},)"
        R"({"name":"t","role":"linear","shape":[4,3],"form":"float32","compute":"float32","parts":[{"tensor":"t","shape":[4,3]}]}],)"
        R"("buffers":[{"rows":"tokens","columns":3},{"rows":"tokens","columns":5}],"cache_layers":[],"ops":[)"
        R"({"op":"embedding","index":"input_ids","table":2,"out":{"buffer":0,"offset":0,"columns":3}},)"
        R"({"op":"linear","input":{"buffer":0,"offset":0,"columns":3},"weight":0,"out":{"buffer":1,"offset":0,"columns":5}},)"
        R"({"op":"output","name":"y","input":{"buffer":1,"offset":0,"columns":5}}]})";
    return Model::load(program, *checkpoint, make_cpu_backend({}), {});
  }

  /// What `w` is, row by row.
  std::vector<float> weight() const {
    std::vector<float> values = first.values;
    values.insert(values.end(), {4, 5, 6, 40, 50, 60});
    return values;
  }
};

std::vector<float> read(Model& model, size_t index, std::vector<int32_t> rows, size_t columns) {
  std::vector<float> out(rows.size() * columns);
  model.read_weight(index, rows, out.data());
  return out;
}

TEST(WeightAccess, RowsInAnyOrderOfEveryForm) {
  const Fixture fixture;
  const std::vector<float> all = fixture.weight();
  for (const char* form : {"float32", "bfloat16", "float16"}) {  // small whole numbers and halves: exact in all of them
    const auto model = fixture.model(form);
    EXPECT_EQ(read(*model, 0, {0, 1, 2, 3, 4}, 3), all) << form;
    EXPECT_EQ(read(*model, 0, {4, 0, 4}, 3), (std::vector<float>{40, 50, 60, 1, -2, 0.5f, 40, 50, 60})) << form;
    EXPECT_EQ(read(*model, 0, {}, 3), std::vector<float>{});
    EXPECT_EQ(read(*model, 1, {2, 0}, 1), (std::vector<float>{3, 1}));
  }
  const auto model = fixture.model("int8");
  const QuantizedMatrix quantized = quantize({all.data(), 5, 3, 3}, Int8Mapping::absmax, Int8Granularity::row);
  EXPECT_EQ(read(*model, 0, {0, 1, 2, 3, 4}, 3), dequantize(quantized));
}

TEST(WeightAccess, WhatIsNotThereIsRefused) {
  const auto model = Fixture().model("float32");
  for (const int32_t row : {-1, 5}) {
    expect_error(ErrorCode::invalid_argument, {"w", "5 rows"}, [&] { read(*model, 0, {0, row}, 3); });
  }
  expect_error(ErrorCode::invalid_argument, {"no weight 3"}, [&] { read(*model, 3, {0}, 3); });
}

TEST(WeightComparison, SumsOfEachPart) {
  const Fixture fixture;
  const auto model = fixture.model("int8");
  const std::vector<float> stored = fixture.weight();
  const std::vector<float> kept = read(*model, 0, {0, 1, 2, 3, 4}, 3);
  const auto parts = compare_weight(*model, 0, *fixture.checkpoint, nullptr);
  ASSERT_EQ(parts.size(), 2u);
  for (size_t part = 0; part < 2; ++part) {
    WeightDifference expected;
    for (size_t i = part == 0 ? 0 : 9; i < (part == 0 ? 9u : 15u); ++i) {
      const double error = static_cast<double>(kept[i]) - stored[i];
      expected.squared_error += error * error;
      expected.squared_norm += static_cast<double>(stored[i]) * stored[i];
      expected.largest_error = std::max(expected.largest_error, std::fabs(error));
      expected.largest_stored = std::max(expected.largest_stored, std::fabs(static_cast<double>(stored[i])));
    }
    EXPECT_GT(parts[part].squared_error, 0.0);
    EXPECT_DOUBLE_EQ(parts[part].squared_error, expected.squared_error);
    EXPECT_DOUBLE_EQ(parts[part].squared_norm, expected.squared_norm);
    EXPECT_EQ(parts[part].largest_error, expected.largest_error);
    EXPECT_EQ(parts[part].largest_stored, expected.largest_stored);
  }
  for (const WeightDifference& part : compare_weight(*fixture.model("float32"), 0, *fixture.checkpoint, nullptr)) {
    EXPECT_EQ(part.squared_error, 0.0);
  }
}

TEST(WeightComparison, AnotherCheckpointAndAborts) {
  const Fixture fixture;
  const auto model = fixture.model("int8");
  const TemporaryFile other(safetensors_of({{"a", {{2, 2}, {1, 2, 3, 4}}}, {"b", fixture.second}}), ".safetensors");
  expect_error(ErrorCode::shape_mismatch, {"a"}, [&] { compare_weight(*model, 0, *open_one(other.path()), nullptr); });
  const std::atomic<bool> abort = true;
  expect_error(ErrorCode::aborted, {"w"}, [&] { compare_weight(*model, 0, *fixture.checkpoint, &abort); });
}

TEST(InputStatisticsTest, CountsByFeature) {
  const auto model = Fixture().model("int8");
  RunRequest request;
  request.input_ids = {0, 1, 3, 1};
  request.lengths = {3, 1};
  request.caches.resize(2);
  request.outputs = {"y"};
  EXPECT_TRUE(model->run(request).inputs.empty());
  request.observe = 5.0f;
  const RunResult result = model->run(request);
  ASSERT_EQ(result.inputs.size(), 1u);
  const InputStatistics& statistics = result.inputs.at(0);
  EXPECT_EQ(statistics.rows, 4u);
  EXPECT_EQ(statistics.entries, (std::vector<uint64_t>{1, 3, 3}));  // 5 itself counts, and so does -9
  EXPECT_EQ(statistics.largest, (std::vector<float>{8, 9, 7}));
}

TEST(InputStatisticsTest, NotANumberStays) {
  const float values[] = {1.0f, std::numeric_limits<float>::quiet_NaN(), 2.0f, 3.0f};
  InputStatistics statistics;
  statistics.add({values, 2, 2, 2}, 2.0f);
  EXPECT_EQ(statistics.entries, (std::vector<uint64_t>{1, 1}));
  EXPECT_EQ(statistics.largest[0], 2.0f);
  EXPECT_TRUE(std::isnan(statistics.largest[1]));
}

}  // namespace
}  // namespace octoformer
