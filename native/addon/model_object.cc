#include "addon/model_object.h"

#include <algorithm>
#include <span>
#include <string>
#include <utility>

#include "addon/abort_flag_object.h"
#include "addon/addon_data.h"
#include "addon/arguments.h"
#include "addon/cache_object.h"
#include "addon/checkpoint_object.h"
#include "addon/js_error.h"
#include "addon/run_task.h"
#include "addon/weight_tasks.h"
#include "addon/wrapped.h"

namespace octoformer {

namespace {
Napi::Number bytes_to_js(Napi::Env env, uint64_t bytes) { return Napi::Number::New(env, static_cast<double>(bytes)); }

Napi::String view_to_js(Napi::Env env, std::string_view text) {
  return Napi::String::New(env, text.data(), text.size());
}

NumberForm as_number_form(Napi::Value value) {
  const std::string name = as_string(value, "form");
  if (name == "float32") return NumberForm::float32;
  if (name == "bfloat16") return NumberForm::bfloat16;
  if (name == "float16") return NumberForm::float16;
  fail(ErrorCode::invalid_argument, "form must be float32, bfloat16 or float16, found ", name);
}

Napi::Promise run_task(std::unique_ptr<Task> task) {
  const Napi::Promise promise = task->promise();
  Task::queue(std::move(task));
  return promise;
}
}  // namespace

Napi::Function ModelObject::define(Napi::Env env) {
  return DefineClass(
      env, kClassName,
      {InstanceAccessor<&ModelObject::isa>("isa"), InstanceAccessor<&ModelObject::threads>("threads"),
       InstanceMethod<&ModelObject::create_cache>("createCache"), InstanceMethod<&ModelObject::run>("run"),
       InstanceMethod<&ModelObject::memory>("memory"), InstanceMethod<&ModelObject::weight_info>("weightInfo"),
       InstanceMethod<&ModelObject::read_weight>("readWeight"),
       InstanceMethod<&ModelObject::read_int8_weight>("readInt8Weight"),
       InstanceMethod<&ModelObject::compare_weight>("compareWeight"), InstanceAccessor<&ModelObject::packed>("packed"),
       InstanceMethod<&ModelObject::write_packed>("writePacked"), InstanceMethod<&ModelObject::dispose>("dispose")});
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
    const LoadedWeight& weight = queue()->model().weights()[weight_index(info[0])];
    Napi::Object object = Napi::Object::New(env);
    object.Set("form", view_to_js(env, weight_form_name(weight.form())));
    object.Set("bytes", bytes_to_js(env, weight.bytes()));
    if (!weight.linear) return object;
    if (weight.linear->description().int8.wide_features > 0) {
      const std::span<const int64_t> features = weight.linear->kept_features();
      auto wide = Napi::Int32Array::New(env, features.size());
      std::transform(features.begin(), features.end(), wide.Data(), [](int64_t k) { return static_cast<int32_t>(k); });
      object.Set("wideFeatures", wide);
    }
    if (!weight.linear->description().int8.count_outliers) return object;
    const OutlierCounts counts = weight.linear->outlier_counts();
    Napi::Object outliers = Napi::Object::New(env);
    auto entries = Napi::Float64Array::New(env, counts.entries_by_feature.size());
    std::copy(counts.entries_by_feature.begin(), counts.entries_by_feature.end(), entries.Data());
    outliers.Set("rows", static_cast<double>(counts.rows));
    outliers.Set("entries", entries);
    object.Set("outliers", outliers);
    return object;
  });
}

size_t ModelObject::weight_index(Napi::Value value) const {
  const int64_t last = static_cast<int64_t>(queue()->model().weights().size()) - 1;
  return static_cast<size_t>(as_integer(value, "index", 0, last));
}

Napi::Value ModelObject::read_weight(const Napi::CallbackInfo& info) {
  return promised(info.Env(), [&]() -> Napi::Value {
    return run_task(std::make_unique<ReadWeightTask>(info.Env(), queue(), weight_index(info[0]),
                                                     as_int32s(info[1], "rows"), as_number_form(info[2]),
                                                     as_boolean(info[3], "transpose")));
  });
}

Napi::Value ModelObject::read_int8_weight(const Napi::CallbackInfo& info) {
  return promised(info.Env(), [&]() -> Napi::Value {
    return run_task(
        std::make_unique<ReadInt8WeightTask>(info.Env(), queue(), weight_index(info[0]), as_int32s(info[1], "rows")));
  });
}

Napi::Value ModelObject::compare_weight(const Napi::CallbackInfo& info) {
  return promised(info.Env(), [&]() -> Napi::Value {
    std::shared_ptr<const std::atomic<bool>> abort;
    if (!is_absent(info[2])) abort = unwrap<AbortFlagObject>(info[2], "abort").flag();
    return run_task(std::make_unique<CompareWeightTask>(info.Env(), queue(), weight_index(info[0]),
                                                        unwrap<CheckpointObject>(info[1], "checkpoint").checkpoint(),
                                                        std::move(abort)));
  });
}

Napi::Value ModelObject::packed(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const PackedCache* packed = queue()->model().packed();
    if (packed == nullptr || packed->path().empty()) return env.Null();
    Napi::Object object = Napi::Object::New(env);
    object.Set("file", packed->path());
    object.Set("found", Napi::Boolean::New(env, packed->found()));
    return object;
  });
}

Napi::Value ModelObject::write_packed(const Napi::CallbackInfo& info) {
  return promised(info.Env(), [&]() -> Napi::Value {
    const PackedCache* packed = queue()->model().packed();
    if (packed == nullptr || packed->path().empty()) {
      fail(ErrorCode::invalid_argument, "the model was not given a folder for packed weights");
    }
    return run_task(std::make_unique<WritePackedTask>(info.Env(), queue()));
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
