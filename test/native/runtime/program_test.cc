#include "runtime/program.h"

#include <gtest/gtest.h>

#include "formats/checkpoint_files.h"
#include "runtime/compiler.h"
#include "runtime/tiny_llama.h"

namespace octoformer {
namespace {

/// A Program around ops: weights 0 [8, 6] and 1 [6, 8] are linear, 2 (6) and 3 (8) vectors; buffers 0 and 1 are
/// [tokens, 6], 2 [tokens, 8], 3 [rows, 6], 4 [rows, 8], 5 [sequences, 6], 6 [places, 6] of 2 places; one
/// cache layer of 2 heads of 3 columns.
std::string program_of(const std::string& ops) {
  const auto weight = [](const char* name, const char* role, const char* shape) {
    return std::string(R"({"name":")") + name + R"(","role":")" + role + R"(","shape":)" + shape +
           R"(,"form":"auto","compute":"float32","parts":[{"tensor":")" + name + R"(","shape":)" + shape + "}]}";
  };
  return R"({"version":1,"weights":[)" + weight("w86", "linear", "[8,6]") + "," + weight("w68", "linear", "[6,8]") +
         "," + weight("v6", "vector", "[6]") + "," + weight("v8", "vector", "[8]") +
         R"(],"buffers":[{"rows":"tokens","columns":6},{"rows":"tokens","columns":6},{"rows":"tokens","columns":8},
             {"rows":"rows","columns":6},{"rows":"rows","columns":8},{"rows":"sequences","columns":6},
             {"rows":"places","columns":6}],"places":2,
             "cache_layers":[{"kv_heads":2,"head_dim":3}],"ops":[)" +
         ops + "]}";
}

std::string value(int buffer, int columns, int offset = 0) {
  return R"({"buffer":)" + std::to_string(buffer) + R"(,"offset":)" + std::to_string(offset) + R"(,"columns":)" +
         std::to_string(columns) + "}";
}

const std::string kEmbed0 = R"({"op":"embedding","index":"input_ids","table":0,"out":)" + value(0, 6) + "}";
const std::string kEmbed1 = R"({"op":"embedding","index":"input_ids","table":0,"out":)" + value(1, 6) + "}";

const std::string kEmbedPlaces = R"(,{"op":"embedding","index":"places","table":0,"out":)" + value(6, 6) + "}";

struct BadProgram {
  const char* name;
  std::string ops;
  std::vector<std::string> message;  // parts
};

std::string attention(const std::string& layer, const std::string& heads, const std::string& more,
                      const std::string& pattern = "") {
  return R"({"op":"attention","query":)" + value(0, 6) + R"(,"key":)" + value(0, 6) + R"(,"value":)" + value(0, 6) +
         R"(,"out":)" + value(1, 6) + R"(,"layer":)" + layer + R"(,"heads":)" + heads +
         R"(,"scale":1,"pattern":{"kind":"causal")" + (pattern.empty() ? "" : ",") + pattern + "}" + more + "}";
}

/// A grouped linear layer whose experts are column 0 of buffer 1.
std::string grouped(const std::string& weights, const std::string& input, const std::string& out) {
  return R"(,{"op":"grouped_linear","input":)" + input + R"(,"experts":)" + value(1, 1) + R"(,"weights":)" + weights +
         R"(,"out":)" + out + "}";
}

const std::vector<BadProgram>& bad_programs() {
  static const std::vector<BadProgram> programs = {
      {"unknown_op", R"({"op":"convolution"})", {"ops[0].op", "unknown op 'convolution'"}},
      {"no_op", R"({"out":1})", {"ops[0]", "op"}},
      {"unknown_key",
       R"({"op":"gather_rows","input":)" + value(0, 6) + R"(,"out":)" + value(3, 6) + R"(,"into":1})",
       {"ops[0]", "unknown key 'into' of gather_rows"}},
      {"missing_key", R"({"op":"gather_rows","input":)" + value(0, 6) + "}", {"ops[0]", "out"}},
      {"unknown_value_key",
       R"({"op":"output","name":"x","input":{"buffer":0,"offset":0,"columns":6,"rows":2}})",
       {"ops[0].input", "unknown key 'rows'"}},
      {"buffer_out_of_range",
       R"({"op":"output","name":"x","input":)" + value(7, 6) + "}",
       {"ops[0].input", "buffer 7 does not exist"}},
      {"slice_out_of_range",
       R"({"op":"output","name":"x","input":)" + value(0, 4, 3) + "}",
       {"ops[0].input", "columns [3, 7) lie outside buffer 0, which has 6"}},
      {"fraction",
       R"({"op":"output","name":"x","input":{"buffer":0.5,"offset":0,"columns":6}})",
       {"ops[0].input.buffer"}},
      {"negative_offset",
       R"({"op":"output","name":"x","input":{"buffer":0,"offset":-1,"columns":6}})",
       {"ops[0].input.offset"}},
      {"weight_out_of_range",
       R"({"op":"embedding","index":"input_ids","table":4,"out":)" + value(0, 6) + "}",
       {"ops[0].table", "weight 4 does not exist: there are 4"}},
      {"weight_role",
       R"({"op":"embedding","index":"input_ids","table":2,"out":)" + value(0, 6) + "}",
       {"ops[0].table", "v6", "must have the role 'linear'"}},
      {"index_name",
       R"({"op":"embedding","index":"ids","table":0,"out":)" + value(0, 6) + "}",
       {"ops[0].index", "'ids' is not one of: input_ids, position_ids, token_type_ids, places"}},
      {"infinite_number",
       R"({"op":"scale","input":)" + value(0, 6) + R"(,"factor":1e300,"out":)" + value(0, 6) + "}",
       {"ops[0].factor", "finite"}},
      {"negative_epsilon",
       R"({"op":"norm","kind":"rms","input":)" + value(0, 6) + R"(,"out":)" + value(0, 6) + R"(,"epsilon":-1})",
       {"ops[0].epsilon", "negative"}},
      {"layer_out_of_range", attention("1", "2", ""), {"ops[0].layer", "cache layer 1 does not exist: there are 1"}},
      {"slopes",
       attention("0", "2", R"(,"alibi_slopes":[1])"),
       {"ops[0].alibi_slopes", "one slope a head (2), found 1"}},
      {"rounding_without_slopes",
       attention("0", "2", R"(,"alibi_rounding":"bfloat16")"),
       {"ops[0].alibi_rounding", "no alibi_slopes"}},
      {"block_and_window",
       attention("0", "2", "", R"("window":4,"block":4)"),
       {"ops[0].pattern", "in place of 'window'"}},
      {"summary", attention("0", "2", "", R"("block":4,"summary":5)"), {"ops[0].pattern", "at most 'block'"}},
      {"sinks_alone", attention("0", "2", "", R"("sinks":4)"), {"ops[0].pattern", "leave nothing out"}},
      {"no_stride", attention("0", "2", "", R"("window":4,"stride":0)"), {"ops[0].pattern.stride"}},
      {"places_even", attention("0", "2", R"(,"positions":{"index":[0,1]})"), {"ops[0].positions.index", "odd number"}},
      {"places_fall", attention("0", "2", R"(,"positions":{"index":[0,2,1]})"), {"positions.index", "must not fall"}},
      {"positions_key",
       attention("0", "2", R"(,"positions":{"index":[0],"key":1})"),
       {"unknown key 'key' of positions"}},
      // From here on the compiler refuses.
      {"places_missing",
       kEmbed0 + "," + attention("0", "2", R"(,"positions":{"index":[0,1,2]})"),
       {"ops[1] (attention)", "positions.index has place 2, but the program has 2"}},
      {"position_rows",
       kEmbed0 + "," + attention("0", "2", R"(,"positions":{"index":[1],"keys":)" + value(0, 6) + "}"),
       {"ops[1] (attention)", "positions.keys must have 'places' as its rows"}},
      {"position_columns",
       kEmbed0 + kEmbedPlaces + "," +
           attention("0", "2", R"(,"positions":{"index":[1],"queries":)" + value(6, 5) + "}"),
       {"ops[2] (attention)", "the columns of positions is 5, but heads * head_dim is 6"}},
      {"places_asked_for",
       kEmbed0 + kEmbedPlaces + R"(,{"op":"output","name":"x","input":)" + value(6, 6) + "}",
       {"ops[2] (output)", "can't be asked for"}},
      {"places_out",
       R"({"op":"embedding","index":"places","table":0,"out":)" + value(0, 6) + "}",
       {"ops[0] (embedding)", "out must have 'places' as its rows"}},
      {"read_before_write",
       R"({"op":"output","name":"x","input":)" + value(0, 6) + "}",
       {"ops[0] (output)", "input reads columns [0, 6) of buffer 0 before"}},
      {"half_written",
       R"({"op":"rope_table","out":)" + value(0, 4) + R"(,"inv_freq":[1,1],"attention_factor":1},)" +
           R"({"op":"output","name":"x","input":)" + value(0, 6) + "}",
       {"ops[1] (output)", "before all of them are written"}},
      {"table_width",
       R"({"op":"embedding","index":"input_ids","table":1,"out":)" + value(0, 6) + "}",
       {"ops[0] (embedding)", "the table's width is 8, but out's is 6"}},
      {"embedding_rows",
       R"({"op":"embedding","index":"input_ids","table":0,"out":)" + value(3, 6) + "}",
       {"ops[0] (embedding)", "out must have 'tokens' as its rows, buffer 3 has 'rows'"}},
      {"linear_width",
       kEmbed0 + R"(,{"op":"linear","input":)" + value(0, 6) + R"(,"weight":1,"out":)" + value(1, 6) + "}",
       {"ops[1] (linear)", "input's columns is 6, but the weight's in_features is 8"}},
      {"linear_rows",
       kEmbed0 + R"(,{"op":"linear","input":)" + value(0, 6) + R"(,"weight":0,"out":)" + value(4, 8) + "}",
       {"ops[1] (linear)", "out must have 'tokens' as its rows"}},
      {"bias_length",
       kEmbed0 + R"(,{"op":"linear","input":)" + value(0, 6) + R"(,"weight":0,"bias":2,"out":)" + value(2, 8) + "}",
       {"ops[1] (linear)", "bias (v6) has 6 numbers, but 8 are needed"}},
      {"residual_shifted",
       kEmbed0 + R"(,{"op":"embedding","index":"input_ids","table":1,"out":)" + value(2, 8) +
           R"(},{"op":"linear","input":)" + value(2, 8) + R"(,"weight":1,"residual":)" + value(5, 6) + R"(,"out":)" +
           value(0, 6) + "}",
       {"ops[2] (linear)", "residual must have 'tokens' as its rows, buffer 5 has 'sequences'"}},
      {"in_place_shifted",
       R"({"op":"embedding","index":"input_ids","table":1,"out":)" + value(2, 8) + R"(},{"op":"activation","input":)" +
           value(2, 6, 0) + R"(,"activation":"relu","out":)" + value(2, 6, 2) + "}",
       {"ops[1] (activation)", "out overwrites columns that input still reads"}},
      {"group",
       kEmbed0 + R"(,{"op":"norm","kind":"rms","input":)" + value(0, 6) + R"(,"out":)" + value(0, 6) +
           R"(,"epsilon":0,"group":4})",
       {"ops[1] (norm)", "group 4 does not divide the 6 columns"}},
      {"frequencies",
       R"({"op":"rope_table","out":)" + value(0, 6) + R"(,"inv_freq":[1,1],"attention_factor":1})",
       {"ops[0] (rope_table)", "out's columns is 6, but twice the number of inv_freq is 4"}},
      {"rotary_dim",
       kEmbed0 + "," + kEmbed1 + R"(,{"op":"rope","x":)" + value(0, 6) + R"(,"table":)" + value(1, 4) +
           R"(,"heads":2,"head_dim":3,"pairing":"half"})",
       {"ops[2] (rope)", "table has 4 columns: must be even and at most head_dim (3)"}},
      {"head_count",
       kEmbed0 + "," + attention("0", "3", ""),
       {"ops[1] (attention)", "heads (3) must be a multiple of the cache layer's kv_heads (2)"}},
      {"query_width",
       kEmbed0 + "," + attention("0", "4", ""),
       {"ops[1] (attention)", "query's columns is 6, but heads * head_dim is 12"}},
      {"layer_twice",
       kEmbed0 + "," + attention("0", "2", "") + "," + attention("0", "2", ""),
       {"ops[2] (attention)", "cache layer 0 is used by an earlier op"}},
      {"output_twice",
       kEmbed0 + R"(,{"op":"output","name":"x","input":)" + value(0, 6) + R"(},{"op":"output","name":"x","input":)" +
           value(0, 6) + "}",
       {"ops[2] (output)", "there is an output 'x' already"}},
      {"logits_of_tokens",
       kEmbed0 + R"(,{"op":"output","name":"logits","input":)" + value(0, 6) + "}",
       {"ops[1] (output)", "'logits' must have 'rows' as its rows"}},
      {"gather_width",
       kEmbed0 + R"(,{"op":"gather_rows","input":)" + value(0, 6) + R"(,"out":)" + value(4, 8) + "}",
       {"ops[1] (gather_rows)", "input's columns is 6, but out's is 8"}},
      {"too_many_experts",
       kEmbed0 + R"(,{"op":"expert_routing","logits":)" + value(0, 2) + R"(,"experts":)" + value(1, 3) +
           R"(,"weights":)" + value(1, 3, 3) + "}",
       {"ops[1] (expert_routing)", "a row can't choose 3 of 2 experts"}},
      {"routing_overlap",
       kEmbed0 + R"(,{"op":"expert_routing","logits":)" + value(0, 4) + R"(,"experts":)" + value(1, 3) +
           R"(,"weights":)" + value(1, 3, 2) + "}",
       {"ops[1] (expert_routing)", "experts and weights overlap"}},
      {"no_experts", kEmbed0 + grouped("[]", value(0, 6), value(2, 8)), {"ops[1].weights", "a weight for each expert"}},
      {"expert_role", kEmbed0 + grouped("[0,2]", value(0, 6), value(2, 8)), {"ops[1].weights[1]", "'linear'"}},
      {"expert_shapes",
       kEmbed0 + "," + kEmbed1 + grouped("[0,1]", value(0, 6), value(2, 8)),
       {"ops[2] (grouped_linear)", "one shape; w68 differs from w86"}},
      {"slots",
       kEmbed0 + "," + kEmbed1 + grouped("[0,0]", value(0, 5), value(2, 8)),
       {"ops[2] (grouped_linear)", "input's columns is 5", "for one slot or all of them is 6"}},
      {"pieces",
       kEmbed0 + "," + kEmbed1 + R"(,{"op":"weighted_sum","input":)" + value(0, 6) + R"(,"weights":)" + value(1, 2) +
           R"(,"out":)" + value(2, 8) + "}",
       {"ops[2] (weighted_sum)", "input's columns is 6, but weights' columns times out's is 16"}},
  };
  return programs;
}

TEST(Program, BadOnesAreRefusedNamingThePlace) {
  for (const BadProgram& bad : bad_programs()) {
    SCOPED_TRACE(bad.name);
    try {
      compile_model(parse_program(program_of(bad.ops)));
      ADD_FAILURE() << "no error";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
      for (const std::string& part : bad.message) {
        EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << part << "\nis not in: " << error.what();
      }
    }
  }
}

TEST(Program, TheFrameIsCheckedToo) {
  const auto refuse = [](std::string text, std::initializer_list<std::string_view> parts) {
    expect_error(ErrorCode::invalid_argument, parts, [&] { parse_program(std::move(text)); });
  };
  refuse("", {"program"});
  refuse("[]", {"expected an object"});
  refuse(R"({"version":2,"weights":[],"buffers":[],"cache_layers":[],"ops":[]})", {"version", "only version 1"});
  refuse(R"({"version":1,"weights":[],"buffers":[],"cache_layers":[],"ops":[],"name":"x"})", {"unknown key 'name'"});
  refuse(R"({"version":1,"weights":[],"buffers":[{"rows":"tokens","columns":0}],"cache_layers":[],"ops":[]})",
         {"buffers[0].columns"});
  refuse(R"({"version":1,"weights":[],"buffers":[{"rows":"batch","columns":1}],"cache_layers":[],"ops":[]})",
         {"buffers[0].rows", "tokens, rows, sequences, places"});
  refuse(R"({"version":1,"weights":[],"buffers":[{"rows":"places","columns":1}],"cache_layers":[],"ops":[]})",
         {"buffers[0].rows", "doesn't say how many"});
  refuse(R"({"version":1,"weights":[{"name":"w","role":"vector","shape":[1,2],"form":"auto","compute":"float32",
             "parts":[{"tensor":"w","shape":[2]}]}],"buffers":[],"cache_layers":[],"ops":[]})",
         {"weights[0].shape", "1 dimension(s), found 2"});
  refuse(R"({"version":1,"weights":[{"name":"w","role":"vector","shape":[1],"form":"auto","compute":"float32",
             "parts":[]}],"buffers":[],"cache_layers":[],"ops":[]})",
         {"weights[0].parts", "at least one part"});
}

TEST(Program, TheTinyLlamaCompiles) {
  const CompiledProgram compiled = compile_model(parse_program(TinyLlama().program())).main;
  EXPECT_TRUE(compiled.causal);
  EXPECT_EQ(compiled.outputs.size(), 5u);  // logits, two hidden states, two attentions
  EXPECT_EQ(compiled.logits_op, static_cast<int32_t>(compiled.program.ops.size()) - 1);
  // x [0, 16) and the rope table [16, 32) live throughout. The second norm takes [32, 48), the gate and up products
  // beside it [48, 96); their product, 32 wide, does not fit into [32, 48), which is free by then, and takes [96, 128).
  EXPECT_EQ(compiled.arena.peak_columns[0], 128);
  EXPECT_EQ(compiled.arena.peak_columns[1], 16 + 32);
}

}  // namespace
}  // namespace octoformer
