#include "runtime/program.h"

#include <type_traits>
#include <utility>

#include "formats/json.h"
#include "runtime/json_choice.h"
#include "runtime/json_object_reader.h"
#include "runtime/op_reader.h"
#include "runtime/read_op.h"
#include "runtime/read_weight.h"

namespace octoformer {

namespace {

constexpr JsonChoices<RowSymbol, kRowSymbols> kRowSymbolNames = {{
    {"tokens", RowSymbol::tokens},
    {"rows", RowSymbol::rows},
    {"sequences", RowSymbol::sequences},
    {"places", RowSymbol::places},
}};

BufferDescription read_buffer(const Json& json, int64_t places) {
  JsonObjectReader reader(json, "a buffer");
  BufferDescription buffer;
  buffer.rows = as_choice(reader.required("rows"), kRowSymbolNames);
  if (buffer.rows == RowSymbol::places && places == 0) {
    reader.required("rows").fail("the program doesn't say how many 'places' there are");
  }
  buffer.columns = reader.required("columns").as_int64(1, kMaxColumns);
  reader.refuse_unknown_keys();
  return buffer;
}

CacheLayerDescription read_cache_layer(const Json& json) {
  JsonObjectReader reader(json, "a cache layer");
  CacheLayerDescription layer;
  layer.kv_heads = reader.required("kv_heads").as_int64(1, kMaxColumns);
  layer.head_dim = reader.required("head_dim").as_int64(1, kMaxColumns);
  if (const Json* form = reader.optional("form")) {
    static constexpr JsonChoices<KeyValueForm, 3> kForms = {
        {{"float32", KeyValueForm::float32}, {"bfloat16", KeyValueForm::bfloat16}, {"int8", KeyValueForm::int8}}};
    layer.form = as_choice(*form, kForms);
  }
  if (layer.kv_heads * layer.head_dim > kMaxColumns) json.fail("kv_heads * head_dim is above ", kMaxColumns);
  reader.refuse_unknown_keys();
  return layer;
}

std::vector<CacheLayerDescription> read_cache_layers(const Json& json) {
  std::vector<CacheLayerDescription> layers;
  for (const Json& layer : json.as_array()) layers.push_back(read_cache_layer(layer));
  return layers;
}

/// Reads the op as the kind that has its name, if it is this one.
template <class Kind>
bool read_if(std::string_view name, const Json& json, const Program& program, Op& op) {
  if (name != Kind::kName) return false;
  OpReader reader(json, Kind::kName, program);
  reader.required("op");
  Kind read;
  read_op(reader, read);
  reader.refuse_unknown_keys();
  op = std::move(read);
  return true;
}

template <class... Kinds>
Op read_any(const Json& json, const Program& program, std::type_identity<std::variant<Kinds...>>) {
  const Json& kind = json.at("op");
  const std::string_view name = kind.as_string();
  Op op;
  if ((read_if<Kinds>(name, json, program, op) || ...)) return op;
  kind.fail("unknown op '", name, "': this build can't run the program; rebuild the addon that belongs to it");
}

void read_ops(const Json& json, Program& program) {
  for (const Json& op : json.as_array()) program.ops.push_back(read_any(op, program, std::type_identity<Op>{}));
}

}  // namespace

const char* row_symbol_name(RowSymbol symbol) {
  return kRowSymbolNames[static_cast<size_t>(symbol)].first.data();  // literals: terminated by NUL
}

std::string_view op_name(const Op& op) {
  return std::visit([](const auto& alternative) { return alternative.kName; }, op);
}

ModelProgram parse_program(std::string json) {
  const JsonDocument document = JsonDocument::parse(std::move(json), JsonOptions{.source = "program"});
  JsonObjectReader reader(document.root(), "a program");
  if (reader.required("version").as_int64() != 1) reader.required("version").fail("only version 1 is known");
  // In this order: later parts refer to earlier ones by index.
  Program program;
  for (const Json& weight : reader.required("weights").as_array()) program.weights.push_back(read_weight(weight));
  if (const Json* places = reader.optional("places")) program.places = places->as_int64(1, kMaxColumns);
  for (const Json& buffer : reader.required("buffers").as_array()) {
    program.buffers.push_back(read_buffer(buffer, program.places));
  }
  std::optional<Program> encoder;
  if (const Json* json = reader.optional("encoder")) {
    JsonObjectReader part(*json, "encoder");
    program.cross_layers = read_cache_layers(part.required("cross_layers"));
    encoder = program;
    encoder->cache_layers = read_cache_layers(part.required("cache_layers"));
    read_ops(part.required("ops"), *encoder);
    part.refuse_unknown_keys();
  }
  program.cache_layers = read_cache_layers(reader.required("cache_layers"));
  read_ops(reader.required("ops"), program);
  reader.refuse_unknown_keys();
  return {std::move(program), std::move(encoder)};
}

}  // namespace octoformer
