// NativeModel of ts/binding/native.ts.
#pragma once
#include <napi.h>

#include <memory>

#include "addon/external_memory.h"
#include "addon/run_queue.h"
#include "runtime/model.h"

namespace octoformer {

class ModelObject : public Napi::ObjectWrap<ModelObject> {
 public:
  static constexpr napi_type_tag kTag = {0x3f6c3d0a52b74f19, 0xb1d4c62f58e7a005};
  static constexpr const char* kClassName = "Model";
  static Napi::Function define(Napi::Env env);
  static Napi::Object create(Napi::Env env, std::unique_ptr<Model> model);
  explicit ModelObject(const Napi::CallbackInfo& info);

 private:
  const std::shared_ptr<RunQueue>& queue() const;  // throws DISPOSED
  Napi::Value isa(const Napi::CallbackInfo& info);
  Napi::Value threads(const Napi::CallbackInfo& info);
  Napi::Value create_cache(const Napi::CallbackInfo& info);
  Napi::Value run(const Napi::CallbackInfo& info);
  Napi::Value memory(const Napi::CallbackInfo& info);
  Napi::Value weight_info(const Napi::CallbackInfo& info);
  Napi::Value read_weight(const Napi::CallbackInfo& info);
  Napi::Value read_int8_weight(const Napi::CallbackInfo& info);
  Napi::Value compare_weight(const Napi::CallbackInfo& info);
  Napi::Value packed(const Napi::CallbackInfo& info);
  Napi::Value write_packed(const Napi::CallbackInfo& info);
  size_t weight_index(Napi::Value value) const;
  void dispose(const Napi::CallbackInfo& info);

  /// Runs under way hold it too: the model's memory is freed when the last one has ended.
  std::shared_ptr<RunQueue> queue_;
  ExternalMemory external_memory_;
};

}  // namespace octoformer
