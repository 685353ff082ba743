// Reads the fields of one op of a Program, resolving indices against what the Program has declared before it.
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

#include "formats/json.h"
#include "runtime/json_object_reader.h"
#include "runtime/program.h"

namespace octoformer {

class OpReader : public JsonObjectReader {
 public:
  /// `program` has its weights, buffers and layers already.
  OpReader(const Json& op, std::string_view name, const Program& program)
      : JsonObjectReader(op, name), program_(program) {}

  /// Of an object within the op.
  OpReader part(const Json& json, std::string_view name) const { return OpReader(json, name, program_); }
  Value value(std::string_view key) { return as_value(required(key)); }
  std::optional<Value> optional_value(std::string_view key);
  /// Index of a weight of the role 'linear'.
  int32_t matrix(std::string_view key) { return as_weight(required(key), WeightRole::linear); }
  int32_t as_matrix(const Json& json) const { return as_weight(json, WeightRole::linear); }
  /// Index of a weight of the role 'vector'.
  std::optional<int32_t> optional_vector(std::string_view key);
  Activation activation(std::string_view key) { return as_activation(required(key)); }
  /// The identity where the key is absent.
  Activation optional_activation(std::string_view key);
  /// Index of a layer of the Program's own cache, or of what passes from the encoder to the decoder.
  int32_t cache_layer(std::string_view key) { return as_layer(required(key), "cache", program_.cache_layers.size()); }
  int32_t cross_layer(std::string_view key) { return as_layer(required(key), "cross", program_.cross_layers.size()); }

 private:
  Value as_value(const Json& json) const;
  int32_t as_weight(const Json& json, WeightRole role) const;
  static int32_t as_layer(const Json& json, std::string_view kind, size_t layers);
  static Activation as_activation(const Json& json);

  const Program& program_;
};

}  // namespace octoformer
