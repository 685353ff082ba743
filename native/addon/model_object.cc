#include "addon/model_object.h"

#include <string>
#include <utility>

#include "addon/addon_data.h"
#include "addon/arguments.h"
#include "addon/cache_object.h"
#include "addon/js_error.h"
#include "addon/run_task.h"
#include "addon/wrapped.h"

namespace octoformer {

namespace {
Napi::Number bytes_to_js(Napi::Env env, uint64_t bytes) { return Napi::Number::New(env, static_cast<double>(bytes)); }

Napi::String view_to_js(Napi::Env env, std::string_view text) {
  return Napi::String::New(env, text.data(), text.size());
}
}  // namespace

Napi::Function ModelObject::define(Napi::Env env) {
  return DefineClass(
      env, kClassName,
      {InstanceAccessor<&ModelObject::isa>("isa"), InstanceAccessor<&ModelObject::threads>("threads"),
       InstanceMethod<&ModelObject::create_cache>("createCache"), InstanceMethod<&ModelObject::run>("run"),
       InstanceMethod<&ModelObject::memory>("memory"), InstanceMethod<&ModelObject::weight_info>("weightInfo"),
       InstanceMethod<&ModelObject::dispose>("dispose")});
}

Napi::Object ModelObject::create(Napi::Env env, std::unique_ptr<Model> model) {
  return construct(env, AddonData::of(env).model, std::make_shared<RunQueue>(std::move(model)));
}

ModelObject::ModelObject(const Napi::CallbackInfo& info) : ObjectWrap(info), external_memory_(info.Env()) {
  guarded(info.Env(), [&] { queue_ = take_native<std::shared_ptr<RunQueue>>(info, kClassName); });
  info.This().As<Napi::Object>().TypeTag(&kTag);
  external_memory_.set(queue_->model().memory().weights);
}

const std::shared_ptr<RunQueue>& ModelObject::queue() const {
  if (!queue_) fail(ErrorCode::disposed, "the model was disposed; load it again");
  return queue_;
}

Napi::Value ModelObject::isa(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] { return view_to_js(info.Env(), queue()->model().backend().isa()); });
}

Napi::Value ModelObject::threads(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] { return Napi::Number::New(info.Env(), queue()->model().backend().threads()); });
}

Napi::Value ModelObject::create_cache(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] { return CacheObject::create(info.Env(), queue()->model().create_cache()); });
}

Napi::Value ModelObject::run(const Napi::CallbackInfo& info) {
  return promised(info.Env(), [&]() -> Napi::Value {
    auto task = std::make_unique<RunTask>(info.Env(), queue(), as_object(info[0], "request"));
    const Napi::Promise promise = task->promise();
    queue()->add(std::move(task));
    return promise;
  });
}

Napi::Value ModelObject::memory(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&] {
    const MemoryUse use = queue()->model().memory();
    Napi::Object by_form = Napi::Object::New(env);
    for (const auto& [form, bytes] : use.weights_by_form) by_form.Set(view_to_js(env, form), bytes_to_js(env, bytes));
    Napi::Object memory = Napi::Object::New(env);
    memory.Set("weights", bytes_to_js(env, use.weights));
    memory.Set("weights_by_form", by_form);
    memory.Set("cache", bytes_to_js(env, use.cache));
    memory.Set("arena", bytes_to_js(env, use.arena));
    return memory;
  });
}

Napi::Value ModelObject::weight_info(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&] {
    const auto weights = queue()->model().weights();
    const int64_t last = static_cast<int64_t>(weights.size()) - 1;
    const LoadedWeight& weight = weights[static_cast<size_t>(as_integer(info[0], "index", 0, last))];
    Napi::Object object = Napi::Object::New(env);
    object.Set("form", view_to_js(env, weight_form_name(weight.form())));
    object.Set("bytes", bytes_to_js(env, weight.bytes()));
    return object;
  });
}

void ModelObject::dispose(const Napi::CallbackInfo&) {
  if (!queue_) return;
  queue_->abort_all();
  queue_->model().close();
  queue_.reset();
  external_memory_.set(0);
}

}  // namespace octoformer
