#include "addon/cache_object.h"

#include "addon/addon_data.h"
#include "addon/arguments.h"
#include "addon/js_error.h"
#include "addon/wrapped.h"

namespace octoformer {

Napi::Function CacheObject::define(Napi::Env env) {
  return DefineClass(
      env, kClassName,
      {InstanceAccessor<&CacheObject::length>("length"), InstanceAccessor<&CacheObject::bytes>("bytes"),
       InstanceAccessor<&CacheObject::encoded_length>("encodedLength"), InstanceMethod<&CacheObject::fork>("fork"),
       InstanceMethod<&CacheObject::truncate>("truncate"), InstanceMethod<&CacheObject::dispose>("dispose")});
}

Napi::Object CacheObject::create(Napi::Env env, std::shared_ptr<KeyValueCache> cache) {
  return construct(env, AddonData::of(env).cache, std::move(cache));
}

CacheObject::CacheObject(const Napi::CallbackInfo& info) : ObjectWrap(info), external_memory_(info.Env()) {
  guarded(info.Env(), [&] { cache_ = take_native<std::shared_ptr<KeyValueCache>>(info, kClassName); });
  info.This().As<Napi::Object>().TypeTag(&kTag);
  report_memory();
}

const std::shared_ptr<KeyValueCache>& CacheObject::cache() const {
  if (!cache_) fail(ErrorCode::disposed, "the cache was disposed; create a new one with createCache()");
  if (cache_->pool()->closed()) fail(ErrorCode::disposed, "the cache's model was disposed; load it again");
  return cache_;
}

void CacheObject::report_memory() { external_memory_.set(cache_ ? cache_->bytes() : 0); }

Napi::Value CacheObject::length(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] { return Napi::Number::New(info.Env(), static_cast<double>(cache()->length())); });
}

Napi::Value CacheObject::encoded_length(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto encoded = cache()->encoded();
    return Napi::Number::New(info.Env(), encoded ? static_cast<double>(encoded->length()) : 0);
  });
}

Napi::Value CacheObject::bytes(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] { return Napi::Number::New(info.Env(), static_cast<double>(cache()->bytes())); });
}

Napi::Value CacheObject::fork(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const Napi::Object copy = create(info.Env(), cache()->fork());
    report_memory();
    return copy;
  });
}

void CacheObject::truncate(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    cache()->truncate(as_integer(info[0], "length", 0, INT32_MAX));
    report_memory();
  });
}

void CacheObject::dispose(const Napi::CallbackInfo&) {
  cache_.reset();  // a run under way keeps its pages until it ends
  report_memory();
}

}  // namespace octoformer
