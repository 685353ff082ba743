#include "runtime/weights.h"

#include <gtest/gtest.h>

#include <limits>
#include <mutex>

#include "reference/reference_backend.h"
#include "runtime/tiny_llama.h"
#include "runtime/weight_source.h"

namespace octoformer {
namespace {

/// value(row, column) = 10 row + column
TinyTensor counted(int64_t rows, int64_t columns) {
  TinyTensor tensor{{rows, columns}, {}};
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) tensor.values.push_back(static_cast<float>(10 * i + j));
  }
  return tensor;
}

class WeightsTest : public testing::Test {
 protected:
  WeightsTest()
      : file_(safetensors_of({{"a", counted(6, 2)},
                              {"b", counted(2, 3)},
                              {"v", {{4}, {1, 2, 3, 4}}},
                              {"stack", {{2, 3, 2}, {0, 1, 10, 11, 20, 21, 30, 31, 40, 41, 50, 51}}},
                              {"bad", {{3}, {1, std::numeric_limits<float>::infinity(), 3}}},
                              {"bad_matrix", {{1, 2}, {1, std::numeric_limits<float>::quiet_NaN()}}}}),
              ".safetensors"),
        checkpoint_(open_one(file_.path())) {}

  std::vector<float> rows(const WeightDescription& weight, int64_t first, int64_t count) const {
    const WeightSource source(weight, *checkpoint_);
    std::vector<float> values(static_cast<size_t>(count * source.columns()));
    source.read_rows(first, count, values.data());
    return values;
  }

  void refuse(const WeightDescription& weight, ErrorCode code, std::initializer_list<std::string_view> parts) const {
    expect_error(code, parts, [&] { WeightSource(weight, *checkpoint_); });
  }

  TemporaryFile file_;
  std::shared_ptr<Checkpoint> checkpoint_;
};

WeightDescription matrix(std::vector<int64_t> shape, std::vector<WeightPart> parts) {
  return {"w", WeightRole::linear, std::move(shape), std::nullopt, ComputeType::float32, std::move(parts)};
}

WeightPart part(std::string tensor, std::vector<int64_t> shape) {
  WeightPart result;
  result.tensor = std::move(tensor);
  result.shape = std::move(shape);
  return result;
}

using Values = std::vector<float>;

TEST_F(WeightsTest, PlainRows) { EXPECT_EQ(rows(matrix({6, 2}, {part("a", {6, 2})}), 4, 2), (Values{40, 41, 50, 51})); }

TEST_F(WeightsTest, TransposedRowsAreColumns) {
  WeightPart transposed = part("b", {2, 3});
  transposed.transpose = true;
  EXPECT_EQ(rows(matrix({3, 2}, {transposed}), 0, 3), (Values{0, 10, 1, 11, 2, 12}));
  EXPECT_EQ(rows(matrix({3, 2}, {transposed}), 2, 1), (Values{2, 12}));
}

TEST_F(WeightsTest, TransposedRowsInAnotherOrder) {
  WeightPart turned = part("a", {6, 2});  // as a matrix [2, 6], whose two rows change places
  turned.transpose = true;
  turned.permute_rows = PermuteRows{{1, 2}, {1, 0}};
  EXPECT_EQ(rows(matrix({2, 6}, {turned}), 0, 2), (Values{0, 10, 20, 30, 40, 50, 1, 11, 21, 31, 41, 51}));
  WeightPart pairs = part("b", {2, 3});  // [3, 2] has rows 0, 1, 2; taken as 0, 2 and 1
  pairs.transpose = true;
  pairs.permute_rows = PermuteRows{{3}, {0}};
  pairs.take_rows = TakeRows{1, 2};
  EXPECT_EQ(rows(matrix({2, 2}, {pairs}), 0, 2), (Values{1, 11, 2, 12}));
}

TEST_F(WeightsTest, PermutedRows) {
  // numpy: arange(6).reshape(1, 3, 2).transpose(0, 2, 1).ravel() = 0 2 4 1 3 5
  WeightPart permuted = part("a", {6, 2});
  permuted.permute_rows = PermuteRows{{1, 3, 2}, {0, 2, 1}};
  EXPECT_EQ(rows(matrix({6, 2}, {permuted}), 0, 6), (Values{0, 1, 20, 21, 40, 41, 10, 11, 30, 31, 50, 51}));
  // arange(6).reshape(2, 3).transpose(1, 0).ravel() = 0 3 1 4 2 5, then rows 1 to 3
  permuted.permute_rows = PermuteRows{{2, 3}, {1, 0}};
  permuted.take_rows = TakeRows{1, 3};
  EXPECT_EQ(rows(matrix({3, 2}, {permuted}), 0, 3), (Values{30, 31, 10, 11, 40, 41}));
}

TEST_F(WeightsTest, PartsAreConcatenated) {
  WeightPart tail = part("a", {6, 2});
  tail.take_rows = TakeRows{4, 2};
  WeightPart transposed = part("b", {2, 3});
  transposed.transpose = true;
  const WeightDescription weight = matrix({5, 2}, {tail, transposed});
  EXPECT_EQ(rows(weight, 0, 5), (Values{40, 41, 50, 51, 0, 10, 1, 11, 2, 12}));
  EXPECT_EQ(rows(weight, 1, 2), (Values{50, 51, 0, 10}));  // over the border
  EXPECT_EQ(rows(weight, 5, 0), Values{});
}

TEST_F(WeightsTest, VectorsTakeTheSameSteps) {
  WeightDescription vector = matrix({4}, {part("v", {4})});
  vector.role = WeightRole::vector;
  EXPECT_EQ(rows(vector, 0, 4), (Values{1, 2, 3, 4}));
  vector.parts[0].permute_rows = PermuteRows{{2, 2}, {1, 0}};
  vector.parts.push_back(part("v", {4}));
  vector.parts[1].take_rows = TakeRows{3, 1};
  vector.shape = {5};
  EXPECT_EQ(rows(vector, 0, 5), (Values{1, 3, 2, 4, 4}));
}

TEST_F(WeightsTest, AnEntryOfAStackIsAMatrix) {
  WeightPart entry = part("stack", {2, 3, 2});
  EXPECT_EQ(rows(matrix({6, 2}, {entry}), 2, 2), (Values{20, 21, 30, 31}));
  entry.entry = 1;
  EXPECT_EQ(rows(matrix({3, 2}, {entry}), 0, 3), (Values{30, 31, 40, 41, 50, 51}));
  EXPECT_EQ(rows(matrix({3, 2}, {entry}), 1, 1), (Values{40, 41}));
  entry.take_rows = TakeRows{1, 2};
  EXPECT_EQ(rows(matrix({2, 2}, {entry}), 0, 2), (Values{40, 41, 50, 51}));
  entry.permute_rows = PermuteRows{{1, 3}, {1, 0}};
  entry.entry = 0;
  EXPECT_EQ(rows(matrix({2, 2}, {entry}), 0, 2), (Values{10, 11, 20, 21}));
  entry.entry = 2;
  refuse(matrix({2, 2}, {entry}), ErrorCode::shape_mismatch, {"tensor stack", "2 entries", "number 2"});
  WeightPart alone = part("a", {6, 2});
  alone.entry = 0;
  refuse(matrix({6, 2}, {alone}), ErrorCode::invalid_argument, {"stack of matrices"});
}

TEST_F(WeightsTest, AVectorIsAMatrixOfOneRow) {
  EXPECT_EQ(rows(matrix({1, 4}, {part("v", {4})}), 0, 1), (Values{1, 2, 3, 4}));
  refuse(matrix({4, 1}, {part("v", {4})}), ErrorCode::shape_mismatch, {"rows of 4 numbers", "rows of 1"});
}

TEST_F(WeightsTest, WhatDoesNotFitIsRefusedByName) {
  refuse(matrix({6, 2}, {part("a", {2, 6})}), ErrorCode::shape_mismatch,
         {file_.path(), "tensor a", "[6, 2]", "[2, 6]"});
  refuse(matrix({5, 2}, {part("a", {6, 2})}), ErrorCode::shape_mismatch, {"tensor a", "6 rows", "[5, 2]"});
  refuse(matrix({6, 3}, {part("a", {6, 2})}), ErrorCode::shape_mismatch, {"rows of 2 numbers", "rows of 3"});
  WeightPart beyond = part("a", {6, 2});
  beyond.take_rows = TakeRows{4, 3};
  refuse(matrix({3, 2}, {beyond}), ErrorCode::shape_mismatch, {"6 rows", "[4, 7)"});
  WeightPart permuted = part("a", {6, 2});
  for (const PermuteRows& bad : {PermuteRows{{2, 2}, {0, 1}}, PermuteRows{{2, 3}, {0, 0}}, PermuteRows{{2, 3}, {0, 2}},
                                 PermuteRows{{2, 3}, {0}}, PermuteRows{{INT32_MAX, INT32_MAX, INT32_MAX}, {0, 1, 2}}}) {
    permuted.permute_rows = bad;
    refuse(matrix({6, 2}, {permuted}), ErrorCode::invalid_argument, {"permute_rows of w"});
  }
}

TEST_F(WeightsTest, AutoKeepsTheStoredForm) {
  const auto form_of = [](std::string_view header, std::optional<WeightForm> form, std::vector<WeightPart> parts,
                          std::vector<int64_t> shape) {
    const TemporaryFile file(safetensors_file(header, std::string(12, '\0')), ".safetensors");
    const auto checkpoint = open_one(file.path());
    WeightDescription weight = matrix(std::move(shape), std::move(parts));
    weight.form = form;
    return WeightSource(weight, *checkpoint).form();
  };
  const std::string_view header = R"({"h":{"dtype":"F16","shape":[1,2],"data_offsets":[0,4]},
      "b":{"dtype":"BF16","shape":[1,2],"data_offsets":[4,8]},"i":{"dtype":"I8","shape":[2,2],"data_offsets":[8,12]}})";
  EXPECT_EQ(form_of(header, std::nullopt, {part("h", {1, 2})}, {1, 2}), WeightForm::float16);
  EXPECT_EQ(form_of(header, std::nullopt, {part("b", {1, 2})}, {1, 2}), WeightForm::bfloat16);
  EXPECT_EQ(form_of(header, std::nullopt, {part("b", {1, 2}), part("h", {1, 2})}, {2, 2}), WeightForm::float32);
  EXPECT_EQ(form_of(header, WeightForm::float32, {part("b", {1, 2})}, {1, 2}), WeightForm::float32);
  expect_error(ErrorCode::invalid_checkpoint, {"tensor i", "I8"},
               [&] { form_of(header, std::nullopt, {part("i", {2, 2})}, {2, 2}); });
}

/// Counts what is asked of it.
class CountingBackend : public ReferenceBackend {
 public:
  std::unique_ptr<LinearWeight> pack_linear(const LinearWeightDescription& description, const RowSource& rows,
                                            const std::atomic<bool>* abort) override {
    ++packed;
    return ReferenceBackend::pack_linear(description, rows, abort);
  }
  int packed = 0;
};

TEST_F(WeightsTest, EverythingIsCheckedBeforeAnythingIsPacked) {
  CountingBackend backend;
  const WeightDescription good = matrix({6, 2}, {part("a", {6, 2})});
  const WeightDescription misshapen = matrix({2, 4}, {part("b", {2, 4})});
  expect_error(ErrorCode::shape_mismatch, {"tensor b", "[2, 3]", "[2, 4]"},
               [&] { load_weights(std::vector{good, misshapen}, *checkpoint_, backend, {}); });
  const WeightDescription missing = matrix({2, 4}, {part("x", {2, 4}), part("y", {2, 4}), part("x", {2, 4})});
  expect_error(ErrorCode::missing_weight, {file_.path(), "no tensor x, y;"},
               [&] { load_weights(std::vector{good, missing}, *checkpoint_, backend, {}); });
  EXPECT_EQ(backend.packed, 0);
}

TEST_F(WeightsTest, NumbersThatAreNotFiniteAreRefused) {
  CountingBackend backend;
  WeightDescription vector = matrix({3}, {part("bad", {3})});
  vector.role = WeightRole::vector;
  expect_error(ErrorCode::invalid_checkpoint, {file_.path(), "tensor bad", "index 1"},
               [&] { load_weights(std::vector{vector}, *checkpoint_, backend, {}); });
  expect_error(ErrorCode::invalid_checkpoint, {file_.path(), "tensor bad_matrix"}, [&] {
    load_weights(std::vector{matrix({1, 2}, {part("bad_matrix", {1, 2})})}, *checkpoint_, backend, {});
  });
}

TEST_F(WeightsTest, ProgressRisesToTheTotal) {
  CountingBackend backend;
  std::vector<std::pair<uint64_t, uint64_t>> reports;
  LoadOptions options;
  options.progress = [&](uint64_t loaded, uint64_t total) { reports.emplace_back(loaded, total); };
  WeightDescription vector = matrix({4}, {part("v", {4})});
  vector.role = WeightRole::vector;
  const auto loaded =
      load_weights(std::vector{matrix({6, 2}, {part("a", {6, 2})}), vector}, *checkpoint_, backend, options);
  EXPECT_EQ(loaded[1].vector, (Values{1, 2, 3, 4}));
  EXPECT_EQ(loaded[0].bytes(), 48u);
  ASSERT_FALSE(reports.empty());
  for (size_t i = 1; i < reports.size(); ++i) EXPECT_GE(reports[i].first, reports[i - 1].first);
  EXPECT_EQ(reports.front().first, 8u);  // one row of six, of 48 bytes
  EXPECT_EQ(reports.back(), (std::pair<uint64_t, uint64_t>{48 + 16, 48 + 16}));
}

TEST_F(WeightsTest, LoadingIsAborted) {
  CountingBackend backend;
  const std::atomic<bool> abort = true;
  LoadOptions options;
  options.abort = &abort;
  expect_error(ErrorCode::aborted, {"aborted"},
               [&] { load_weights(std::vector{matrix({6, 2}, {part("a", {6, 2})})}, *checkpoint_, backend, options); });
  EXPECT_EQ(backend.packed, 0);
}

}  // namespace
}  // namespace octoformer
