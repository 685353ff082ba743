#include "addon/sampler_object.h"

#include "addon/arguments.h"
#include "addon/js_error.h"
#include "backend/error.h"

namespace octoformer {

namespace {

SamplerOptions read_options(Napi::Value value) {
  const Napi::Object object = as_object(value, "the options of a Sampler");
  SamplerOptions options;
  options.do_sample = as_boolean(object.Get("do_sample"), "do_sample");
  options.temperature = static_cast<float>(as_number(object.Get("temperature"), "temperature"));
  options.top_k = as_integer(object.Get("top_k"), "top_k", 0, INT32_MAX);
  options.top_p = static_cast<float>(as_number(object.Get("top_p"), "top_p"));
  options.min_p = static_cast<float>(as_number(object.Get("min_p"), "min_p"));
  options.repetition_penalty = static_cast<float>(as_number(object.Get("repetition_penalty"), "repetition_penalty"));
  options.seed = as_uint64(object.Get("seed"), "seed");
  options.eos_token_ids = as_int32s(object.Get("eos_token_ids"), "eos_token_ids");
  options.min_new_tokens = as_integer(object.Get("min_new_tokens"), "min_new_tokens", 0, INT32_MAX);
  options.prompt_ids = as_int32s(object.Get("prompt_ids"), "prompt_ids");
  return options;
}

void refuse_in_use(bool in_use) {
  if (in_use) fail(ErrorCode::invalid_argument, "the sampler is used by a run under way; await it first");
}

}  // namespace

Napi::Function SamplerObject::define(Napi::Env env) {
  return DefineClass(env, kClassName, {InstanceMethod<&SamplerObject::sample>("sample")});
}

SamplerObject::SamplerObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  guarded(info.Env(), [&] { sampler_ = std::make_shared<Sampler>(read_options(info[0])); });
  info.This().As<Napi::Object>().TypeTag(&kTag);
}

std::shared_ptr<Sampler> SamplerObject::begin_use() {
  refuse_in_use(in_use_);
  in_use_ = true;
  return sampler_;
}

Napi::Value SamplerObject::sample(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    refuse_in_use(in_use_);
    if (!info[0].IsTypedArray() || info[0].As<Napi::TypedArray>().TypedArrayType() != napi_float32_array) {
      fail(ErrorCode::invalid_argument, "logits must be a Float32Array");
    }
    const auto logits = info[0].As<Napi::Float32Array>();
    if (logits.ElementLength() == 0) fail(ErrorCode::invalid_argument, "logits must not be empty");
    const int32_t token = sampler_->choose({logits.Data(), logits.ElementLength()}, 0);
    sampler_->accept(token);
    return Napi::Number::New(info.Env(), token);
  });
}

}  // namespace octoformer
