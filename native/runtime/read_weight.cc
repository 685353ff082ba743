#include "runtime/read_weight.h"

#include <optional>

#include "runtime/json_choice.h"
#include "runtime/json_object_reader.h"

namespace octoformer {

namespace {

WeightPart read_part(const Json& json) {
  JsonObjectReader reader(json, "a weight part");
  WeightPart part;
  part.tensor = reader.required("tensor").as_string();
  part.shape = reader.required("shape").as_int64_array(0, INT32_MAX);
  if (const Json* transpose = reader.optional("transpose")) part.transpose = transpose->as_bool();
  if (const Json* entry = reader.optional("entry")) part.entry = entry->as_int64(0, INT32_MAX);
  if (const Json* permute = reader.optional("permute_rows")) {
    JsonObjectReader permute_reader(*permute, "permute_rows");
    part.permute_rows = PermuteRows{permute_reader.required("dims").as_int64_array(1, INT32_MAX),
                                    permute_reader.required("axes").as_int64_array(0, INT32_MAX)};
    permute_reader.refuse_unknown_keys();
  }
  if (const Json* take = reader.optional("take_rows")) {
    JsonObjectReader take_reader(*take, "take_rows");
    part.take_rows = TakeRows{take_reader.required("first").as_int64(0, INT32_MAX),
                              take_reader.required("count").as_int64(0, INT32_MAX)};
    take_reader.refuse_unknown_keys();
  }
  if (const Json* scale = reader.optional("scale")) {
    part.scale = scale->as_string();
    if (part.scale.empty()) scale->fail("the name of a tensor must not be empty");
  }
  reader.refuse_unknown_keys();
  return part;
}

Int8Settings read_int8(const Json& json) {
  static constexpr JsonChoices<Int8Mapping, 2> kMappings = {
      {{"absmax", Int8Mapping::absmax}, {"zeropoint", Int8Mapping::zeropoint}}};
  static constexpr JsonChoices<Int8Granularity, 2> kGranularities = {
      {{"row", Int8Granularity::row}, {"tensor", Int8Granularity::tensor}}};
  static constexpr JsonChoices<OutlierRule, 3> kRules = {
      {{"token", OutlierRule::token}, {"column", OutlierRule::column}, {"whole-column", OutlierRule::whole_column}}};
  static constexpr JsonChoices<ThresholdUnit, 2> kUnits = {
      {{"absolute", ThresholdUnit::absolute}, {"row-rms", ThresholdUnit::row_rms}}};
  JsonObjectReader reader(json, "int8 settings");
  Int8Settings int8;
  const auto choose = [&](std::string_view key, const auto& choices, auto& choice) {
    if (const Json* given = reader.optional(key)) choice = as_choice(*given, choices);
  };
  const auto flag = [&](std::string_view key, bool& value) {
    if (const Json* given = reader.optional(key)) value = given->as_bool();
  };
  choose("weights", kMappings, int8.weights);
  choose("weight_scales", kGranularities, int8.weight_scales);
  if (const Json* group = reader.optional("group_size")) int8.group_size = group->as_int64(0, kMaxColumns);
  flag("weight_only", int8.weight_only);
  choose("activations", kMappings, int8.activations);
  choose("activation_scales", kGranularities, int8.activation_scales);
  if (const Json* threshold = reader.optional("threshold")) {
    int8.threshold = as_float(*threshold);
    if (int8.threshold < 0.0f) threshold->fail("the number must not be negative");
  }
  choose("threshold_unit", kUnits, int8.threshold_unit);
  choose("outliers", kRules, int8.outliers);
  flag("float_outlier_weights", int8.float_outlier_weights);
  if (const Json* features = reader.optional("outlier_features")) {
    int8.outlier_features = features->as_int64_array(0, kMaxColumns);
  }
  if (const Json* features = reader.optional("wide_features")) int8.wide_features = features->as_int64(0, kMaxColumns);
  flag("count_outliers", int8.count_outliers);
  reader.refuse_unknown_keys();
  return int8;
}

}  // namespace

WeightDescription read_weight(const Json& json) {
  static constexpr JsonChoices<WeightRole, 2> kRoles = {
      {{"linear", WeightRole::linear}, {"vector", WeightRole::vector}}};
  static constexpr JsonChoices<std::optional<WeightForm>, 5> kForms = {{{"auto", std::nullopt},
                                                                        {"float32", WeightForm::float32},
                                                                        {"bfloat16", WeightForm::bfloat16},
                                                                        {"float16", WeightForm::float16},
                                                                        {"int8", WeightForm::int8}}};
  static constexpr JsonChoices<ComputeType, 2> kComputes = {
      {{"float32", ComputeType::float32}, {"bfloat16", ComputeType::bfloat16}}};
  JsonObjectReader reader(json, "a weight");
  WeightDescription weight;
  weight.name = reader.required("name").as_string();
  weight.role = as_choice(reader.required("role"), kRoles);
  weight.shape = reader.required("shape").as_int64_array(1, kMaxColumns);
  weight.form = as_choice(reader.required("form"), kForms);
  weight.compute = as_choice(reader.required("compute"), kComputes);
  if (const Json* int8 = reader.optional("int8")) {
    if (weight.form != WeightForm::int8) int8->fail("only a weight of the form 'int8' has int8 settings");
    weight.int8 = read_int8(*int8);
  }
  if (weight.form == WeightForm::int8 && weight.role == WeightRole::vector) {
    reader.required("form").fail("a vector is kept as float32, not as int8");
  }
  const Json& parts = reader.required("parts");
  for (const Json& part : parts.as_array()) weight.parts.push_back(read_part(part));
  reader.refuse_unknown_keys();
  if (weight.parts.empty()) parts.fail("a weight needs at least one part");
  const size_t dimensions = weight.role == WeightRole::linear ? 2 : 1;
  if (weight.shape.size() != dimensions) {
    reader.required("shape").fail("a weight of this role has ", dimensions, " dimension(s), found ",
                                  weight.shape.size());
  }
  return weight;
}

}  // namespace octoformer
