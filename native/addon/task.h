// Work off the main thread that ends in a promise: one hop to a thread of libuv's pool and back.
#pragma once
#include <napi.h>

#include <exception>
#include <memory>
#include <utility>

namespace octoformer {

class Task {
 public:
  virtual ~Task();
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;

  Napi::Promise promise() const { return deferred_.Promise(); }
  /// Hands the task to the pool; it deletes itself when it is done.
  static void queue(std::unique_ptr<Task> task);

 protected:
  Task(Napi::Env env, const char* name);

  /// In the pool: no JavaScript here. What it throws rejects the promise.
  virtual void work() = 0;
  /// On the main thread, after work() succeeded: what the promise resolves to.
  virtual Napi::Value result(Napi::Env env) = 0;
  /// On the main thread, after work() succeeded or failed and before the promise is settled.
  virtual void worked() {}
  /// On the main thread, last. `alive`: the environment still runs JavaScript, so that more work makes sense.
  virtual void settled(bool alive) { static_cast<void>(alive); }

 private:
  static void execute(napi_env env, void* data);
  static void complete(napi_env env, napi_status status, void* data);
  bool settle(Napi::Env env);

  const Napi::Env env_;
  Napi::Promise::Deferred deferred_;
  napi_async_work work_ = nullptr;
  std::exception_ptr failure_;
};

/// Makes a task and hands it to the pool.
template <class AnyTask, class... Arguments>
Napi::Promise queue_task(Napi::Env env, Arguments&&... arguments) {
  auto task = std::make_unique<AnyTask>(env, std::forward<Arguments>(arguments)...);
  const Napi::Promise promise = task->promise();
  Task::queue(std::move(task));
  return promise;
}

}  // namespace octoformer
