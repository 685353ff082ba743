// NativeAddon.loadModel of ts/binding/native.ts.
#pragma once
#include <atomic>
#include <memory>
#include <string>

#include "addon/progress_channel.h"
#include "addon/task.h"
#include "cpu/cpu_backend.h"
#include "formats/checkpoint.h"
#include "runtime/model.h"

namespace octoformer {

class LoadModelTask : public Task {
 public:
  LoadModelTask(Napi::Env env, std::shared_ptr<const Checkpoint> checkpoint, std::string program,
                CpuBackendOptions options, std::unique_ptr<PackedCache> packed,
                std::shared_ptr<const std::atomic<bool>> abort, std::unique_ptr<ProgressChannel> progress);

 private:
  void work() override;
  Napi::Value result(Napi::Env env) override;

  std::shared_ptr<const Checkpoint> checkpoint_;
  std::string program_;
  const CpuBackendOptions options_;
  std::unique_ptr<PackedCache> packed_;
  const std::shared_ptr<const std::atomic<bool>> abort_;
  const std::unique_ptr<ProgressChannel> progress_;
  std::unique_ptr<Model> model_;
};

}  // namespace octoformer
