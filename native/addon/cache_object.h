// NativeCache of ts/binding/native.ts.
#pragma once
#include <napi.h>

#include <memory>

#include "addon/external_memory.h"
#include "runtime/key_value_cache.h"

namespace octoformer {

class CacheObject : public Napi::ObjectWrap<CacheObject> {
 public:
  static constexpr napi_type_tag kTag = {0x3f6c3d0a52b74f19, 0xb1d4c62f58e7a003};
  static constexpr const char* kClassName = "Cache";
  static Napi::Function define(Napi::Env env);
  static Napi::Object create(Napi::Env env, std::shared_ptr<KeyValueCache> cache);
  explicit CacheObject(const Napi::CallbackInfo& info);

  /// Throws DISPOSED.
  const std::shared_ptr<KeyValueCache>& cache() const;
  /// To be called when its pages may have changed.
  void report_memory();

 private:
  Napi::Value length(const Napi::CallbackInfo& info);
  Napi::Value encoded_length(const Napi::CallbackInfo& info);
  Napi::Value bytes(const Napi::CallbackInfo& info);
  Napi::Value fork(const Napi::CallbackInfo& info);
  void truncate(const Napi::CallbackInfo& info);
  void dispose(const Napi::CallbackInfo& info);

  std::shared_ptr<KeyValueCache> cache_;
  ExternalMemory external_memory_;
};

}  // namespace octoformer
