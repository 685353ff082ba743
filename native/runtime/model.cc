#include "runtime/model.h"

#include <algorithm>
#include <utility>

#include "backend/error.h"

namespace octoformer {

std::unique_ptr<Model> Model::load(std::string program, const Checkpoint& checkpoint, std::unique_ptr<Backend> backend,
                                   LoadOptions options, std::unique_ptr<PackedCache> packed) {
  CompiledModel compiled = compile_model(parse_program(std::move(program)));
  options.packed = packed.get();
  std::vector<LoadedWeight> weights = load_weights(compiled.main.program.weights, checkpoint, *backend, options);
  return std::unique_ptr<Model>(
      new Model(std::move(compiled), std::move(backend), std::move(weights), std::move(packed)));
}

Model::Encoder::Encoder(const Model& model, const CompiledProgram& compiled, std::shared_ptr<Arena> arena)
    : pool(KeyValuePagePool::create(plan_key_value_layout(compiled.program.cache_layers, *model.backend_))),
      cross_pool(KeyValuePagePool::create(plan_key_value_layout(compiled.program.cross_layers, *model.backend_))),
      executor(compiled, model.weights_, pool, *model.backend_, Executor::kChunkTokens, std::move(arena)) {}

Model::Model(CompiledModel compiled, std::unique_ptr<Backend> backend, std::vector<LoadedWeight> weights,
             std::unique_ptr<PackedCache> packed)
    : compiled_(std::move(compiled)),
      backend_(std::move(backend)),
      weights_(std::move(weights)),
      packed_(std::move(packed)),
      pool_(KeyValuePagePool::create(plan_key_value_layout(compiled_.main.program.cache_layers, *backend_))),
      executor_(compiled_.main, weights_, pool_, *backend_, Executor::kChunkTokens, arena_) {
  if (compiled_.encoder) encoder_.emplace(*this, *compiled_.encoder, arena_);
}

void Model::write_packed() const {
  std::vector<const LinearWeight*> linear;
  for (const LoadedWeight& weight : weights_) {
    if (weight.linear) linear.push_back(weight.linear.get());
  }
  packed_->write(linear);
}

void Model::close() {
  pool_->close();
  if (encoder_) {
    encoder_->pool->close();
    encoder_->cross_pool->close();
  }
}

MemoryUse Model::memory() const {
  MemoryUse use;
  for (const LoadedWeight& weight : weights_) {
    use.weights += weight.bytes();
    use.weights_by_form[weight_form_name(weight.form())] += weight.bytes();
  }
  use.cache = pool_->bytes();
  if (encoder_) use.cache += encoder_->pool->bytes() + encoder_->cross_pool->bytes();
  use.arena = executor_.arena_bytes();
  if (encoder_) use.arena += encoder_->executor.arena_bytes() - arena_->bytes();  // which they share
  return use;
}

namespace {

/// What makes it possible that a run follows another one without being asked for.
void check_steps(const RunRequest& request) {
  if (request.steps < 1) fail(ErrorCode::invalid_argument, "steps must be 1 or above, found ", request.steps);
  if (request.steps == 1) return;
  const auto require = [](bool holds, const char* what) {
    if (!holds) fail(ErrorCode::invalid_argument, "a request of several steps must have ", what);
  };
  const size_t sequences = request.lengths.size();
  require(std::all_of(request.lengths.begin(), request.lengths.end(), [](int32_t length) { return length == 1; }),
          "one token a sequence");
  require(std::none_of(request.caches.begin(), request.caches.end(), [](const auto& cache) { return !cache; }),
          "a cache a sequence");
  require(request.samplers.size() == sequences, "a sampler a sequence");
  bool own_rows = request.rows.size() == sequences;
  for (size_t i = 0; own_rows && i < sequences; ++i) own_rows = request.rows[i] == static_cast<int32_t>(i);
  require(own_rows, "rows 0, 1, ... of its sequences");
  require(request.outputs.empty(), "no outputs");
  require(!request.log_probabilities, "no log_probabilities");
  require(!request.position_ids && !request.token_type_ids && !request.encoder, "input_ids only");
}

bool goes_on(const RunRequest& request, std::span<const int32_t> sampled) {
  if (request.others_wait != nullptr && request.others_wait->load(std::memory_order_relaxed)) return false;
  const auto& last = request.last_ids;
  return std::none_of(sampled.begin(), sampled.end(),
                      [&](int32_t id) { return std::find(last.begin(), last.end(), id) != last.end(); });
}

}  // namespace

RunResult Model::run(const RunRequest& request) {
  check_steps(request);
  const std::lock_guard lock(run_mutex_);
  RunResult result = run_once(request, {});
  if (request.steps == 1) return result;
  RunRequest next = request;
  std::vector<int32_t> sampled = result.sampled;
  for (int32_t step = 1; step < request.steps && goes_on(request, result.sampled); ++step) {
    next.input_ids = result.sampled;
    result = run_once(next, std::move(result));
    sampled.insert(sampled.end(), result.sampled.begin(), result.sampled.end());
  }
  result.sampled = std::move(sampled);
  return result;
}

/// `result`: of the runs before.
RunResult Model::run_once(const RunRequest& request, RunResult result) {
  if (encoder_) return run_with_encoder(request, std::move(result));
  if (request.encoder) fail(ErrorCode::invalid_argument, "the model has no encoder; leave out the ids for it");
  return executor_.run(request, {}, std::move(result));
}

void Model::read_weight(size_t index, std::span<const int32_t> rows, float* out) {
  if (index >= weights_.size()) fail(ErrorCode::invalid_argument, "there is no weight ", index);
  const LoadedWeight& weight = weights_[index];
  const WeightDescription& description = weight_descriptions()[index];
  for (const int32_t row : rows) {
    if (row >= 0 && row < description.shape[0]) continue;
    fail(ErrorCode::invalid_argument, "weight ", description.name, " has ", description.shape[0], " rows, but row ",
         row, " was asked for");
  }
  if (!weight.linear) {
    for (const int32_t row : rows) *out++ = weight.vector[static_cast<size_t>(row)];
    return;
  }
  const int64_t columns = weight.linear->description().in_features;
  const std::lock_guard lock(run_mutex_);
  backend_->embedding(
      {rows, weight.linear.get(), 1.0f, false, {out, static_cast<int64_t>(rows.size()), columns, columns}});
}

RunResult Model::run_with_encoder(const RunRequest& request, RunResult so_far) {
  std::vector<std::shared_ptr<EncodedSequence>> fresh;
  if (request.encoder) fresh = encode(request, so_far);

  std::vector<std::shared_ptr<const EncodedSequence>> kept;  // alive until the run has ended
  std::vector<const EncodedSequence*> encoded;
  for (size_t i = 0; i < request.lengths.size(); ++i) {
    const KeyValueCache* cache = i < request.caches.size() ? request.caches[i].get() : nullptr;
    if (i < fresh.size() && fresh[i]) {
      encoded.push_back(fresh[i].get());
    } else {
      encoded.push_back(cache == nullptr ? nullptr : kept.emplace_back(cache->encoded()).get());
    }
  }
  if (!request.encoder) return executor_.run(request, encoded, std::move(so_far));

  RunRequest rest = request;
  std::erase_if(rest.outputs, [&](const std::string& name) { return compiled_.encoder->outputs.contains(name); });
  RunResult result = executor_.run(rest, encoded, std::move(so_far));
  for (size_t i = 0; i < fresh.size(); ++i) {
    if (fresh[i] && request.caches[i]) request.caches[i]->set_encoded(std::move(fresh[i]));
  }
  return result;
}

/// Runs the encoder. Gives an encoded sequence for each sequence of the request that has ids for it, null for others.
std::vector<std::shared_ptr<EncodedSequence>> Model::encode(const RunRequest& request, RunResult& result) {
  const EncoderInput& input = *request.encoder;
  if (input.lengths.size() != request.lengths.size()) {
    fail(ErrorCode::invalid_argument, "the encoder has ", input.lengths.size(), " lengths for ", request.lengths.size(),
         " sequences; give one (or 0) a sequence");
  }
  RunRequest run;
  run.input_ids = input.input_ids;
  run.position_ids = input.position_ids;
  run.observe = request.observe;
  run.abort = request.abort;
  run.abort_all = request.abort_all;
  for (const std::string& name : request.outputs) {
    if (compiled_.encoder->outputs.contains(name)) run.outputs.push_back(name);
  }
  std::vector<std::shared_ptr<EncodedSequence>> fresh;
  std::vector<const EncodedSequence*> targets;
  for (size_t i = 0; i < input.lengths.size(); ++i) {
    const int32_t length = input.lengths[i];
    if (length < 0) fail(ErrorCode::invalid_argument, "encoder.lengths[", i, "] is ", length);
    fresh.emplace_back();
    if (length == 0) continue;
    if (i < request.caches.size() && request.caches[i] && request.caches[i]->encoded()) {
      fail(ErrorCode::invalid_argument, "caches[", i, "] has an encoded sequence already; give a new cache, or no ids");
    }
    fresh.back() = std::make_shared<EncodedSequence>(encoder_->cross_pool, length);
    targets.push_back(fresh.back().get());
    run.lengths.push_back(length);
    run.caches.emplace_back();
  }
  result = encoder_->executor.run(run, targets);
  return fresh;
}

}  // namespace octoformer
