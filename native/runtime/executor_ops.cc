// How each op of a Program becomes a call of the backend.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "backend/error.h"
#include "runtime/chunk_executor.h"
#include "runtime/rope_table.h"
#include "runtime/sinusoid.h"

namespace octoformer {

namespace {
const char* index_source_name(IndexSource source) {
  switch (source) {
    case IndexSource::input_ids:
      return "token id";
    case IndexSource::position_ids:
      return "position";
    case IndexSource::token_type_ids:
      return "token type";
    case IndexSource::places:
      return "place";
  }
  return "index";
}

/// Where an output of this name goes; null where it wasn't asked for.
float* asked_output(const std::string& name, RunResult& result) {
  const auto asked = result.outputs.find(name);
  return asked == result.outputs.end() ? nullptr : asked->second.data();
}

[[noreturn]] void fail_for_nan_score(int32_t token) {
  fail(ErrorCode::internal, "the score of token ", token,
       " is NaN: the model overflowed; check the checkpoint, load it with dtype float32, or give "
       "remove_invalid_values: true");
}
}  // namespace

void ChunkExecutor::check_indices(std::span<const int32_t> indices, const EmbeddingOp& op) const {
  const int64_t entries = linear(op.table)->description().out_features;
  for (size_t i = 0; i < indices.size(); ++i) {
    const int64_t index = indices[i] + op.offset;
    if (index >= 0 && index < entries) continue;
    const auto row = static_cast<int64_t>(i);
    const auto slice = std::find_if(slices_.begin(), slices_.end(), [row](const SequenceSlice& candidate) {
      return row >= candidate.first_row && row < candidate.first_row + candidate.count;
    });
    fail(op.index == IndexSource::position_ids ? ErrorCode::context_overflow : ErrorCode::invalid_argument,
         index_source_name(op.index), " ", indices[i], " at position ", slice->past + row - slice->first_row,
         " (token row ", first_token_ + row, ") is outside the table of ", entries - op.offset, " entries");
  }
}

void ChunkExecutor::execute(const EmbeddingOp& op, RunResult&) {
  if (op.index == IndexSource::places) {  // 0, 1, ..., which the table has
    index_scratch_.resize(static_cast<size_t>(compiled_.program.places));
    std::iota(index_scratch_.begin(), index_scratch_.end(), static_cast<int32_t>(op.offset));
    backend_.embedding({index_scratch_, linear(op.table), op.scale, op.accumulate, view(op.out)});
    return;
  }
  const std::vector<int32_t>& all = op.index == IndexSource::input_ids      ? run_->request->input_ids
                                    : op.index == IndexSource::position_ids ? run_->positions
                                                                            : run_->token_types;
  std::span<const int32_t> indices =
      std::span(all).subspan(static_cast<size_t>(first_token_), static_cast<size_t>(tokens_));
  check_indices(indices, op);
  if (op.offset != 0) {
    index_scratch_.assign(indices.begin(), indices.end());
    for (int32_t& index : index_scratch_) index += static_cast<int32_t>(op.offset);
    indices = index_scratch_;
  }
  backend_.embedding({indices, linear(op.table), op.scale, op.accumulate, view(op.out)});
}

void ChunkExecutor::execute(const LinearOp& op, RunResult& result) {
  if (run_->request->observe) result.inputs[op.weight].add(view(op.input), *run_->request->observe);
  ConstMatrixView residual;
  if (op.residual) residual = view(*op.residual);
  const RowQuantization& plan = row_quantization_[static_cast<size_t>(op_)];
  QuantizedRows* quantized = plan.slot < 0 ? nullptr : quantized_rows_[static_cast<size_t>(plan.slot)].get();
  if (quantized != nullptr && plan.fills) {
    backend_.quantize_rows({view(op.input), linear(op.weight), quantized});
  }
  const LinearArguments arguments = {view(op.input), quantized, linear(op.weight), vector(op.bias),
                                     op.activation,  residual,  view(op.out)};
  if (plan.gates_next && !run_->request->observe) {
    const auto& gated = std::get<GatedActivationOp>(compiled_.program.ops[static_cast<size_t>(op_) + 1]);
    const RowQuantization& next = row_quantization_[static_cast<size_t>(op_) + 1];
    return backend_.gated_linear_to_quantized(arguments, arguments_of(gated), *linear(next.reader),
                                              *quantized_rows_[static_cast<size_t>(next.slot)]);
  }
  if (only_largest_counts(op) && sample_largest(arguments, result)) return;
  if (plan.out_slot < 0) return backend_.linear(arguments);
  QuantizedRows& made = *quantized_rows_[static_cast<size_t>(plan.out_slot)];
  if (!run_->request->observe) return backend_.linear_to_quantized(arguments, *linear(plan.out_reader), made);
  backend_.Backend::linear_to_quantized(arguments, *linear(plan.out_reader), made);  // its readers tell of the floats
}

template <class Arguments>
void ChunkExecutor::run_row_op(void (Backend::*op)(const Arguments&), const Arguments& arguments) {
  const RowQuantization& plan = row_quantization_[static_cast<size_t>(op_)];
  if (plan.slot < 0) return (backend_.*op)(arguments);
  RowOrigin rows = arguments;
  if (run_->request->observe) {  // its readers tell of the floats
    (backend_.*op)(arguments);
    rows = arguments.out;
  }
  backend_.quantize_rows({rows, linear(plan.reader), quantized_rows_[static_cast<size_t>(plan.slot)].get()});
}

void ChunkExecutor::execute(const NormOp& op, RunResult&) {
  run_row_op(&Backend::norm, NormArguments{op.kind, view(op.input), view(op.out), vector(op.weight), vector(op.bias),
                                           op.weight_offset, op.epsilon, op.group});
}

void ChunkExecutor::execute(const RopeTableOp& op, RunResult&) {
  const MatrixView out = view(op.out);
  for (size_t i = 0; i < slices_.size(); ++i) {
    const SequenceSlice& slice = slices_[i];
    const RopeFrequencies frequencies = rope_frequencies(op, slice_lengths_[i], frequency_scratch_);
    const auto first = static_cast<size_t>(first_token_ + slice.first_row);
    fill_rope_table(std::span(run_->positions).subspan(first, static_cast<size_t>(slice.count)), frequencies,
                    {out.row(slice.first_row), slice.count, out.columns, out.stride});
  }
}

void ChunkExecutor::execute(const RopeOp& op, RunResult&) {
  backend_.rope({view(op.x), view(op.table), op.heads, op.head_dim, op.table.columns, op.pairing});
}

void ChunkExecutor::execute(const SinusoidalOp& op, RunResult&) {
  const auto first = static_cast<size_t>(first_token_), count = static_cast<size_t>(tokens_);
  const std::span<const int32_t> ids(run_->request->input_ids);
  fill_sinusoids(std::span(run_->positions).subspan(first, count), ids.subspan(first, count), op, view(op.out));
}

void ChunkExecutor::execute(const AttentionOp& op, RunResult& result) {
  const KeyValueLayer& layer = key_value_layers()[static_cast<size_t>(op.layer)];
  backend_.store_key_value({view(op.key), view(op.value), slices_, layer});
  if (wavefront_ != nullptr) wavefront_->stored(group_, op_);
  AttentionArguments arguments;
  arguments.query = view(op.query);
  arguments.out = view(op.out);
  arguments.sequences = slices_;
  arguments.layer = layer;
  arguments.heads = op.heads;
  arguments.scale = op.scale;
  arguments.causal = op.causal;
  arguments.window = op.window;
  arguments.sparse = op.sparse;
  if (op.positions) {
    const AttentionPositions& positions = *op.positions;
    arguments.positions.index = positions.index.data();
    arguments.positions.reach = static_cast<int64_t>(positions.index.size() / 2);
    if (positions.keys) arguments.positions.keys = view(*positions.keys);
    if (positions.queries) arguments.positions.queries = view(*positions.queries);
  }
  arguments.softcap = op.softcap;
  arguments.alibi_slopes = op.alibi_slopes.empty() ? nullptr : op.alibi_slopes.data();
  arguments.alibi_bfloat16 = op.alibi_bfloat16;
  if (op.relative_bias) {
    int64_t longest = 1;
    for (const SequenceSlice& slice : slices_) longest = std::max(longest, arguments.keys(slice));
    arguments.distance_bias =
        bias_spreads_.find(*op.relative_bias, *linear(op.relative_bias->table), longest, backend_);
  }
  arguments.probabilities = asked_output(op.probabilities, result);
  backend_.attention(arguments);
}

void ChunkExecutor::execute(const StoreCrossOp& op, RunResult&) {
  backend_.store_key_value({view(op.key), view(op.value), cross_slices_, run_->encoded.front()->layer(op.layer)});
}

void ChunkExecutor::execute(const CrossAttentionOp& op, RunResult& result) {
  const auto some =
      std::find_if(run_->encoded.begin(), run_->encoded.end(), [](const auto* one) { return one != nullptr; });
  AttentionArguments arguments;
  arguments.query = view(op.query);
  arguments.out = view(op.out);
  arguments.sequences = cross_slices_;
  arguments.layer = (*some)->layer(op.layer);
  arguments.heads = op.heads;
  arguments.scale = op.scale;
  arguments.causal = false;
  arguments.cross = true;
  arguments.probabilities = asked_output(op.probabilities, result);
  backend_.attention(arguments);
}

GatedActivationArguments ChunkExecutor::arguments_of(const GatedActivationOp& op) const {
  return {op.activation, view(op.gate), view(op.up), view(op.out)};
}

void ChunkExecutor::execute(const GatedActivationOp& op, RunResult&) {
  if (row_quantization_[static_cast<size_t>(op_)].gated_before && !run_->request->observe) return;
  run_row_op(&Backend::gated_activation, arguments_of(op));
}

void ChunkExecutor::execute(const ActivationOp& op, RunResult&) {
  run_row_op(&Backend::activation, ActivationArguments{op.activation, view(op.input), view(op.out)});
}

void ChunkExecutor::execute(const ElementwiseOp& op, RunResult&) {
  backend_.elementwise(op.kind, view(op.left), view(op.right), view(op.out));
}

void ChunkExecutor::execute(const ScaleOp& op, RunResult&) {
  backend_.scale(view(op.input), op.factor, op.softcap, view(op.out));
}

void ChunkExecutor::execute(const GatherRowsOp& op, RunResult&) {
  backend_.gather_rows(view(op.input), rows_, view(op.out));
}

void ChunkExecutor::execute(const OutputOp& op, RunResult& result) {
  if (op.name == kLogitsOutput && !run_->request->samplers.empty() && !sampled_) sample(op.input, result);
  if (op.name == kLogitsOutput && run_->request->log_probabilities) score(op.input, result);
  const auto asked = result.outputs.find(op.name);
  if (asked == result.outputs.end()) return;
  const ConstMatrixView source = view(op.input);
  const RowSymbol symbol = compiled_.program.buffers[static_cast<size_t>(op.input.buffer)].rows;
  for (int64_t row = 0; row < source.rows; ++row) {
    const int64_t target = symbol == RowSymbol::rows ? row_targets_[static_cast<size_t>(row)] : first_token_ + row;
    std::copy(source.row(row), source.row(row) + source.columns, asked->second.data() + target * source.columns);
  }
}

/// Whether the op makes logits of which nobody looks at more than the largest.
bool ChunkExecutor::only_largest_counts(const LinearOp& op) const {
  if (compiled_.logits_op < 0) return false;
  const RunRequest& request = *run_->request;
  const auto& output = std::get<OutputOp>(compiled_.program.ops[static_cast<size_t>(compiled_.logits_op)]);
  if (!same(output.input, op.out) || request.samplers.empty() || request.log_probabilities || request.observe ||
      std::find(request.outputs.begin(), request.outputs.end(), kLogitsOutput) != request.outputs.end()) {
    return false;
  }
  for (const ValueAccess& access : compiled_.accesses) {
    if (access.op > op_ && access.op != compiled_.logits_op && overlap(access.value, op.out)) return false;
  }
  return std::all_of(row_targets_.begin(), row_targets_.end(),
                     [&](int64_t row) { return request.samplers[static_cast<size_t>(row)]->takes_likeliest(); });
}

/// Whether it could: else the logits are needed, if only to tell what is wrong with them.
bool ChunkExecutor::sample_largest(const LinearArguments& arguments, RunResult& result) {
  largest_.resize(row_targets_.size());
  sampled_ = backend_.largest_columns(arguments, largest_);
  for (size_t row = 0; sampled_ && row < largest_.size(); ++row) {
    result.sampled[static_cast<size_t>(row_targets_[row])] = largest_[row];
  }
  return sampled_;
}

void ChunkExecutor::sample(const Value& value, RunResult& result) {
  const ConstMatrixView logits = view(value);
  backend_.for_each(logits.rows, [&](int64_t row) {
    const auto target = static_cast<size_t>(row_targets_[static_cast<size_t>(row)]);
    const std::span<const float> scores(logits.row(row), static_cast<size_t>(logits.columns));
    result.sampled[target] = run_->request->samplers[target]->choose(scores, run_->request->rows[target]);
  });
}

/// What follows rows of the request that lie together goes to one call of the backend: usually all of them.
void ChunkExecutor::score(const Value& value, RunResult& result) {
  const ConstMatrixView logits = view(value);
  const int64_t columns = logits.columns;
  const int64_t likeliest = std::min<int64_t>(*run_->request->log_probabilities, columns);
  for (int64_t first = 0, end = 0; first < logits.rows; first = end) {
    const int64_t target = row_targets_[static_cast<size_t>(first)];
    end = first + 1;
    while (end < logits.rows && row_targets_[static_cast<size_t>(end)] == target + end - first) ++end;
    const ConstMatrixView rows = {logits.row(first), end - first, columns, logits.stride};
    if (likeliest == 0) {
      backend_.log_softmax(rows, {result.log_probabilities.data() + target * columns, end - first, columns, columns});
      continue;
    }
    int32_t* tokens = result.likeliest.data() + target * likeliest;
    float* scores = result.log_probabilities.data() + target * likeliest;
    backend_.likeliest_tokens({rows, likeliest, tokens, scores});
    for (int64_t entry = 0; entry < (end - first) * likeliest; entry += likeliest) {
      if (std::isnan(scores[entry])) fail_for_nan_score(tokens[entry]);
    }
  }
}

}  // namespace octoformer
