// NativeAddon.measureMemoryRate of ts/binding/native.ts.
#pragma once
#include "addon/task.h"
#include "cpu/memory_rate.h"

namespace octoformer {

class MemoryRateTask : public Task {
 public:
  MemoryRateTask(Napi::Env env, int threads, double seconds)
      : Task(env, "octoformer.measureMemoryRate"), threads_(threads), seconds_(seconds) {}

 private:
  void work() override { rate_ = measure_memory_rate(threads_, seconds_); }
  Napi::Value result(Napi::Env env) override { return Napi::Number::New(env, rate_); }

  const int threads_;
  const double seconds_;
  double rate_ = 0;
};

}  // namespace octoformer
