#include "runtime/chunk_executor.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "backend/error.h"

namespace octoformer {

namespace {

/// Activations of one chunk; far above any model's need, far below what overflows a size.
constexpr double kMaxArenaFloats = static_cast<double>(size_t{1} << 40);

}  // namespace

void refuse_aborted(const RunRequest& request) {
  for (const std::atomic<bool>* flag : {request.abort, request.abort_all}) {
    if (flag != nullptr && flag->load(std::memory_order_relaxed)) fail(ErrorCode::aborted, "the run was aborted");
  }
}

ChunkExecutor::ChunkExecutor(const CompiledProgram& compiled, std::span<const LoadedWeight> weights,
                             std::span<const KeyValueLayer> layers, std::span<const RowQuantization> row_quantization,
                             Backend& backend, std::shared_ptr<Arena> arena)
    : compiled_(compiled),
      weights_(weights),
      layers_(layers),
      row_quantization_(row_quantization),
      backend_(backend),
      arena_(std::move(arena)),
      own_layers_(layers.begin(), layers.end()) {
  for (const RowQuantization& plan : row_quantization_) {
    while (static_cast<int32_t>(quantized_rows_.size()) <= std::max(plan.slot, plan.out_slot))
      quantized_rows_.push_back(backend.make_quantized_rows());
  }
  for (KeyValueLayer& layer : own_layers_) {
    layer.page_offset = 0;
    own_page_bytes_ =
        std::max(own_page_bytes_, backend.key_value_page_bytes(layer.kv_heads, layer.head_dim, layer.form));
  }
}

void ChunkExecutor::run(const RunState& run, int64_t first, int64_t count, RunResult& result) {
  run_ = &run;
  wavefront_ = nullptr;
  const RunRequest& request = *run.request;
  select(first, count);
  lay_out_arena();
  // Where no row's logits are wanted, the ops after gather_rows have nothing to do unless an output is asked of them.
  int32_t last_asked = -1;
  for (const std::string& name : request.outputs)
    last_asked = std::max(last_asked, compiled_.outputs.find(name)->second);
  const auto& ops = compiled_.program.ops;
  auto end = static_cast<int32_t>(ops.size());
  for (int32_t i = last_asked + 1; rows_.empty() && i < end; ++i) {
    if (std::holds_alternative<GatherRowsOp>(ops[static_cast<size_t>(i)])) end = i;
  }
  run_ops(0, end, result);
}

void ChunkExecutor::run_group(const RunState& run, Wavefront& wavefront, size_t group, MatrixView gathered,
                              RunResult& result) {
  run_ = &run;
  wavefront_ = &wavefront;
  group_ = group;
  select(wavefront.group(group).first_token, wavefront.group(group).tokens);
  const std::vector<int32_t> wanted = std::move(rows_);
  rows_.clear();  // the arena has no room for what follows from them
  lay_out_arena();
  const auto ops = static_cast<int32_t>(compiled_.program.ops.size());
  run_ops(0, compiled_.gather_op < 0 ? ops : compiled_.gather_op, result);
  if (wanted.empty() || compiled_.gather_op < 0) return;
  const ConstMatrixView source = view(gather_rows().input);
  for (size_t i = 0; i < wanted.size(); ++i) {
    std::copy_n(source.row(wanted[i]), source.columns, gathered.row(row_targets_[i]));
  }
}

void ChunkExecutor::run_gathered(const RunState& run, int64_t first, ConstMatrixView gathered, RunResult& result) {
  run_ = &run;
  wavefront_ = nullptr;
  select(0, 0);
  rows_.resize(static_cast<size_t>(gathered.rows));
  row_targets_.resize(rows_.size());
  std::iota(row_targets_.begin(), row_targets_.end(), first);
  lay_out_arena();
  std::iota(rows_.begin(), rows_.end(), 0);
  backend_.gather_rows(gathered, rows_, view(gather_rows().out));
  run_ops(compiled_.gather_op + 1, static_cast<int32_t>(compiled_.program.ops.size()), result);
}

void ChunkExecutor::run_ops(int32_t first, int32_t end, RunResult& result) {
  sampled_ = false;
  for (op_ = first; op_ < end; ++op_) {
    refuse_aborted(*run_->request);
    if (wavefront_ != nullptr) wavefront_->refuse_failed(group_);
    std::visit([&](const auto& op) { execute(op, result); }, compiled_.program.ops[static_cast<size_t>(op_)]);
  }
}

/// Its probabilities come sequence by sequence.
bool ChunkExecutor::asks_for_cross_attention(const RunRequest& request) const {
  return std::any_of(request.outputs.begin(), request.outputs.end(), [&](const std::string& name) {
    return std::holds_alternative<CrossAttentionOp>(
        compiled_.program.ops[static_cast<size_t>(compiled_.outputs.find(name)->second)]);
  });
}

/// The part of each sequence and of the rows that lies in token rows [first, first + count).
void ChunkExecutor::select(int64_t first, int64_t count) {
  const RunRequest& request = *run_->request;
  first_token_ = first;
  tokens_ = count;
  slices_.clear();
  cross_slices_.clear();
  slice_lengths_.clear();
  const bool by_sequence = asks_for_cross_attention(request);
  size_t last = 0;  // sequence of the last of cross_slices_
  for (size_t i = 0; i < run_->sequences.size(); ++i) {
    const RunState::Sequence& sequence = run_->sequences[i];
    const int64_t begin = std::max(sequence.first_token, first);
    const int64_t end = std::min(sequence.first_token + sequence.count, first + count);
    if (begin >= end) continue;
    slices_.push_back({begin - first, end - begin, sequence.past + begin - sequence.first_token,
                       std::span(run_->page_addresses).subspan(sequence.first_page, sequence.pages)});
    slice_lengths_.push_back(sequence.past + sequence.count);
    if (!compiled_.cross) continue;
    // A decoder reads all of it; an encoder writes the positions of its tokens.
    const EncodedSequence& encoded = *run_->encoded[i];
    if (!compiled_.encoder && !by_sequence && !cross_slices_.empty() && run_->encoded[i] == run_->encoded[last]) {
      cross_slices_.back().count += end - begin;  // beams of one input, side by side: its keys are read once for all
      continue;
    }
    last = i;
    const int64_t past = compiled_.encoder ? slices_.back().past : encoded.length();
    cross_slices_.push_back({begin - first, end - begin, past, encoded.pages()});
  }
  rows_.clear();
  row_targets_.clear();
  for (size_t i = 0; i < request.rows.size(); ++i) {
    const int64_t row = request.rows[i] - first;
    if (row < 0 || row >= count) continue;
    rows_.push_back(static_cast<int32_t>(row));
    row_targets_.push_back(static_cast<int64_t>(i));
  }
  if (!run_->keeps_pages) lay_out_pages();
}

void ChunkExecutor::lay_out_pages() {
  const auto pages_of = [](const SequenceSlice& slice) {
    return static_cast<size_t>((slice.count + kKeyValuePageTokens - 1) / kKeyValuePageTokens);
  };
  size_t pages = 0;
  for (const SequenceSlice& slice : slices_) pages += pages_of(slice);
  auto* memory = reinterpret_cast<std::byte*>(page_memory_.reserve(pages * own_page_bytes_ / sizeof(float)));
  own_pages_.clear();
  for (size_t page = 0; page < pages; ++page) own_pages_.push_back(memory + page * own_page_bytes_);
  size_t first = 0;
  for (SequenceSlice& slice : slices_) {
    slice.pages = std::span(own_pages_).subspan(first, pages_of(slice));
    first += pages_of(slice);
  }
}

void ChunkExecutor::lay_out_arena() {
  // 31 bits of rows times 24 bits of columns times the number of buffers: in floating point it can't overflow.
  double floats = 0;
  for (int i = 0; i < kRowSymbols; ++i) {
    const auto rows = rows_of(static_cast<RowSymbol>(i));
    floats += static_cast<double>(rows) * static_cast<double>(compiled_.arena.peak_columns[static_cast<size_t>(i)]);
  }
  if (floats > kMaxArenaFloats) {
    fail(ErrorCode::out_of_memory, "the activations of ", tokens_, " tokens take ", floats,
         " numbers; run fewer or shorter sequences");
  }
  memory_ = arena_->reserve(static_cast<size_t>(floats));
  int64_t start = 0;
  for (size_t i = 0; i < kRowSymbols; ++i) {
    class_starts_[i] = start;
    start += rows_of(static_cast<RowSymbol>(i)) * compiled_.arena.peak_columns[i];
  }
}

int64_t ChunkExecutor::rows_of(RowSymbol symbol) const {
  switch (symbol) {
    case RowSymbol::tokens:
      return tokens_;
    case RowSymbol::rows:
      return static_cast<int64_t>(rows_.size());
    case RowSymbol::sequences:
      return static_cast<int64_t>(run_->sequences.size());
    case RowSymbol::places:
      return compiled_.program.places;
  }
  fail(ErrorCode::internal, "a row symbol without a meaning");
}

MatrixView ChunkExecutor::view(const Value& value) const {
  const auto buffer = static_cast<size_t>(value.buffer);
  const RowSymbol symbol = compiled_.program.buffers[buffer].rows;
  const BufferPlacement& placement = compiled_.arena.buffers[buffer];
  const int64_t rows = rows_of(symbol);
  float* data = memory_ + class_starts_[static_cast<size_t>(symbol)] + placement.column_offset * rows + value.offset;
  return {data, rows, value.columns, placement.stride};
}

const float* ChunkExecutor::vector(const std::optional<int32_t>& weight) const {
  return weight ? weights_[static_cast<size_t>(*weight)].vector.data() : nullptr;
}

const GatherRowsOp& ChunkExecutor::gather_rows() const {
  return std::get<GatherRowsOp>(compiled_.program.ops[static_cast<size_t>(compiled_.gather_op)]);
}

const LinearWeight* ChunkExecutor::linear(int32_t weight) const {
  return weights_[static_cast<size_t>(weight)].linear.get();
}

}  // namespace octoformer
