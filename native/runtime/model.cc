#include "runtime/model.h"

#include <utility>

#include "backend/error.h"

namespace octoformer {

std::unique_ptr<Model> Model::load(std::string program, const Checkpoint& checkpoint, std::unique_ptr<Backend> backend,
                                   const LoadOptions& options) {
  CompiledProgram compiled = compile_program(parse_program(std::move(program)));
  std::vector<LoadedWeight> weights = load_weights(compiled.program.weights, checkpoint, *backend, options);
  return std::unique_ptr<Model>(new Model(std::move(compiled), std::move(backend), std::move(weights)));
}

Model::Model(CompiledProgram compiled, std::unique_ptr<Backend> backend, std::vector<LoadedWeight> weights)
    : compiled_(std::move(compiled)),
      backend_(std::move(backend)),
      weights_(std::move(weights)),
      pool_(KeyValuePagePool::create(plan_key_value_layout(compiled_.program.cache_layers, *backend_))),
      executor_(compiled_, weights_, pool_, *backend_) {}

MemoryUse Model::memory() const {
  MemoryUse use;
  for (const LoadedWeight& weight : weights_) {
    use.weights += weight.bytes();
    use.weights_by_form[weight_form_name(weight.form())] += weight.bytes();
  }
  use.cache = pool_->bytes();
  use.arena = executor_.arena_bytes();
  return use;
}

RunResult Model::run(const RunRequest& request) {
  const std::lock_guard lock(run_mutex_);
  return executor_.run(request);
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

}  // namespace octoformer
