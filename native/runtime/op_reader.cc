#include "runtime/op_reader.h"

#include "runtime/json_choice.h"

namespace octoformer {

std::optional<Value> OpReader::optional_value(std::string_view key) {
  const Json* json = optional(key);
  if (json == nullptr) return std::nullopt;
  return as_value(*json);
}

std::optional<int32_t> OpReader::optional_vector(std::string_view key) {
  const Json* json = optional(key);
  if (json == nullptr) return std::nullopt;
  return as_weight(*json, WeightRole::vector);
}

Activation OpReader::optional_activation(std::string_view key) {
  const Json* json = optional(key);
  return json == nullptr ? Activation::identity : as_activation(*json);
}

int32_t OpReader::as_layer(const Json& json, std::string_view kind, size_t layers) {
  const int64_t layer = json.as_int64(0, INT32_MAX);
  if (static_cast<size_t>(layer) >= layers) {
    json.fail(kind, " layer ", layer, " does not exist: there are ", layers);
  }
  return static_cast<int32_t>(layer);
}

Value OpReader::as_value(const Json& json) const {
  JsonObjectReader reader(json, "a value");
  Value value;
  value.buffer = static_cast<int32_t>(reader.required("buffer").as_int64(0, INT32_MAX));
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

int32_t OpReader::as_weight(const Json& json, WeightRole role) const {
  const int64_t index = json.as_int64(0, INT32_MAX);
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

Activation OpReader::as_activation(const Json& json) {
  static constexpr JsonChoices<Activation, 9> kActivations = {{
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
  return as_choice(json, kActivations);
}

}  // namespace octoformer
