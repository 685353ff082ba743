// Carries progress from the threads that load a model to a JavaScript callback, not more often than a person can see.
#pragma once
#include <napi.h>

#include <atomic>
#include <cstdint>
#include <memory>

namespace octoformer {

class ProgressChannel {
 public:
  ProgressChannel(Napi::Env env, Napi::Function callback);
  ~ProgressChannel();
  ProgressChannel(const ProgressChannel&) = delete;
  ProgressChannel& operator=(const ProgressChannel&) = delete;

  /// From any thread.
  void report(uint64_t loaded, uint64_t total);
  /// On the main thread: the last report, at once; none follows. What the callback throws comes out.
  void finish(Napi::Env env);

 private:
  /// Shared with calls that are on their way when the channel ends.
  struct State {
    std::atomic<uint64_t> loaded = 0;
    std::atomic<uint64_t> total = 0;
    std::atomic<int64_t> next_report = 0;  // steady time
    bool finished = false;                 // main thread only
  };
  static void deliver(Napi::Env env, Napi::Function callback, std::shared_ptr<State>* state, void*);
  using Function = Napi::TypedThreadSafeFunction<std::shared_ptr<State>, void, &ProgressChannel::deliver>;

  std::shared_ptr<State> state_ = std::make_shared<State>();
  Napi::FunctionReference callback_;
  Function function_;
};

}  // namespace octoformer
