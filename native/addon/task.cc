#include "addon/task.h"

#include "addon/js_error.h"

namespace octoformer {

Task::Task(Napi::Env env, const char* name) : env_(env), deferred_(Napi::Promise::Deferred::New(env)) {
  const Napi::String resource = Napi::String::New(env, name);
  if (napi_create_async_work(env, nullptr, resource, &Task::execute, &Task::complete, this, &work_) != napi_ok) {
    throw Napi::Error::New(env);
  }
}

Task::~Task() {
  if (work_ != nullptr) static_cast<void>(napi_delete_async_work(env_, work_));
}

void Task::queue(std::unique_ptr<Task> task) {
  if (napi_queue_async_work(task->env_, task->work_) != napi_ok) throw Napi::Error::New(task->env_);
  static_cast<void>(task.release());  // complete() owns it
}

void Task::execute(napi_env, void* data) {
  Task* task = static_cast<Task*>(data);
  try {
    task->work();
  } catch (...) {
    task->failure_ = std::current_exception();
  }
}

void Task::complete(napi_env raw_env, napi_status, void* data) {
  const std::unique_ptr<Task> task(static_cast<Task*>(data));
  const Napi::Env env(raw_env);
  const Napi::HandleScope scope(env);
  task->worked();
  task->settled(task->settle(env));
}

/// False when the environment is being torn down: then nobody waits for the promise any more.
bool Task::settle(Napi::Env env) {
  try {
    Napi::Value value;
    try {
      if (failure_) std::rethrow_exception(failure_);
      value = result(env);
    } catch (...) {
      deferred_.Reject(to_js_error(env, std::current_exception()).Value());
      return true;
    }
    deferred_.Resolve(value);
    return true;
  } catch (const Napi::Error&) {
    return false;
  }
}

}  // namespace octoformer
