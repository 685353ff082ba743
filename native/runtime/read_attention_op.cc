#include "runtime/read_op.h"

#include <string>

#include "runtime/json_choice.h"
#include "runtime/json_object_reader.h"

namespace octoformer {

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

void read_op(OpReader& reader, AttentionOp& op) {
  static constexpr JsonChoices<bool, 2> kPatterns = {{{"causal", true}, {"full", false}}};
  op.query = reader.value("query");
  op.key = reader.value("key");
  op.value = reader.value("value");
  op.out = reader.value("out");
  op.layer = reader.cache_layer("layer");
  op.heads = reader.required("heads").as_int64(1, kMaxColumns);
  op.scale = as_float(reader.required("scale"));
  JsonObjectReader pattern(reader.required("pattern"), "pattern");
  op.causal = as_choice(pattern.required("kind"), kPatterns);
  if (const Json* window = pattern.optional("window")) op.window = window->as_int64(1, INT32_MAX);
  pattern.refuse_unknown_keys();
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
  if (const Json* probabilities = reader.optional("probabilities")) {
    op.probabilities = probabilities->as_string();
    if (op.probabilities.empty()) probabilities->fail("the name of an output must not be empty");
  }
}

}  // namespace octoformer
