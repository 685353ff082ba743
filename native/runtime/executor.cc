#include "runtime/executor.h"

#include <algorithm>
#include <atomic>
#include <set>
#include <string>
#include <unordered_set>

#include "backend/error.h"
#include "runtime/sequence_groups.h"
#include "runtime/wavefront.h"

namespace octoformer {

namespace {

/// Results of one call; far above any model's need, far below what overflows a size.
constexpr size_t kMaxOutputFloats = size_t{1} << 40;

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
      chunks_(compiled, weights, pool_->layout().layers, row_quantization_, backend, std::move(arena)) {
  for (int i = 0; has_lanes() && i < backend.threads(); ++i) {
    std::unique_ptr<Backend> lane = backend.make_lane();
    if (lane == nullptr) break;
    lanes_.push_back(std::make_unique<Lane>(*this, std::move(lane)));
  }
}

RunResult Executor::run(const RunRequest& request, std::span<const EncodedSequence* const> encoded, RunResult result) {
  check(request);
  check_caches(request);
  check_encoded(request, encoded);
  refuse_aborted(request);
  run_.request = &request;
  run_.encoded = encoded;
  const bool only_rows = std::none_of(request.outputs.begin(), request.outputs.end(), [&](const std::string& name) {
    return !std::holds_alternative<OutputOp>(
        compiled_.program.ops[static_cast<size_t>(compiled_.outputs.find(name)->second)]);
  });
  const bool in_chunks = compiled_.causal && !compiled_.looks_across_rows && only_rows;
  run_.keeps_pages = in_chunks || std::any_of(request.caches.begin(), request.caches.end(),
                                              [](const auto& cache) { return cache != nullptr; });

  // Beside others with caches, or where chunks follow each other, sequences without one get one that ends with the run.
  std::vector<std::unique_ptr<KeyValueCache>> temporary;
  std::vector<KeyValueCache*> caches;
  for (size_t i = 0; run_.keeps_pages && i < request.caches.size(); ++i) {
    KeyValueCache* given = request.caches[i].get();
    caches.push_back(given != nullptr ? given : temporary.emplace_back(std::make_unique<KeyValueCache>(pool_)).get());
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
  const bool lanes_fit = only_rows && !request.observe && !lanes_.empty();
  if (!lanes_fit || !(compiled_.causal ? run_wavefront(result) : run_lanes(result))) {
    const int64_t step = in_chunks ? chunk_tokens_ : std::max<int64_t>(total, 1);
    for (int64_t first = 0; first < total; first += step) {
      chunks_.run(run_, first, std::min(step, total - first), result);
    }
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
  run_.sequences.clear();
  run_.page_addresses.clear();
  run_.positions.clear();
  int64_t first_token = 0;
  for (size_t i = 0; i < request.lengths.size(); ++i) {
    RunState::Sequence sequence{first_token, request.lengths[i], 0, run_.page_addresses.size(), 0};
    if (run_.keeps_pages) {
      sequence.past = growths[i]->past();
      growths[i]->append_pages(run_.page_addresses);
      sequence.pages = run_.page_addresses.size() - sequence.first_page;
    }
    run_.sequences.push_back(sequence);
    for (int64_t j = 0; j < sequence.count; ++j) run_.positions.push_back(static_cast<int32_t>(sequence.past + j));
    first_token += sequence.count;
  }
  if (request.position_ids) run_.positions = *request.position_ids;
  if (request.token_type_ids) {
    run_.token_types = *request.token_type_ids;
  } else {
    run_.token_types.assign(request.input_ids.size(), 0);
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
      for (size_t i = 0; i < run_.sequences.size(); ++i) {
        const RunState::Sequence& sequence = run_.sequences[i];
        const int64_t keys = cross == nullptr      ? sequence.past + sequence.count
                             : sequence.count == 0 ? 0
                                                   : run_.encoded[i]->length();
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

/// Whether each thread can take tokens of its own through the Program, and the weights are few enough: those of a layer
/// where threads follow each other closely, all of them where they don't.
bool Executor::has_lanes() const {
  const Program& program = compiled_.program;
  const auto rows_of = [&](int32_t buffer) { return program.buffers[static_cast<size_t>(buffer)].rows; };
  const bool only_tokens = std::all_of(program.buffers.begin(), program.buffers.end(), [](const auto& buffer) {
    return buffer.rows == RowSymbol::tokens || buffer.rows == RowSymbol::rows;
  });
  if (compiled_.looks_across_rows || !only_tokens) return false;
  const bool causal = compiled_.causal;
  const int32_t end =
      causal && compiled_.gather_op >= 0 ? compiled_.gather_op : static_cast<int32_t>(program.ops.size());
  if (causal &&
      (compiled_.cross || std::any_of(compiled_.accesses.begin(), compiled_.accesses.end(), [&](const auto& access) {
         return access.op > end && rows_of(access.value.buffer) != RowSymbol::rows;
       }))) {
    return false;
  }
  uint64_t most = 0;
  std::set<int32_t> read;
  const auto count = [&] {
    uint64_t bytes = 0;
    for (const int32_t weight : read) bytes += weights_[static_cast<size_t>(weight)].bytes();
    most = std::max(most, bytes);
    read.clear();
  };
  for (int32_t i = 0; i < end; ++i) {
    const Op& op = program.ops[static_cast<size_t>(i)];
    if (causal && std::holds_alternative<AttentionOp>(op)) count();
    if (const auto* linear = std::get_if<LinearOp>(&op)) read.insert(linear->weight);
    if (const auto* grouped = std::get_if<GroupedLinearOp>(&op)) {
      read.insert(grouped->weights.begin(), grouped->weights.end());
    }
  }
  count();
  return most <= (causal ? kWavefrontLayerBytes : kLaneWeightBytes);
}

/// Whether it did.
bool Executor::run_wavefront(RunResult& result) {
  std::vector<TokenGroup> groups =
      cut_token_groups(run_.sequences, backend_.threads(), std::min(chunk_tokens_, kWavefrontTokens));
  if (groups.size() < 2) return false;
  Wavefront wavefront(std::move(groups));
  const auto wanted = static_cast<int64_t>(run_.request->rows.size());
  MatrixView gathered;
  if (wanted > 0 && compiled_.gather_op >= 0) {
    const Op& gather = compiled_.program.ops[static_cast<size_t>(compiled_.gather_op)];
    const int64_t columns = std::get<GatherRowsOp>(gather).input.columns;
    gathered = {gathered_.reserve(checked_floats(wanted, columns, "logits")), wanted, columns, columns};
  }
  backend_.for_each(static_cast<int64_t>(lanes_.size()), [&](int64_t lane) {
    for (std::optional<size_t> group = wavefront.take(); group; group = wavefront.take()) {
      try {
        lanes_[static_cast<size_t>(lane)]->chunks.run_group(run_, wavefront, *group, gathered, result);
        wavefront.finish(*group);
      } catch (...) {
        wavefront.end(*group, std::current_exception());
      }
    }
  });
  wavefront.rethrow_error();
  // All threads share what is left: a few rows, and mostly the largest matrix of all.
  for (int64_t first = 0; first < gathered.rows; first += chunk_tokens_) {
    const int64_t count = std::min(chunk_tokens_, gathered.rows - first);
    chunks_.run_gathered(run_, first, {gathered.row(first), count, gathered.columns, gathered.stride}, result);
  }
  return true;
}

/// Whether it did.
bool Executor::run_lanes(RunResult& result) {
  if (run_.keeps_pages) return false;
  const std::vector<SequenceGroup> groups =
      group_sequences(run_.request->lengths, backend_.threads(), std::min(chunk_tokens_, kGroupTokens));
  if (groups.empty()) return false;
  std::atomic<size_t> next = 0;
  backend_.for_each(static_cast<int64_t>(lanes_.size()), [&](int64_t lane) {
    for (size_t i = next++; i < groups.size(); i = next++) {
      lanes_[static_cast<size_t>(lane)]->chunks.run(run_, groups[i].first_token, groups[i].tokens, result);
    }
  });
  return true;
}

size_t Executor::arena_bytes() const {
  size_t bytes = chunks_.arena_bytes() + gathered_.bytes();
  for (const auto& lane : lanes_) bytes += lane->chunks.arena_bytes();
  return bytes;
}

}  // namespace octoformer
