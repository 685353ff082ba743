#include "addon/load_model_task.h"

#include <utility>

#include "addon/free_memory.h"
#include "addon/model_object.h"

namespace octoformer {

LoadModelTask::LoadModelTask(Napi::Env env, std::shared_ptr<const Checkpoint> checkpoint, std::string program,
                             CpuBackendOptions options, std::unique_ptr<PackedCache> packed,
                             std::shared_ptr<const std::atomic<bool>> abort, std::unique_ptr<ProgressChannel> progress)
    : Task(env, "octoformer.loadModel"),
      checkpoint_(std::move(checkpoint)),
      program_(std::move(program)),
      options_(std::move(options)),
      packed_(std::move(packed)),
      abort_(std::move(abort)),
      progress_(std::move(progress)) {}

void LoadModelTask::work() {
  LoadOptions options;
  options.abort = abort_.get();
  if (progress_) options.progress = [this](uint64_t loaded, uint64_t total) { progress_->report(loaded, total); };
  model_ = Model::load(std::move(program_), *checkpoint_, make_cpu_backend(options_), std::move(options),
                       std::move(packed_));
  checkpoint_.reset();
  return_free_memory();
}

Napi::Value LoadModelTask::result(Napi::Env env) {
  if (progress_) progress_->finish(env);
  return ModelObject::create(env, std::move(model_));
}

}  // namespace octoformer
