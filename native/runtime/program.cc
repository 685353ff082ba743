#include "runtime/program.h"

#include <array>
#include <cmath>
#include <utility>

#include "formats/json.h"
#include "runtime/json_object_reader.h"

namespace octoformer {

namespace {

constexpr int64_t kMaxInt32 = INT32_MAX;

template <class T, size_t N>
T as_choice(const Json& json, const std::array<std::pair<std::string_view, T>, N>& choices) {
  const std::string_view text = json.as_string();
  for (const auto& [name, choice] : choices) {
    if (name == text) return choice;
  }
  std::string names;
  for (const auto& [name, choice] : choices) {
    if (!names.empty()) names += ", ";
    names += name;
  }
  json.fail("'", text, "' is not one of: ", names);
}

constexpr std::array<std::pair<std::string_view, RowSymbol>, kRowSymbols> kRowSymbolNames = {{
    {"tokens", RowSymbol::tokens},
    {"rows", RowSymbol::rows},
    {"sequences", RowSymbol::sequences},
}};

constexpr std::array<std::pair<std::string_view, Activation>, 9> kActivationNames = {{
    {"identity", Activation::identity},
    {"relu", Activation::relu},
    {"relu_squared", Activation::relu_squared},
    {"silu", Activation::silu},
    {"gelu", Activation::gelu},
    {"gelu_tanh", Activation::gelu_tanh},
    {"gelu_quick", Activation::gelu_quick},
    {"tanh", Activation::tanh},
    {"sigmoid", Activation::sigmoid},
}};

float as_float(const Json& json) {
  const float value = static_cast<float>(json.as_double());
  if (!std::isfinite(value)) json.fail("the number must be finite in float32");
  return value;
}

float as_positive_float(const Json& json) {
  const float value = as_float(json);
  if (!(value > 0)) json.fail("the number must be above 0, found ", value);
  return value;
}

std::vector<float> as_floats(const Json& json) {
  std::vector<float> values;
  for (const Json& element : json.as_array()) values.push_back(as_float(element));
  return values;
}

Activation as_activation(const Json& json) { return as_choice(json, kActivationNames); }

/// Resolves indices against the lists that the Program has declared before.
class ProgramParser {
 public:
  Program parse(const Json& root) {
    JsonObjectReader reader(root, "a program");
    if (reader.required("version").as_int64() != 1) reader.required("version").fail("only version 1 is known");
    for (const Json& weight : reader.required("weights").as_array()) program_.weights.push_back(parse_weight(weight));
    for (const Json& buffer : reader.required("buffers").as_array()) program_.buffers.push_back(parse_buffer(buffer));
    for (const Json& layer : reader.required("cache_layers").as_array()) {
      program_.cache_layers.push_back(parse_cache_layer(layer));
    }
    for (const Json& op : reader.required("ops").as_array()) program_.ops.push_back(parse_op(op));
    reader.refuse_unknown_keys();
    return std::move(program_);
  }

 private:
  static BufferDescription parse_buffer(const Json& json) {
    JsonObjectReader reader(json, "a buffer");
    BufferDescription buffer;
    buffer.rows = as_choice(reader.required("rows"), kRowSymbolNames);
    buffer.columns = reader.required("columns").as_int64(1, kMaxColumns);
    reader.refuse_unknown_keys();
    return buffer;
  }

  static CacheLayerDescription parse_cache_layer(const Json& json) {
    JsonObjectReader reader(json, "a cache layer");
    CacheLayerDescription layer;
    layer.kv_heads = reader.required("kv_heads").as_int64(1, kMaxColumns);
    layer.head_dim = reader.required("head_dim").as_int64(1, kMaxColumns);
    if (layer.kv_heads * layer.head_dim > kMaxColumns) json.fail("kv_heads * head_dim is above ", kMaxColumns);
    reader.refuse_unknown_keys();
    return layer;
  }

  static WeightPart parse_part(const Json& json) {
    JsonObjectReader reader(json, "a weight part");
    WeightPart part;
    part.tensor = reader.required("tensor").as_string();
    part.shape = reader.required("shape").as_int64_array(0, kMaxInt32);
    if (const Json* transpose = reader.optional("transpose")) part.transpose = transpose->as_bool();
    if (const Json* permute = reader.optional("permute_rows")) {
      JsonObjectReader permute_reader(*permute, "permute_rows");
      part.permute_rows = PermuteRows{permute_reader.required("dims").as_int64_array(1, kMaxInt32),
                                      permute_reader.required("axes").as_int64_array(0, kMaxInt32)};
      permute_reader.refuse_unknown_keys();
    }
    if (const Json* take = reader.optional("take_rows")) {
      JsonObjectReader take_reader(*take, "take_rows");
      part.take_rows = TakeRows{take_reader.required("first").as_int64(0, kMaxInt32),
                                take_reader.required("count").as_int64(0, kMaxInt32)};
      take_reader.refuse_unknown_keys();
    }
    if (const Json* scale = reader.optional("scale")) {
      part.scale = scale->as_string();
      if (part.scale.empty()) scale->fail("the name of a tensor must not be empty");
    }
    reader.refuse_unknown_keys();
    return part;
  }

  /// Whether the numbers fit the weight is the backend's business.
  static Int8Settings parse_int8(const Json& json) {
    static constexpr std::array<std::pair<std::string_view, Int8Mapping>, 2> kMappings = {
        {{"absmax", Int8Mapping::absmax}, {"zeropoint", Int8Mapping::zeropoint}}};
    static constexpr std::array<std::pair<std::string_view, Int8Granularity>, 2> kGranularities = {
        {{"row", Int8Granularity::row}, {"tensor", Int8Granularity::tensor}}};
    static constexpr std::array<std::pair<std::string_view, OutlierRule>, 2> kRules = {
        {{"token", OutlierRule::token}, {"column", OutlierRule::column}}};
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
    flag("weight_only", int8.weight_only);
    choose("activations", kMappings, int8.activations);
    choose("activation_scales", kGranularities, int8.activation_scales);
    if (const Json* threshold = reader.optional("threshold")) {
      int8.threshold = as_float(*threshold);
      if (int8.threshold < 0.0f) threshold->fail("the number must not be negative");
    }
    choose("outliers", kRules, int8.outliers);
    flag("float_outlier_weights", int8.float_outlier_weights);
    if (const Json* features = reader.optional("outlier_features")) {
      int8.outlier_features = features->as_int64_array(0, kMaxColumns);
    }
    flag("count_outliers", int8.count_outliers);
    reader.refuse_unknown_keys();
    return int8;
  }

  static WeightDescription parse_weight(const Json& json) {
    static constexpr std::array<std::pair<std::string_view, WeightRole>, 2> kRoles = {
        {{"linear", WeightRole::linear}, {"vector", WeightRole::vector}}};
    static constexpr std::array<std::pair<std::string_view, std::optional<WeightForm>>, 5> kForms = {
        {{"auto", std::nullopt},
         {"float32", WeightForm::float32},
         {"bfloat16", WeightForm::bfloat16},
         {"float16", WeightForm::float16},
         {"int8", WeightForm::int8}}};
    static constexpr std::array<std::pair<std::string_view, ComputeType>, 2> kComputes = {
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
      weight.int8 = parse_int8(*int8);
    }
    if (weight.form == WeightForm::int8 && weight.role == WeightRole::vector) {
      reader.required("form").fail("a vector is kept as float32, not as int8");
    }
    const Json& parts = reader.required("parts");
    for (const Json& part : parts.as_array()) weight.parts.push_back(parse_part(part));
    reader.refuse_unknown_keys();
    if (weight.parts.empty()) parts.fail("a weight needs at least one part");
    const size_t dimensions = weight.role == WeightRole::linear ? 2 : 1;
    if (weight.shape.size() != dimensions) {
      reader.required("shape").fail("a weight of this role has ", dimensions, " dimension(s), found ",
                                    weight.shape.size());
    }
    return weight;
  }

  Value as_value(const Json& json) const {
    JsonObjectReader reader(json, "a value");
    Value value;
    value.buffer = static_cast<int32_t>(reader.required("buffer").as_int64(0, kMaxInt32));
    value.offset = reader.required("offset").as_int64(0, kMaxColumns);
    value.columns = reader.required("columns").as_int64(1, kMaxColumns);
    reader.refuse_unknown_keys();
    if (static_cast<size_t>(value.buffer) >= program_.buffers.size()) {
      json.fail("buffer ", value.buffer, " does not exist: there are ", program_.buffers.size());
    }
    const int64_t columns = program_.buffers[static_cast<size_t>(value.buffer)].columns;
    if (value.offset + value.columns > columns) {
      json.fail("columns [", value.offset, ", ", value.offset + value.columns, ") lie outside buffer ", value.buffer,
                ", which has ", columns);
    }
    return value;
  }

  int32_t as_weight(const Json& json, WeightRole role) const {
    const int64_t index = json.as_int64(0, kMaxInt32);
    if (static_cast<size_t>(index) >= program_.weights.size()) {
      json.fail("weight ", index, " does not exist: there are ", program_.weights.size());
    }
    const WeightDescription& weight = program_.weights[static_cast<size_t>(index)];
    if (weight.role != role) {
      json.fail("weight ", index, " (", weight.name, ") must have the role '",
                role == WeightRole::linear ? "linear" : "vector", "'");
    }
    return static_cast<int32_t>(index);
  }

  std::optional<int32_t> as_optional_vector(const Json* json) const {
    if (json == nullptr) return std::nullopt;
    return as_weight(*json, WeightRole::vector);
  }

  Op parse_op(const Json& json) const {
    const Json& kind = json.at("op");
    const std::string_view name = kind.as_string();
    Op op;
    if (parse_if<EmbeddingOp>(name, json, op) || parse_if<LinearOp>(name, json, op) ||
        parse_if<NormOp>(name, json, op) || parse_if<RopeTableOp>(name, json, op) || parse_if<RopeOp>(name, json, op) ||
        parse_if<AttentionOp>(name, json, op) || parse_if<GatedActivationOp>(name, json, op) ||
        parse_if<ActivationOp>(name, json, op) || parse_if<ElementwiseOp>(name, json, op) ||
        parse_if<ScaleOp>(name, json, op) || parse_if<GatherRowsOp>(name, json, op) ||
        parse_if<OutputOp>(name, json, op)) {
      return op;
    }
    kind.fail("unknown op '", name, "': this build can't run the program; rebuild the addon that belongs to it");
  }

  template <class T>
  bool parse_if(std::string_view name, const Json& json, Op& op) const {
    if (name != T::kName) return false;
    JsonObjectReader reader(json, T::kName);
    reader.required("op");
    T parsed;
    parse(reader, parsed);
    reader.refuse_unknown_keys();
    op = std::move(parsed);
    return true;
  }

  void parse(JsonObjectReader& reader, EmbeddingOp& op) const {
    static constexpr std::array<std::pair<std::string_view, IndexSource>, 3> kSources = {
        {{"input_ids", IndexSource::input_ids},
         {"position_ids", IndexSource::position_ids},
         {"token_type_ids", IndexSource::token_type_ids}}};
    op.index = as_choice(reader.required("index"), kSources);
    if (const Json* offset = reader.optional("offset")) op.offset = offset->as_int64(0, kMaxColumns);
    op.table = as_weight(reader.required("table"), WeightRole::linear);
    if (const Json* scale = reader.optional("scale")) op.scale = as_float(*scale);
    if (const Json* accumulate = reader.optional("accumulate")) op.accumulate = accumulate->as_bool();
    op.out = as_value(reader.required("out"));
  }

  void parse(JsonObjectReader& reader, LinearOp& op) const {
    op.input = as_value(reader.required("input"));
    op.weight = as_weight(reader.required("weight"), WeightRole::linear);
    op.bias = as_optional_vector(reader.optional("bias"));
    if (const Json* activation = reader.optional("activation")) op.activation = as_activation(*activation);
    if (const Json* residual = reader.optional("residual")) op.residual = as_value(*residual);
    op.out = as_value(reader.required("out"));
  }

  void parse(JsonObjectReader& reader, NormOp& op) const {
    static constexpr std::array<std::pair<std::string_view, NormKind>, 2> kKinds = {
        {{"rms", NormKind::rms}, {"layer", NormKind::layer}}};
    op.kind = as_choice(reader.required("kind"), kKinds);
    op.input = as_value(reader.required("input"));
    op.out = as_value(reader.required("out"));
    op.weight = as_optional_vector(reader.optional("weight"));
    op.bias = as_optional_vector(reader.optional("bias"));
    if (const Json* offset = reader.optional("weight_offset")) op.weight_offset = as_float(*offset);
    op.epsilon = as_float(reader.required("epsilon"));
    if (op.epsilon < 0) reader.required("epsilon").fail("the number must not be negative");
    op.group = op.input.columns;
    if (const Json* group = reader.optional("group")) op.group = group->as_int64(1, kMaxColumns);
  }

  void parse(JsonObjectReader& reader, RopeTableOp& op) const {
    op.out = as_value(reader.required("out"));
    op.inv_freq = as_floats(reader.required("inv_freq"));
    op.attention_factor = as_float(reader.required("attention_factor"));
    if (const Json* json = reader.optional("long")) {
      JsonObjectReader long_reader(*json, "long");
      op.long_context = RopeTableOp::Long{long_reader.required("original_max").as_int64(1, kMaxInt32),
                                          as_floats(long_reader.required("inv_freq")),
                                          as_float(long_reader.required("attention_factor"))};
      long_reader.refuse_unknown_keys();
    }
    if (const Json* json = reader.optional("dynamic")) {
      JsonObjectReader dynamic_reader(*json, "dynamic");
      op.dynamic = RopeTableOp::Dynamic{dynamic_reader.required("max").as_int64(1, kMaxInt32),
                                        as_positive_float(dynamic_reader.required("base")),
                                        as_positive_float(dynamic_reader.required("factor"))};
      dynamic_reader.refuse_unknown_keys();
    }
  }

  void parse(JsonObjectReader& reader, RopeOp& op) const {
    static constexpr std::array<std::pair<std::string_view, RopePairing>, 2> kPairings = {
        {{"half", RopePairing::half}, {"adjacent", RopePairing::adjacent}}};
    op.x = as_value(reader.required("x"));
    op.table = as_value(reader.required("table"));
    op.heads = reader.required("heads").as_int64(1, kMaxColumns);
    op.head_dim = reader.required("head_dim").as_int64(1, kMaxColumns);
    op.pairing = as_choice(reader.required("pairing"), kPairings);
  }

  void parse(JsonObjectReader& reader, AttentionOp& op) const {
    static constexpr std::array<std::pair<std::string_view, bool>, 2> kPatterns = {{{"causal", true}, {"full", false}}};
    op.query = as_value(reader.required("query"));
    op.key = as_value(reader.required("key"));
    op.value = as_value(reader.required("value"));
    op.out = as_value(reader.required("out"));
    op.layer = static_cast<int32_t>(reader.required("layer").as_int64(0, kMaxInt32));
    if (static_cast<size_t>(op.layer) >= program_.cache_layers.size()) {
      reader.required("layer").fail("cache layer ", op.layer, " does not exist: there are ",
                                    program_.cache_layers.size());
    }
    op.heads = reader.required("heads").as_int64(1, kMaxColumns);
    op.scale = as_float(reader.required("scale"));
    JsonObjectReader pattern(reader.required("pattern"), "pattern");
    op.causal = as_choice(pattern.required("kind"), kPatterns);
    if (const Json* window = pattern.optional("window")) op.window = window->as_int64(1, kMaxInt32);
    pattern.refuse_unknown_keys();
    if (const Json* softcap = reader.optional("softcap")) op.softcap = as_positive_float(*softcap);
    if (const Json* slopes = reader.optional("alibi_slopes")) {
      op.alibi_slopes = as_floats(*slopes);
      if (static_cast<int64_t>(op.alibi_slopes.size()) != op.heads) {
        slopes->fail("there must be one slope a head (", op.heads, "), found ", op.alibi_slopes.size());
      }
    }
    if (const Json* rounding = reader.optional("alibi_rounding")) {
      static constexpr std::array<std::pair<std::string_view, bool>, 1> kRoundings = {{{"bfloat16", true}}};
      op.alibi_bfloat16 = as_choice(*rounding, kRoundings);
      if (op.alibi_slopes.empty()) rounding->fail("there are no alibi_slopes to round");
    }
    if (const Json* probabilities = reader.optional("probabilities")) {
      op.probabilities = probabilities->as_string();
      if (op.probabilities.empty()) probabilities->fail("the name of an output must not be empty");
    }
  }

  void parse(JsonObjectReader& reader, GatedActivationOp& op) const {
    op.gate = as_value(reader.required("gate"));
    op.up = as_value(reader.required("up"));
    op.activation = as_activation(reader.required("activation"));
    op.out = as_value(reader.required("out"));
  }

  void parse(JsonObjectReader& reader, ActivationOp& op) const {
    op.input = as_value(reader.required("input"));
    op.activation = as_activation(reader.required("activation"));
    op.out = as_value(reader.required("out"));
  }

  void parse(JsonObjectReader& reader, ElementwiseOp& op) const {
    static constexpr std::array<std::pair<std::string_view, ElementwiseKind>, 2> kKinds = {
        {{"add", ElementwiseKind::add}, {"multiply", ElementwiseKind::multiply}}};
    op.kind = as_choice(reader.required("kind"), kKinds);
    op.left = as_value(reader.required("left"));
    op.right = as_value(reader.required("right"));
    op.out = as_value(reader.required("out"));
  }

  void parse(JsonObjectReader& reader, ScaleOp& op) const {
    op.input = as_value(reader.required("input"));
    op.factor = as_float(reader.required("factor"));
    if (const Json* softcap = reader.optional("softcap")) op.softcap = as_positive_float(*softcap);
    op.out = as_value(reader.required("out"));
  }

  void parse(JsonObjectReader& reader, GatherRowsOp& op) const {
    op.input = as_value(reader.required("input"));
    op.out = as_value(reader.required("out"));
  }

  void parse(JsonObjectReader& reader, OutputOp& op) const {
    op.name = reader.required("name").as_string();
    if (op.name.empty()) reader.required("name").fail("the name of an output must not be empty");
    op.input = as_value(reader.required("input"));
  }

  Program program_;
};

}  // namespace

const char* row_symbol_name(RowSymbol symbol) {
  return kRowSymbolNames[static_cast<size_t>(symbol)].first.data();  // literals: terminated by NUL
}

std::string_view op_name(const Op& op) {
  return std::visit([](const auto& alternative) { return alternative.kName; }, op);
}

Program parse_program(std::string json) {
  const JsonDocument document = JsonDocument::parse(std::move(json), JsonOptions{.source = "program"});
  return ProgramParser().parse(document.root());
}

}  // namespace octoformer
