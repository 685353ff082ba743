#include "runtime/model.h"

#include <utility>

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

}  // namespace octoformer
