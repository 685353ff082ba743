#include "runtime/read_op.h"

#include <algorithm>
#include <string>

#include "runtime/json_choice.h"
#include "runtime/json_object_reader.h"

namespace octoformer {

namespace {
std::string optional_output_name(OpReader& reader, std::string_view key) {
  const Json* json = reader.optional(key);
  if (json == nullptr) return {};
  const std::string name(json->as_string());
  if (name.empty()) json->fail("the name of an output must not be empty");
  return name;
}
}  // namespace

void read_op(OpReader& reader, RopeTableOp& op) {
  op.out = reader.value("out");
  op.inv_freq = as_floats(reader.required("inv_freq"));
  op.attention_factor = as_float(reader.required("attention_factor"));
  if (const Json* json = reader.optional("long")) {
    JsonObjectReader long_reader(*json, "long");
    op.long_context = RopeTableOp::Long{long_reader.required("original_max").as_int64(1, INT32_MAX),
                                        as_floats(long_reader.required("inv_freq")),
                                        as_float(long_reader.required("attention_factor"))};
    long_reader.refuse_unknown_keys();
  }
  if (const Json* json = reader.optional("dynamic")) {
    JsonObjectReader dynamic_reader(*json, "dynamic");
    op.dynamic = RopeTableOp::Dynamic{dynamic_reader.required("max").as_int64(1, INT32_MAX),
                                      as_positive_float(dynamic_reader.required("base")),
                                      as_positive_float(dynamic_reader.required("factor"))};
    dynamic_reader.refuse_unknown_keys();
  }
}

void read_op(OpReader& reader, RopeOp& op) {
  static constexpr JsonChoices<RopePairing, 2> kPairings = {
      {{"half", RopePairing::half}, {"adjacent", RopePairing::adjacent}}};
  op.x = reader.value("x");
  op.table = reader.value("table");
  op.heads = reader.required("heads").as_int64(1, kMaxColumns);
  op.head_dim = reader.required("head_dim").as_int64(1, kMaxColumns);
  op.pairing = as_choice(reader.required("pairing"), kPairings);
}

void read_op(OpReader& reader, SinusoidalOp& op) {
  static constexpr JsonChoices<bool, 2> kOrders = {{{"interleaved", true}, {"halves", false}}};
  op.out = reader.value("out");
  for (const Json& frequency : reader.required("inv_freq").as_array()) {
    as_float(frequency);  // finite
    op.inv_freq.push_back(frequency.as_double());
  }
  op.interleaved = as_choice(reader.required("order"), kOrders);
  if (const Json* offset = reader.optional("offset")) op.offset = offset->as_int64(0, kMaxColumns);
  if (const Json* id = reader.optional("padding_id")) op.padding_id = static_cast<int32_t>(id->as_int64(0, INT32_MAX));
  if (const Json* accumulate = reader.optional("accumulate")) op.accumulate = accumulate->as_bool();
}

namespace {

void read_pattern(const Json& json, AttentionOp& op) {
  static constexpr JsonChoices<bool, 2> kPatterns = {{{"causal", true}, {"full", false}}};
  JsonObjectReader pattern(json, "pattern");
  op.causal = as_choice(pattern.required("kind"), kPatterns);
  const auto count = [&](std::string_view key, int64_t& value) {
    if (const Json* given = pattern.optional(key)) value = given->as_int64(1, INT32_MAX);
  };
  count("window", op.window);
  count("sinks", op.sparse.sinks);
  count("stride", op.sparse.stride);
  count("block", op.sparse.block);
  count("summary", op.sparse.summary);
  pattern.refuse_unknown_keys();
  if (op.sparse.block > 0 && (op.window > 0 || op.sparse.stride > 0)) {
    json.fail("'block' is what a position sees near itself, in place of 'window' and 'stride'");
  }
  if (op.sparse.summary > op.sparse.block) json.fail("'summary' must be at most 'block'");
  if (op.sparse.sinks > 0 && op.window == 0 && op.sparse.stride == 0 && op.sparse.block == 0) {
    json.fail("'sinks' without a 'window', 'stride' or 'block' leave nothing out");
  }
}

AttentionPositions read_positions(OpReader reader) {
  AttentionPositions positions;
  const Json& index = reader.required("index");
  for (const Json& place : index.as_array()) {
    positions.index.push_back(static_cast<int32_t>(place.as_int64(0, kMaxColumns)));
  }
  if (positions.index.size() % 2 == 0) index.fail("an odd number of places is needed: those of -reach to reach");
  if (!std::is_sorted(positions.index.begin(), positions.index.end())) index.fail("places must not fall");
  positions.keys = reader.optional_value("keys");
  positions.queries = reader.optional_value("queries");
  reader.refuse_unknown_keys();
  return positions;
}

}  // namespace

void read_op(OpReader& reader, AttentionOp& op) {
  op.query = reader.value("query");
  op.key = reader.value("key");
  op.value = reader.value("value");
  op.out = reader.value("out");
  op.layer = reader.cache_layer("layer");
  op.heads = reader.required("heads").as_int64(1, kMaxColumns);
  op.scale = as_float(reader.required("scale"));
  read_pattern(reader.required("pattern"), op);
  if (const Json* positions = reader.optional("positions"))
    op.positions = read_positions(reader.part(*positions, "positions"));
  if (const Json* softcap = reader.optional("softcap")) op.softcap = as_positive_float(*softcap);
  if (const Json* slopes = reader.optional("alibi_slopes")) {
    op.alibi_slopes = as_floats(*slopes);
    if (static_cast<int64_t>(op.alibi_slopes.size()) != op.heads) {
      slopes->fail("there must be one slope a head (", op.heads, "), found ", op.alibi_slopes.size());
    }
  }
  if (const Json* rounding = reader.optional("alibi_rounding")) {
    static constexpr JsonChoices<bool, 1> kRoundings = {{{"bfloat16", true}}};
    op.alibi_bfloat16 = as_choice(*rounding, kRoundings);
    if (op.alibi_slopes.empty()) rounding->fail("there are no alibi_slopes to round");
  }
  if (const Json* json = reader.optional("relative_bias")) {
    JsonObjectReader bias(*json, "relative_bias");
    op.relative_bias =
        RelativeBias{reader.as_matrix(bias.required("table")), bias.required("max_distance").as_int64(1, INT32_MAX),
                     bias.required("bidirectional").as_bool()};
    bias.refuse_unknown_keys();
  }
  op.probabilities = optional_output_name(reader, "probabilities");
}

void read_op(OpReader& reader, StoreCrossOp& op) {
  op.key = reader.value("key");
  op.value = reader.value("value");
  op.layer = reader.cross_layer("layer");
}

void read_op(OpReader& reader, CrossAttentionOp& op) {
  op.query = reader.value("query");
  op.out = reader.value("out");
  op.layer = reader.cross_layer("layer");
  op.heads = reader.required("heads").as_int64(1, kMaxColumns);
  op.scale = as_float(reader.required("scale"));
  op.probabilities = optional_output_name(reader, "probabilities");
}

}  // namespace octoformer
