#include "runtime/executor.h"

#include <algorithm>
#include <string>
#include <unordered_set>

#include "backend/error.h"

namespace octoformer {

namespace {

/// Results of one call; far above any model's need, far below what overflows a size.
constexpr size_t kMaxOutputFloats = size_t{1} << 40;

void refuse_aborted(const RunRequest& request) {
  for (const std::atomic<bool>* flag : {request.abort, request.abort_all}) {
    if (flag != nullptr && flag->load(std::memory_order_relaxed)) fail(ErrorCode::aborted, "the run was aborted");
  }
}

size_t checked_floats(int64_t rows, int64_t columns, const std::string& name) {
  const auto floats = static_cast<size_t>(rows) * static_cast<size_t>(columns);
  if (rows != 0 && (floats / static_cast<size_t>(rows) != static_cast<size_t>(columns) || floats > kMaxOutputFloats)) {
    fail(ErrorCode::out_of_memory, "the output '", name, "' is too large: ", rows, " x ", columns, " numbers");
  }
  return floats;
}

}  // namespace

Executor::Executor(const CompiledProgram& compiled, std::span<const LoadedWeight> weights,
                   std::shared_ptr<KeyValuePagePool> pool, Backend& backend, int64_t chunk_tokens,
                   std::shared_ptr<Arena> arena)
    : compiled_(compiled),
      weights_(weights),
      pool_(std::move(pool)),
      backend_(backend),
      chunk_tokens_(chunk_tokens),
      row_quantization_(plan_row_quantization(compiled,
                                              [&](int32_t left, int32_t right) {
                                                return backend.share_quantized_rows(
                                                    *weights[static_cast<size_t>(left)].linear,
                                                    *weights[static_cast<size_t>(right)].linear);
                                              })),
      arena_(std::move(arena)) {
  for (const RowQuantization& plan : row_quantization_) {
    while (static_cast<int32_t>(quantized_rows_.size()) <= std::max(plan.slot, plan.out_slot))
      quantized_rows_.push_back(backend.make_quantized_rows());
  }
}

RunResult Executor::run(const RunRequest& request, std::span<const EncodedSequence* const> encoded, RunResult result) {
  check(request);
  check_caches(request);
  check_encoded(request, encoded);
  refuse_aborted(request);
  request_ = &request;
  encoded_ = encoded;

  // Sequences without a cache get one that ends with the run.
  std::vector<std::unique_ptr<KeyValueCache>> temporary;
  std::vector<KeyValueCache*> caches;
  for (const auto& given : request.caches) {
    caches.push_back(given ? given.get() : temporary.emplace_back(std::make_unique<KeyValueCache>(pool_)).get());
  }
  // On all threads: where beams have split, each of them copies a page.
  std::vector<std::optional<KeyValueCache::Growth>> growths(caches.size());
  backend_.for_each(static_cast<int64_t>(caches.size()), [&](int64_t task) {
    const auto i = static_cast<size_t>(task);
    growths[i].emplace(*caches[i], request.lengths[i]);
  });
  place_tokens(request, growths);

  allocate_outputs(request, result);
  const auto total = static_cast<int64_t>(request.input_ids.size());
  const bool in_chunks = compiled_.causal && !compiled_.looks_across_rows &&
                         std::none_of(request.outputs.begin(), request.outputs.end(), [&](const std::string& name) {
                           return !std::holds_alternative<OutputOp>(
                               compiled_.program.ops[static_cast<size_t>(compiled_.outputs.find(name)->second)]);
                         });
  const int64_t step = in_chunks ? chunk_tokens_ : std::max<int64_t>(total, 1);
  for (int64_t first = 0; first < total; first += step) {
    run_chunk(request, first, std::min(step, total - first), result);
  }

  for (auto& growth : growths) growth->commit();
  for (size_t i = 0; i < request.samplers.size(); ++i) request.samplers[i]->accept(result.sampled[i]);
  return result;
}

void Executor::check(const RunRequest& request) const {
  const auto total = static_cast<int64_t>(request.input_ids.size());
  int64_t sum = 0;
  for (size_t i = 0; i < request.lengths.size(); ++i) {
    if (request.lengths[i] < 0) fail(ErrorCode::invalid_argument, "lengths[", i, "] is ", request.lengths[i]);
    sum += request.lengths[i];
  }
  if (sum != total) {
    fail(ErrorCode::invalid_argument, "lengths add up to ", sum, " tokens, but there are ", total, " input_ids");
  }
  const auto check_length = [&](const char* name, const std::optional<std::vector<int32_t>>& ids) {
    if (ids && static_cast<int64_t>(ids->size()) != total) {
      fail(ErrorCode::invalid_argument, name, " has ", ids->size(), " entries, but there are ", total, " input_ids");
    }
  };
  check_length("position_ids", request.position_ids);
  check_length("token_type_ids", request.token_type_ids);
  for (size_t i = 0; i < request.rows.size(); ++i) {
    if (request.rows[i] < 0 || request.rows[i] >= total) {
      fail(ErrorCode::invalid_argument, "rows[", i, "] is ", request.rows[i], ", but there are ", total, " token rows");
    }
  }
  for (const std::string& name : request.outputs) {
    if (compiled_.outputs.contains(name)) continue;
    std::string known;
    for (const auto& [output, op] : compiled_.outputs) known += (known.empty() ? "" : ", ") + output;
    fail(ErrorCode::invalid_argument, "the model has no output '", name, "'; it has: ", known);
  }
  if (request.log_probabilities) {
    if (compiled_.logits_op < 0) fail(ErrorCode::invalid_argument, "the model has no logits to make probabilities of");
    if (*request.log_probabilities < 0) {
      fail(ErrorCode::invalid_argument, "log_probabilities is ", *request.log_probabilities,
           "; give a number of tokens, or 0 for all");
    }
  }
  if (!request.samplers.empty()) {
    if (compiled_.logits_op < 0) fail(ErrorCode::invalid_argument, "the model has no logits to sample from");
    if (request.samplers.size() != request.rows.size()) {
      fail(ErrorCode::invalid_argument, "there are ", request.samplers.size(), " samplers for ", request.rows.size(),
           " rows; give one a row");
    }
    std::unordered_set<const Sampler*> seen;
    for (const auto& sampler : request.samplers) {
      if (!seen.insert(sampler.get()).second) fail(ErrorCode::invalid_argument, "a sampler is given for two rows");
    }
  }
}

int64_t Executor::logits_columns() const {
  return std::get<OutputOp>(compiled_.program.ops[static_cast<size_t>(compiled_.logits_op)]).input.columns;
}

void Executor::check_caches(const RunRequest& request) const {
  if (request.caches.size() != request.lengths.size()) {
    fail(ErrorCode::invalid_argument, "there are ", request.caches.size(), " caches for ", request.lengths.size(),
         " sequences; give one (or null) a sequence");
  }
  std::unordered_set<const KeyValueCache*> seen;
  for (size_t i = 0; i < request.caches.size(); ++i) {
    const KeyValueCache* cache = request.caches[i].get();
    if (cache != nullptr && cache->pool() != pool_.get()) {
      fail(ErrorCode::invalid_argument, "caches[", i, "] belongs to another model");
    }
    if (cache != nullptr && !seen.insert(cache).second) {
      fail(ErrorCode::invalid_argument, "caches[", i, "] is given twice; fork it for a second sequence");
    }
    const int64_t past = cache == nullptr ? 0 : cache->length();
    if (past + request.lengths[i] > INT32_MAX) {
      fail(ErrorCode::context_overflow, "sequence ", i, " would have ", past + request.lengths[i],
           " tokens; the limit is ", INT32_MAX);
    }
  }
}

void Executor::check_encoded(const RunRequest& request, std::span<const EncodedSequence* const> encoded) const {
  if (!compiled_.cross) return;
  for (size_t i = 0; i < request.lengths.size(); ++i) {
    if (request.lengths[i] == 0 || (i < encoded.size() && encoded[i] != nullptr)) continue;
    fail(ErrorCode::invalid_argument, "sequence ", i,
         " has nothing to attend to: give ids for the encoder, or a cache of a run that had them");
  }
}

/// Positions, token types and addresses of pages of the whole request.
void Executor::place_tokens(const RunRequest& request, std::span<const std::optional<KeyValueCache::Growth>> growths) {
  sequences_.clear();
  page_addresses_.clear();
  positions_.clear();
  int64_t first_token = 0;
  for (size_t i = 0; i < growths.size(); ++i) {
    const Sequence sequence{first_token, request.lengths[i], growths[i]->past(), page_addresses_.size(), 0};
    growths[i]->append_pages(page_addresses_);
    sequences_.push_back(sequence);
    sequences_.back().pages = page_addresses_.size() - sequence.first_page;
    for (int64_t j = 0; j < sequence.count; ++j) positions_.push_back(static_cast<int32_t>(sequence.past + j));
    first_token += sequence.count;
  }
  if (request.position_ids) positions_ = *request.position_ids;
  if (request.token_type_ids) {
    token_types_ = *request.token_type_ids;
  } else {
    token_types_.assign(request.input_ids.size(), 0);
  }
}

void Executor::allocate_outputs(const RunRequest& request, RunResult& result) const {
  for (const std::string& name : request.outputs) {
    const Op& op = compiled_.program.ops[static_cast<size_t>(compiled_.outputs.find(name)->second)];
    size_t floats = 0;
    if (const auto* output = std::get_if<OutputOp>(&op)) {
      const auto symbol = compiled_.program.buffers[static_cast<size_t>(output->input.buffer)].rows;
      const size_t rows = symbol == RowSymbol::tokens ? request.input_ids.size()
                          : symbol == RowSymbol::rows ? request.rows.size()
                                                      : request.lengths.size();
      floats = checked_floats(static_cast<int64_t>(rows), output->input.columns, name);
    } else {
      const auto* cross = std::get_if<CrossAttentionOp>(&op);
      const int64_t heads = cross != nullptr ? cross->heads : std::get<AttentionOp>(op).heads;
      for (size_t i = 0; i < sequences_.size(); ++i) {
        const Sequence& sequence = sequences_[i];
        const int64_t keys = cross == nullptr      ? sequence.past + sequence.count
                             : sequence.count == 0 ? 0
                                                   : encoded_[i]->length();
        floats += checked_floats(heads * sequence.count, keys, name);
        if (floats > kMaxOutputFloats) fail(ErrorCode::out_of_memory, "the output '", name, "' is too large");
      }
    }
    result.outputs[name].resize(floats);
  }
  if (!request.samplers.empty()) result.sampled.resize(request.rows.size());
  if (request.log_probabilities) {
    const auto rows = static_cast<int64_t>(request.rows.size());
    const int64_t columns = logits_columns();
    const int64_t likeliest = std::min<int64_t>(*request.log_probabilities, columns);
    result.log_probabilities.resize(checked_floats(rows, likeliest > 0 ? likeliest : columns, "log_probabilities"));
    result.likeliest.resize(static_cast<size_t>(rows * likeliest));
  }
}

void Executor::run_chunk(const RunRequest& request, int64_t first, int64_t count, RunResult& result) {
  select_chunk(request, first, count);
  lay_out_arena();
  // Where no row's logits are wanted, the ops after gather_rows have nothing to do unless an output is asked of them.
  int32_t last_asked = -1;
  for (const std::string& name : request.outputs)
    last_asked = std::max(last_asked, compiled_.outputs.find(name)->second);
  const auto ops = static_cast<int32_t>(compiled_.program.ops.size());
  for (int32_t i = 0; i < ops; ++i) {
    refuse_aborted(request);
    const Op& op = compiled_.program.ops[static_cast<size_t>(i)];
    op_ = i;
    if (rows_.empty() && last_asked < i && std::holds_alternative<GatherRowsOp>(op)) break;
    std::visit([&](const auto& alternative) { execute(alternative, result); }, op);
  }
}

/// Its probabilities come sequence by sequence.
bool Executor::asks_for_cross_attention(const RunRequest& request) const {
  return std::any_of(request.outputs.begin(), request.outputs.end(), [&](const std::string& name) {
    return std::holds_alternative<CrossAttentionOp>(
        compiled_.program.ops[static_cast<size_t>(compiled_.outputs.find(name)->second)]);
  });
}

/// The part of each sequence and of the rows that lies in token rows [first, first + count).
void Executor::select_chunk(const RunRequest& request, int64_t first, int64_t count) {
  first_token_ = first;
  tokens_ = count;
  slices_.clear();
  cross_slices_.clear();
  slice_lengths_.clear();
  const bool by_sequence = asks_for_cross_attention(request);
  size_t last = 0;  // sequence of the last of cross_slices_
  for (size_t i = 0; i < sequences_.size(); ++i) {
    const Sequence& sequence = sequences_[i];
    const int64_t begin = std::max(sequence.first_token, first);
    const int64_t end = std::min(sequence.first_token + sequence.count, first + count);
    if (begin >= end) continue;
    slices_.push_back({begin - first, end - begin, sequence.past + begin - sequence.first_token,
                       std::span(page_addresses_).subspan(sequence.first_page, sequence.pages)});
    slice_lengths_.push_back(sequence.past + sequence.count);
    if (!compiled_.cross) continue;
    // A decoder reads all of it; an encoder writes the positions of its tokens.
    const EncodedSequence& encoded = *encoded_[i];
    if (!compiled_.encoder && !by_sequence && !cross_slices_.empty() && encoded_[i] == encoded_[last]) {
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
}

void Executor::lay_out_arena() {
  // 31 bits of rows times 24 bits of columns times the number of buffers: in floating point it can't overflow.
  double floats = 0;
  for (int i = 0; i < kRowSymbols; ++i) {
    const auto rows = rows_of(static_cast<RowSymbol>(i));
    floats += static_cast<double>(rows) * static_cast<double>(compiled_.arena.peak_columns[static_cast<size_t>(i)]);
  }
  if (floats > static_cast<double>(kMaxOutputFloats)) {
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

int64_t Executor::rows_of(RowSymbol symbol) const {
  switch (symbol) {
    case RowSymbol::tokens:
      return tokens_;
    case RowSymbol::rows:
      return static_cast<int64_t>(rows_.size());
    case RowSymbol::sequences:
      return static_cast<int64_t>(sequences_.size());
    case RowSymbol::places:
      return compiled_.program.places;
  }
  fail(ErrorCode::internal, "a row symbol without a meaning");
}

MatrixView Executor::view(const Value& value) const {
  const auto buffer = static_cast<size_t>(value.buffer);
  const RowSymbol symbol = compiled_.program.buffers[buffer].rows;
  const BufferPlacement& placement = compiled_.arena.buffers[buffer];
  const int64_t rows = rows_of(symbol);
  float* data = memory_ + class_starts_[static_cast<size_t>(symbol)] + placement.column_offset * rows + value.offset;
  return {data, rows, value.columns, placement.stride};
}

const float* Executor::vector(const std::optional<int32_t>& weight) const {
  return weight ? weights_[static_cast<size_t>(*weight)].vector.data() : nullptr;
}

const LinearWeight* Executor::linear(int32_t weight) const {
  return weights_[static_cast<size_t>(weight)].linear.get();
}

}  // namespace octoformer
