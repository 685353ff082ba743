#include "addon/open_checkpoint_task.h"

#include "addon/checkpoint_object.h"

namespace octoformer {

void OpenCheckpointTask::work() { checkpoint_ = Checkpoint::open(files_); }

Napi::Value OpenCheckpointTask::result(Napi::Env env) { return CheckpointObject::create(env, std::move(checkpoint_)); }

}  // namespace octoformer
