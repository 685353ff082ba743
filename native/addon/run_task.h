// NativeModel.run of ts/binding/native.ts.
#pragma once
#include <atomic>
#include <memory>
#include <vector>

#include "addon/kept_objects.h"
#include "addon/run_queue.h"
#include "addon/task.h"
#include "runtime/run_request.h"

namespace octoformer {

class CacheObject;
class SamplerObject;

class RunTask : public Task {
 public:
  /// Copies everything that the run needs out of the request. Throws INVALID_ARGUMENT or DISPOSED.
  RunTask(Napi::Env env, std::shared_ptr<RunQueue> queue, Napi::Object request);
  ~RunTask() override;

 private:
  void read_encoder_input(Napi::Object request);
  void read_steps(Napi::Object request);
  void read_caches(Napi::Object request);
  void read_samplers(Napi::Object request);
  void work() override;
  void worked() override;
  Napi::Value result(Napi::Env env) override;
  void settled(bool alive) override;
  void return_samplers();
  Napi::Value inputs_to_js(Napi::Env env);

  const std::shared_ptr<RunQueue> queue_;
  RunRequest request_;
  RunResult result_;
  std::shared_ptr<const std::atomic<bool>> abort_;
  std::vector<KeyValueCache::Use> uses_;
  KeptObjects kept_;
  std::vector<CacheObject*> caches_;
  std::vector<SamplerObject*> samplers_;
};

}  // namespace octoformer
