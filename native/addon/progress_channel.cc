#include "addon/progress_channel.h"

#include <chrono>

namespace octoformer {

namespace {

constexpr std::chrono::milliseconds kInterval{50};  // 20 a second: smooth enough for a bar

int64_t steady_nanoseconds() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace

ProgressChannel::ProgressChannel(Napi::Env env, Napi::Function callback) : callback_(Napi::Persistent(callback)) {
  auto* context = new std::shared_ptr<State>(state_);
  function_ = Function::New(env, callback, "octoformer.progress", 0, 1, context,
                            [](Napi::Env, void*, std::shared_ptr<State>* owned) { delete owned; });
}

ProgressChannel::~ProgressChannel() { static_cast<void>(function_.Release()); }

void ProgressChannel::report(uint64_t loaded, uint64_t total) {
  State& state = *state_;
  state.total = total;
  uint64_t before = state.loaded.load();
  while (before < loaded && !state.loaded.compare_exchange_weak(before, loaded)) {
  }
  const int64_t now = steady_nanoseconds();
  int64_t next = state.next_report.load();
  const int64_t interval = std::chrono::duration_cast<std::chrono::nanoseconds>(kInterval).count();
  if (now < next || !state.next_report.compare_exchange_strong(next, now + interval)) return;
  static_cast<void>(function_.NonBlockingCall());
}

void ProgressChannel::finish(Napi::Env env) {
  state_->finished = true;
  const auto number = [env](uint64_t value) { return Napi::Number::New(env, static_cast<double>(value)); };
  callback_.Call({number(state_->loaded), number(state_->total)});
}

void ProgressChannel::deliver(Napi::Env env, Napi::Function callback, std::shared_ptr<State>* state, void*) {
  if (static_cast<napi_env>(env) == nullptr || (*state)->finished) return;
  callback.Call({Napi::Number::New(env, static_cast<double>((*state)->loaded)),
                 Napi::Number::New(env, static_cast<double>((*state)->total))});
}

}  // namespace octoformer
