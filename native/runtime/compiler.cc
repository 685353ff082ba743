#include "runtime/compiler.h"

#include <optional>
#include <utility>

#include "backend/error.h"
#include "runtime/find_tables.h"
#include "runtime/written_columns.h"

namespace octoformer {

namespace {

enum class Part { main, encoder };

class Compiler {
 public:
  Compiler(Program program, Part part) : part_(part), written_(program.buffers.size()) {
    compiled_.program = std::move(program);
    compiled_.encoder = part == Part::encoder;
    for (const BufferDescription& buffer : compiled_.program.buffers) {
      lifetimes_.push_back({buffer.rows, buffer.columns, -1, -1});
    }
    layer_used_.resize(compiled_.program.cache_layers.size());
    cross_stored_.resize(compiled_.program.cross_layers.size());
  }

  CompiledProgram compile() {
    for (const Op& op : compiled_.program.ops) {
      name_ = op_name(op);
      std::visit([this](const auto& alternative) { check(alternative); }, op);
      ++index_;
    }
    for (size_t layer = 0; part_ == Part::encoder && layer < cross_stored_.size(); ++layer) {
      if (!cross_stored_[layer]) {
        fail(ErrorCode::invalid_argument, "program: no op of the encoder stores cross layer ", layer);
      }
    }
    compiled_.arena = plan_arena(lifetimes_);
    return std::move(compiled_);
  }

 private:
  template <class... Parts>
  [[noreturn]] void refuse(const Parts&... parts) const {
    fail(ErrorCode::invalid_argument, part_ == Part::encoder ? "program: encoder.ops[" : "program: ops[", index_, "] (",
         name_, "): ", parts...);
  }

  void require_equal(const char* left_name, int64_t left, const char* right_name, int64_t right) const {
    if (left != right) refuse(left_name, " is ", left, ", but ", right_name, " is ", right);
  }

  RowSymbol symbol(const Value& value) const {
    return compiled_.program.buffers[static_cast<size_t>(value.buffer)].rows;
  }

  void require_symbol(const char* operand, const Value& value, RowSymbol wanted) const {
    if (symbol(value) != wanted) {
      refuse(operand, " must have '", row_symbol_name(wanted), "' as its rows, buffer ", value.buffer, " has '",
             row_symbol_name(symbol(value)), "'");
    }
  }

  void touch(const Value& value) {
    BufferLifetime& lifetime = lifetimes_[static_cast<size_t>(value.buffer)];
    if (lifetime.first_op < 0) lifetime.first_op = index_;
    lifetime.last_op = index_;
  }

  void read(const char* operand, const Value& value) {
    if (!written_[static_cast<size_t>(value.buffer)].covers(value.offset, value.offset + value.columns)) {
      refuse(operand, " reads columns [", value.offset, ", ", value.offset + value.columns, ") of buffer ",
             value.buffer, " before all of them are written");
    }
    compiled_.accesses.push_back({index_, value, false});
    touch(value);
  }

  void write(const Value& value) {
    written_[static_cast<size_t>(value.buffer)].add(value.offset, value.offset + value.columns);
    compiled_.accesses.push_back({index_, value, true});
    touch(value);
  }

  void refuse_overlap(const char* operand, const Value& value, const Value& out) const {
    if (overlap(value, out)) refuse("out overwrites columns that ", operand, " still reads");
  }

  /// For ops that work element by element: in place is fine, shifted is not.
  void refuse_shifted_overlap(const char* operand, const Value& value, const Value& out) const {
    if (!same(value, out)) refuse_overlap(operand, value, out);
  }

  const WeightDescription& weight(int32_t index) const { return compiled_.program.weights[static_cast<size_t>(index)]; }

  void require_vector(const char* operand, const std::optional<int32_t>& index, int64_t length) const {
    if (!index) return;
    const WeightDescription& vector = weight(*index);
    if (vector.shape[0] != length) {
      refuse(operand, " (", vector.name, ") has ", vector.shape[0], " numbers, but ", length, " are needed");
    }
  }

  /// Same rows, same columns, element by element.
  void check_map(const char* operand, const Value& input, const Value& out) {
    require_equal("input's columns", input.columns, "out's", out.columns);
    require_symbol("out", out, symbol(input));
    refuse_shifted_overlap(operand, input, out);
    read(operand, input);
  }

  /// What is added to a result, row by row; it may be the result's own memory.
  void read_residual(const std::optional<Value>& residual, const Value& out) {
    if (!residual) return;
    require_equal("residual's columns", residual->columns, "out's", out.columns);
    require_symbol("residual", *residual, symbol(out));
    refuse_shifted_overlap("residual", *residual, out);
    read("residual", *residual);
  }

  void check(const EmbeddingOp& op) {
    const bool places = op.index == IndexSource::places;
    require_symbol("out", op.out, places ? RowSymbol::places : RowSymbol::tokens);
    if (places && compiled_.program.places + op.offset > weight(op.table).shape[0]) {
      refuse("the table has ", weight(op.table).shape[0], " rows, but the program has ", compiled_.program.places,
             " places");
    }
    require_equal("the table's width", weight(op.table).shape[1], "out's", op.out.columns);
    if (op.accumulate) read("out (accumulated to)", op.out);
    write(op.out);
  }

  void check(const LinearOp& op) {
    const std::vector<int64_t>& shape = weight(op.weight).shape;
    require_equal("input's columns", op.input.columns, "the weight's in_features", shape[1]);
    require_equal("out's columns", op.out.columns, "the weight's out_features", shape[0]);
    require_vector("bias", op.bias, op.out.columns);
    require_symbol("out", op.out, symbol(op.input));
    refuse_overlap("input", op.input, op.out);
    compiled_.looks_across_rows = compiled_.looks_across_rows || weight(op.weight).int8.looks_across_rows();
    read("input", op.input);
    read_residual(op.residual, op.out);
    write(op.out);
  }

  void check(const NormOp& op) {
    check_map("input", op.input, op.out);
    if (op.input.columns % op.group != 0) {
      refuse("group ", op.group, " does not divide the ", op.input.columns, " columns");
    }
    require_vector("weight", op.weight, op.group);
    require_vector("bias", op.bias, op.group);
    write(op.out);
  }

  void check(const RopeTableOp& op) {
    require_symbol("out", op.out, RowSymbol::tokens);
    const auto frequencies = static_cast<int64_t>(op.inv_freq.size());
    require_equal("out's columns", op.out.columns, "twice the number of inv_freq", 2 * frequencies);
    if (op.long_context) {
      require_equal("the number of long.inv_freq", static_cast<int64_t>(op.long_context->inv_freq.size()),
                    "that of inv_freq", frequencies);
    }
    if (op.dynamic && op.out.columns <= 2) refuse("dynamic scaling needs more than 2 rotated columns");
    if (op.dynamic && op.long_context) refuse("dynamic and long exclude each other");
    write(op.out);
  }

  void check(const RopeOp& op) {
    require_symbol("x", op.x, RowSymbol::tokens);
    require_symbol("table", op.table, RowSymbol::tokens);
    require_equal("x's columns", op.x.columns, "heads * head_dim", op.heads * op.head_dim);
    if (op.table.columns > op.head_dim || op.table.columns % 2 != 0) {
      refuse("table has ", op.table.columns, " columns: must be even and at most head_dim (", op.head_dim, ")");
    }
    if (overlap(op.x, op.table)) refuse("x and table overlap");
    read("x", op.x);
    read("table", op.table);
    write(op.x);
  }

  void check(const AttentionOp& op) {
    const CacheLayerDescription& layer = compiled_.program.cache_layers[static_cast<size_t>(op.layer)];
    if (layer_used_[static_cast<size_t>(op.layer)]) refuse("cache layer ", op.layer, " is used by an earlier op");
    layer_used_[static_cast<size_t>(op.layer)] = true;
    check_queries(op, layer);
    check_keys(op, layer);
    if (op.relative_bias) check_relative_bias(*op.relative_bias, op.heads);
    if (op.positions) check_positions(*op.positions, op, layer);
    refuse_overlap("query", op.query, op.out);  // key and value lie in the cache by then
    compiled_.causal = compiled_.causal && op.causal;
    if (!op.probabilities.empty()) add_output(op.probabilities);
    write(op.out);
  }

  void read_tokens(const char* operand, const Value& value) {
    require_symbol(operand, value, RowSymbol::tokens);
    read(operand, value);
  }

  template <class AnyAttentionOp>
  void check_queries(const AnyAttentionOp& op, const CacheLayerDescription& layer) {
    if (op.heads % layer.kv_heads != 0) {
      refuse("heads (", op.heads, ") must be a multiple of the cache layer's kv_heads (", layer.kv_heads, ")");
    }
    require_equal("query's columns", op.query.columns, "heads * head_dim", op.heads * layer.head_dim);
    require_equal("out's columns", op.out.columns, "heads * head_dim", op.heads * layer.head_dim);
    read_tokens("query", op.query);
    require_symbol("out", op.out, RowSymbol::tokens);
  }

  template <class StoringOp>
  void check_keys(const StoringOp& op, const CacheLayerDescription& layer) {
    require_equal("key's columns", op.key.columns, "kv_heads * head_dim", layer.kv_heads * layer.head_dim);
    require_equal("value's columns", op.value.columns, "kv_heads * head_dim", layer.kv_heads * layer.head_dim);
    read_tokens("key", op.key);
    read_tokens("value", op.value);
  }

  void check_relative_bias(const RelativeBias& bias, int64_t heads) const {
    const std::vector<int64_t>& shape = weight(bias.table).shape;
    require_equal("relative_bias.table's columns", shape[1], "heads", heads);
    const int64_t buckets = bias.bidirectional ? shape[0] / 2 : shape[0];
    if (buckets < 2) refuse("relative_bias.table has ", shape[0], " buckets, too few to tell distances apart");
    if (bias.max_distance <= buckets / 2) {
      refuse("relative_bias.max_distance (", bias.max_distance, ") must be above ", buckets / 2,
             ", the distances with buckets of their own");
    }
  }

  void check(const StoreCrossOp& op) {
    if (part_ != Part::encoder) refuse("belongs into the encoder: the decoder reads what it stores");
    const auto index = static_cast<size_t>(op.layer);
    if (cross_stored_[index]) refuse("cross layer ", op.layer, " is stored by an earlier op");
    cross_stored_[index] = true;
    compiled_.cross = true;
    check_keys(op, compiled_.program.cross_layers[index]);
  }

  void check(const CrossAttentionOp& op) {
    if (part_ != Part::main) refuse("the encoder has nothing to attend to but its own tokens");
    check_queries(op, compiled_.program.cross_layers[static_cast<size_t>(op.layer)]);
    refuse_overlap("query", op.query, op.out);
    compiled_.cross = true;
    if (!op.probabilities.empty()) add_output(op.probabilities);
    write(op.out);
  }

  void check(const SinusoidalOp& op) {
    require_symbol("out", op.out, RowSymbol::tokens);
    require_equal("out's columns", op.out.columns, "twice the number of inv_freq",
                  2 * static_cast<int64_t>(op.inv_freq.size()));
    if (op.accumulate) read("out (accumulated to)", op.out);
    write(op.out);
  }

  void check_positions(const AttentionPositions& positions, const AttentionOp& op, const CacheLayerDescription& layer) {
    require_equal("with positions, heads", op.heads, "the cache layer's kv_heads", layer.kv_heads);
    if (positions.index.back() >= compiled_.program.places) {
      refuse("positions.index has place ", positions.index.back(), ", but the program has ", compiled_.program.places);
    }
    const auto operand = [&](const char* name, const std::optional<Value>& value) {
      if (!value) return;
      require_symbol(name, *value, RowSymbol::places);
      require_equal("the columns of positions", value->columns, "heads * head_dim", op.heads * layer.head_dim);
      read(name, *value);
    };
    operand("positions.keys", positions.keys);
    operand("positions.queries", positions.queries);
  }

  void check(const GatedActivationOp& op) {
    check_map("gate", op.gate, op.out);
    check_map("up", op.up, op.out);
    write(op.out);
  }

  void check(const ActivationOp& op) {
    check_map("input", op.input, op.out);
    write(op.out);
  }

  void check(const ElementwiseOp& op) {
    check_map("left", op.left, op.out);
    check_map("right", op.right, op.out);
    write(op.out);
  }

  void check(const ScaleOp& op) {
    check_map("input", op.input, op.out);
    write(op.out);
  }

  void check(const ExpertRoutingOp& op) {
    require_equal("weights' columns", op.weights.columns, "experts'", op.experts.columns);
    if (op.experts.columns > op.logits.columns) {
      refuse("a row can't choose ", op.experts.columns, " of ", op.logits.columns, " experts");
    }
    require_symbol("experts", op.experts, symbol(op.logits));
    require_symbol("weights", op.weights, symbol(op.logits));
    refuse_overlap("logits", op.logits, op.experts);
    refuse_overlap("logits", op.logits, op.weights);
    if (overlap(op.experts, op.weights)) refuse("experts and weights overlap");
    read("logits", op.logits);
    write(op.experts);
    write(op.weights);
  }

  void check(const GroupedLinearOp& op) {
    const std::vector<int64_t>& shape = weight(op.weights.front()).shape;
    for (const int32_t index : op.weights) {
      if (weight(index).shape != shape) {
        refuse("the weights of all experts must have one shape; ", weight(index).name, " differs from ",
               weight(op.weights.front()).name);
      }
      compiled_.looks_across_rows = compiled_.looks_across_rows || weight(index).int8.looks_across_rows();
    }
    const int64_t slots = op.experts.columns;
    if (op.input.columns != shape[1]) {
      require_equal("input's columns", op.input.columns, "the weights' in_features, for one slot or all of them",
                    slots * shape[1]);
    }
    require_equal("out's columns", op.out.columns, "slots * out_features", slots * shape[0]);
    require_symbol("experts", op.experts, symbol(op.input));
    require_symbol("out", op.out, symbol(op.input));
    refuse_overlap("input", op.input, op.out);
    refuse_overlap("experts", op.experts, op.out);
    read("input", op.input);
    read("experts", op.experts);
    write(op.out);
  }

  void check(const WeightedSumOp& op) {
    require_equal("input's columns", op.input.columns, "weights' columns times out's",
                  op.weights.columns * op.out.columns);
    require_symbol("weights", op.weights, symbol(op.input));
    require_symbol("out", op.out, symbol(op.input));
    refuse_overlap("input", op.input, op.out);
    refuse_overlap("weights", op.weights, op.out);
    read("input", op.input);
    read("weights", op.weights);
    read_residual(op.residual, op.out);
    write(op.out);
  }

  void check(const GatherRowsOp& op) {
    if (part_ == Part::encoder) refuse("rows are asked of the decoder, not of the encoder");
    require_symbol("input", op.input, RowSymbol::tokens);
    require_symbol("out", op.out, RowSymbol::rows);
    require_equal("input's columns", op.input.columns, "out's", op.out.columns);
    read("input", op.input);
    if (compiled_.gather_op < 0) compiled_.gather_op = index_;
    write(op.out);
  }

  void check(const OutputOp& op) {
    read("input", op.input);
    if (symbol(op.input) == RowSymbol::places) refuse("places are the program's own and can't be asked for");
    add_output(op.name);
    if (op.name == kLogitsOutput) {
      require_symbol("the output 'logits'", op.input, RowSymbol::rows);
      compiled_.logits_op = index_;
    }
  }

  void add_output(const std::string& name) {
    if (!compiled_.outputs.emplace(name, index_).second) refuse("there is an output '", name, "' already");
  }

  const Part part_;
  CompiledProgram compiled_;
  std::vector<BufferLifetime> lifetimes_;
  std::vector<WrittenColumns> written_;
  std::vector<bool> layer_used_;
  std::vector<bool> cross_stored_;
  int32_t index_ = 0;
  std::string_view name_;
};

}  // namespace

bool same(const Value& a, const Value& b) {
  return a.buffer == b.buffer && a.offset == b.offset && a.columns == b.columns;
}

bool overlap(const Value& a, const Value& b) {
  return a.buffer == b.buffer && a.offset < b.offset + b.columns && b.offset < a.offset + a.columns;
}

CompiledProgram compile_program(Program program) { return Compiler(std::move(program), Part::main).compile(); }

CompiledModel compile_model(ModelProgram program) {
  CompiledModel model{compile_program(std::move(program.main)), std::nullopt};
  if (program.encoder) {
    model.encoder = Compiler(std::move(*program.encoder), Part::encoder).compile();
    for (const auto& [name, op] : model.encoder->outputs) {
      if (model.main.outputs.contains(name)) {
        fail(ErrorCode::invalid_argument, "program: encoder and decoder both have an output '", name, "'");
      }
    }
  }
  find_tables(model);
  return model;
}

}  // namespace octoformer
