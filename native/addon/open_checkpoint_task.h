// NativeAddon.openCheckpoint of ts/binding/native.ts.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "addon/task.h"
#include "formats/checkpoint.h"

namespace octoformer {

class OpenCheckpointTask : public Task {
 public:
  OpenCheckpointTask(Napi::Env env, std::vector<std::string> files)
      : Task(env, "octoformer.openCheckpoint"), files_(std::move(files)) {}

 private:
  void work() override;
  Napi::Value result(Napi::Env env) override;

  const std::vector<std::string> files_;
  std::shared_ptr<Checkpoint> checkpoint_;
};

}  // namespace octoformer
