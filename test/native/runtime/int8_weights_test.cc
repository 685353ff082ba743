// Weights that a checkpoint holds as int8 with a scale a row, and the int8 settings of a Program.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>

#include "cpu/cpu_backend.h"
#include "formats/checkpoint_files.h"
#include "runtime/program.h"
#include "runtime/tiny_llama.h"
#include "runtime/weights.h"

namespace octoformer {
namespace {

/// q [3, 2] = {1, -2, 127, 0, -127, 4}, SCB = {127, 254, 12.7}.
std::string int8_file(std::string_view scale_dtype = "F32") {
  const int8_t values[8] = {1, -2, 127, 0, -127, 4, 0, 0};  // two bytes of padding; plain char has no sign on Arm
  std::string data(reinterpret_cast<const char*>(values), sizeof values);
  for (const float scale : {127.0f, 254.0f, 12.7f}) {
    char bytes[4];
    std::memcpy(bytes, &scale, sizeof bytes);
    data.append(bytes, sizeof bytes);
  }
  const std::string header = std::string(R"({"q":{"dtype":"I8","shape":[3,2],"data_offsets":[0,6]},)") +
                             R"("pad":{"dtype":"U8","shape":[2],"data_offsets":[6,8]},"q.SCB":{"dtype":")" +
                             std::string(scale_dtype) + R"(","shape":[3],"data_offsets":[8,20]}})";
  return safetensors_file(header, data);
}

WeightDescription int8_weight(WeightForm form) {
  WeightPart part;
  part.tensor = "q";
  part.shape = {3, 2};
  part.scale = "q.SCB";
  return {"w", WeightRole::linear, {3, 2}, form, ComputeType::float32, {part}, {}};
}

TEST(Int8WeightsTest, AreTakenAsTheyAre) {
  const TemporaryFile file(int8_file(), ".safetensors");
  const auto backend = make_cpu_backend({});
  const auto loaded =
      load_weights(std::vector{int8_weight(WeightForm::int8)}, *open_one(file.path()), *backend, LoadOptions{});
  const Int8Rows rows = loaded[0].linear->int8_rows(0, 3);
  EXPECT_EQ(rows.values, (std::vector<int8_t>{1, -2, 127, 0, -127, 4}));
  EXPECT_EQ(rows.scale, (std::vector<float>{1.0f, 2.0f, 12.7f / 127.0f}));
  EXPECT_EQ(weight_form_name(loaded[0].form()), "int8");
}

TEST(Int8WeightsTest, BecomeFloatsWhereTheFormIsOne) {
  const TemporaryFile file(int8_file(), ".safetensors");
  const auto checkpoint = open_one(file.path());
  const auto backend = make_cpu_backend({});
  const auto loaded = load_weights(std::vector{int8_weight(WeightForm::float32)}, *checkpoint, *backend, LoadOptions{});
  const std::vector<int32_t> indices = {1};
  std::vector<float> row(2);
  backend->embedding({indices, loaded[0].linear.get(), 1.0f, false, {row.data(), 1, 2, 2}});
  EXPECT_EQ(row, (std::vector<float>{254.0f, 0.0f}));
}

TEST(Int8WeightsTest, BadScalesAreRefusedByName) {
  const auto backend = make_cpu_backend({});
  const TemporaryFile file(int8_file("I32"), ".safetensors");
  const auto checkpoint = open_one(file.path());
  expect_error(ErrorCode::invalid_checkpoint, {"q.SCB", "I32"},
               [&] { load_weights(std::vector{int8_weight(WeightForm::int8)}, *checkpoint, *backend, LoadOptions{}); });
  WeightDescription missing = int8_weight(WeightForm::int8);
  missing.parts[0].scale = "elsewhere";
  expect_error(ErrorCode::missing_weight, {"elsewhere"},
               [&] { load_weights(std::vector{missing}, *checkpoint, *backend, LoadOptions{}); });
  WeightDescription other = int8_weight(WeightForm::int8);
  std::swap(other.parts[0].tensor, other.parts[0].scale);
  other.parts[0].shape = {3};
  expect_error(ErrorCode::invalid_checkpoint, {"q.SCB"},
               [&] { load_weights(std::vector{other}, *checkpoint, *backend, LoadOptions{}); });
}

std::string program_with(const std::string& form, const std::string& int8) {
  return R"({"version":1,"weights":[{"name":"w","role":"linear","shape":[3,2],"form":")" + form +
         R"(","compute":"float32","int8":)" + int8 +
         R"(,"parts":[{"tensor":"q","shape":[3,2],"scale":"q.SCB"}]}],"buffers":[],"cache_layers":[],"ops":[]})";
}

TEST(Int8WeightsTest, SettingsAreParsed) {
  const Program program =
      parse_program(
          program_with(
              "int8",
              R"({"weights":"zeropoint","weight_scales":"tensor","activations":"zeropoint","activation_scales":"tensor",
                  "threshold":6,"threshold_unit":"row-rms","outliers":"column","float_outlier_weights":true,"outlier_features":[1],
                  "count_outliers":true})"))
          .main;
  const Int8Settings& int8 = program.weights[0].int8;
  EXPECT_EQ(int8.weights, Int8Mapping::zeropoint);
  EXPECT_EQ(int8.weight_scales, Int8Granularity::tensor);
  EXPECT_EQ(int8.activation_scales, Int8Granularity::tensor);
  EXPECT_EQ(int8.threshold, 6.0f);
  EXPECT_EQ(int8.threshold_unit, ThresholdUnit::row_rms);
  EXPECT_EQ(int8.outliers, OutlierRule::column);
  EXPECT_TRUE(int8.float_outlier_weights && int8.count_outliers && int8.looks_across_rows());
  EXPECT_EQ(int8.outlier_features, std::vector<int64_t>{1});
  EXPECT_EQ(program.weights[0].parts[0].scale, "q.SCB");
  const Int8Settings groups =
      parse_program(program_with("int8", R"({"weight_only":true,"group_size":32})")).main.weights[0].int8;
  EXPECT_TRUE(groups.weight_only && groups.group_size == 32);
  EXPECT_FALSE(parse_program(program_with("int8", "{}")).main.weights[0].int8.looks_across_rows());
}

TEST(Int8WeightsTest, WrongSettingsAreRefusedByName) {
  const auto refuse = [](const std::string& form, const std::string& int8, std::string_view part) {
    expect_error(ErrorCode::invalid_argument, {part}, [&] { parse_program(program_with(form, int8)); });
  };
  refuse("float32", "{}", "only a weight of the form 'int8'");
  refuse("int8", R"({"thresold":6})", "thresold");
  refuse("int8", R"({"group_size":-4})", "-4");
  refuse("int8", R"({"threshold":-1})", "must not be negative");
  refuse("int8", R"({"outliers":"row"})", "token, column, whole-column");
  refuse("int8", R"({"threshold_unit":"rms"})", "absolute, row-rms");
}

}  // namespace
}  // namespace octoformer
