#include "addon/run_task.h"

#include <algorithm>
#include <utility>

#include "addon/abort_flag_object.h"
#include "addon/arguments.h"
#include "addon/cache_object.h"
#include "addon/native_array.h"
#include "addon/sampler_object.h"
#include "addon/wrapped.h"

namespace octoformer {

RunTask::RunTask(Napi::Env env, std::shared_ptr<RunQueue> queue, Napi::Object request)
    : Task(env, "octoformer.run"), queue_(std::move(queue)), kept_(env) {
  request_.input_ids = as_int32s(request.Get("input_ids"), "input_ids");
  request_.lengths = as_int32s(request.Get("lengths"), "lengths");
  request_.rows = as_int32s(request.Get("rows"), "rows");
  request_.outputs = as_strings(request.Get("outputs"), "outputs");
  const auto optional_ids = [&](const char* name, std::optional<std::vector<int32_t>>& ids) {
    const Napi::Value value = request.Get(name);
    if (!is_absent(value)) ids = as_int32s(value, name);
  };
  optional_ids("position_ids", request_.position_ids);
  optional_ids("token_type_ids", request_.token_type_ids);
  const Napi::Value observe = request.Get("observe");
  if (!is_absent(observe)) request_.observe = static_cast<float>(as_number(observe, "observe"));
  const Napi::Value likeliest = request.Get("log_probabilities");
  if (!is_absent(likeliest)) {
    request_.log_probabilities = static_cast<int32_t>(as_integer(likeliest, "log_probabilities", 0, INT32_MAX));
  }
  read_encoder_input(request);
  read_steps(request);
  const Napi::Value abort = request.Get("abort");
  if (!is_absent(abort)) abort_ = unwrap<AbortFlagObject>(abort, "abort").flag();
  request_.abort = abort_.get();
  request_.abort_all = &queue_->aborted();
  read_caches(request);
  try {
    read_samplers(request);
  } catch (...) {
    return_samplers();
    throw;
  }
}

void RunTask::read_encoder_input(Napi::Object request) {
  const Napi::Value value = request.Get("encoder");
  if (is_absent(value)) return;
  const Napi::Object encoder = as_object(value, "encoder");
  EncoderInput& input = request_.encoder.emplace();
  input.input_ids = as_int32s(encoder.Get("input_ids"), "encoder.input_ids");
  input.lengths = as_int32s(encoder.Get("lengths"), "encoder.lengths");
  const Napi::Value positions = encoder.Get("position_ids");
  if (!is_absent(positions)) input.position_ids = as_int32s(positions, "encoder.position_ids");
}

void RunTask::read_steps(Napi::Object request) {
  const Napi::Value value = request.Get("steps");
  if (is_absent(value)) return;
  const Napi::Object steps = as_object(value, "steps");
  request_.steps = static_cast<int32_t>(as_integer(steps.Get("most"), "steps.most", 1, INT32_MAX));
  request_.last_ids = as_int32s(steps.Get("last_ids"), "steps.last_ids");
  request_.others_wait = &queue_->others_wait();
}

RunTask::~RunTask() { return_samplers(); }

void RunTask::read_caches(Napi::Object request) {
  const Napi::Array caches = as_array(request.Get("caches"), "caches");
  const uint32_t count = caches.Length();
  request_.caches.reserve(count);
  uses_.reserve(count);
  caches_.reserve(count);
  for (uint32_t i = 0; i < count; ++i) {
    const Napi::Value value = caches.Get(i);
    if (is_absent(value)) {
      request_.caches.emplace_back();
      continue;
    }
    CacheObject& object = unwrap_element<CacheObject>(value, "caches", i);
    request_.caches.push_back(object.cache());
    uses_.emplace_back(object.cache());
    kept_.keep(object);
    caches_.push_back(&object);
  }
}

void RunTask::read_samplers(Napi::Object request) {
  const Napi::Value value = request.Get("samplers");
  if (is_absent(value)) return;
  const Napi::Array samplers = as_array(value, "samplers");
  const uint32_t count = samplers.Length();
  request_.samplers.reserve(count);
  samplers_.reserve(count);
  for (uint32_t i = 0; i < count; ++i) {
    const Napi::Value element = samplers.Get(i);
    SamplerObject& object = unwrap_element<SamplerObject>(element, "samplers", i);
    kept_.keep(object);
    request_.samplers.push_back(object.begin_use());
    samplers_.push_back(&object);
  }
}

void RunTask::work() { result_ = queue_->model().run(request_); }

void RunTask::worked() {
  uses_.clear();
  return_samplers();
  for (CacheObject* cache : caches_) cache->report_memory();
}

void RunTask::return_samplers() {
  for (SamplerObject* sampler : samplers_) sampler->end_use();
  samplers_.clear();
}

Napi::Value RunTask::result(Napi::Env env) {
  Napi::Object result = Napi::Object::New(env);
  const auto set_ids = [&](const char* name, const std::vector<int32_t>& ids) {
    auto array = Napi::Int32Array::New(env, ids.size());
    std::copy(ids.begin(), ids.end(), array.Data());
    result.Set(name, array);
  };
  if (!request_.samplers.empty()) set_ids("sampled", result_.sampled);
  if (request_.log_probabilities) {
    result.Set("log_probabilities", to_float32_array(env, std::move(result_.log_probabilities)));
    if (*request_.log_probabilities > 0) set_ids("likeliest", result_.likeliest);
  }
  Napi::Object outputs = Napi::Object::New(env);
  for (auto& [name, values] : result_.outputs) outputs.Set(name, to_float32_array(env, std::move(values)));
  result.Set("outputs", outputs);
  if (request_.observe) result.Set("inputs", inputs_to_js(env));
  return result;
}

Napi::Value RunTask::inputs_to_js(Napi::Env env) {
  Napi::Array inputs = Napi::Array::New(env);
  for (auto& [weight, statistics] : result_.inputs) {
    Napi::Object object = Napi::Object::New(env);
    object.Set("weight", weight);
    object.Set("rows", static_cast<double>(statistics.rows));
    auto entries = Napi::Float64Array::New(env, statistics.entries.size());
    std::copy(statistics.entries.begin(), statistics.entries.end(), entries.Data());
    object.Set("entries", entries);
    object.Set("largest", to_float32_array(env, std::move(statistics.largest)));
    inputs.Set(inputs.Length(), object);
  }
  return inputs;
}

void RunTask::settled(bool alive) {
  if (alive) {
    queue_->next();
  } else {
    queue_->drop_waiting();
  }
}

}  // namespace octoformer
