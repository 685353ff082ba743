// Tells the garbage collector about native memory that a JavaScript object keeps alive.
#pragma once
#include <napi.h>

#include <cstdint>

namespace octoformer {

class ExternalMemory {
 public:
  explicit ExternalMemory(Napi::Env env) : env_(env) {}
  ExternalMemory(const ExternalMemory&) = delete;
  ExternalMemory& operator=(const ExternalMemory&) = delete;
  ~ExternalMemory() { set(0); }

  void set(uint64_t bytes) {
    const int64_t change = static_cast<int64_t>(bytes) - static_cast<int64_t>(reported_);
    int64_t total = 0;
    // It only advises the collector: a failure, while the environment is torn down, changes nothing.
    if (change != 0) static_cast<void>(napi_adjust_external_memory(env_, change, &total));
    reported_ = bytes;
  }

 private:
  const napi_env env_;
  uint64_t reported_ = 0;
};

}  // namespace octoformer
