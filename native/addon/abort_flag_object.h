// NativeAbortFlag of ts/binding/native.ts.
#pragma once
#include <napi.h>

#include <atomic>
#include <memory>

namespace octoformer {

class AbortFlagObject : public Napi::ObjectWrap<AbortFlagObject> {
 public:
  static constexpr napi_type_tag kTag = {0x3f6c3d0a52b74f19, 0xb1d4c62f58e7a001};
  static constexpr const char* kClassName = "AbortFlag";
  static Napi::Function define(Napi::Env env);
  explicit AbortFlagObject(const Napi::CallbackInfo& info);

  /// Outlives the object.
  std::shared_ptr<const std::atomic<bool>> flag() const { return flag_; }

 private:
  void abort(const Napi::CallbackInfo& info);

  const std::shared_ptr<std::atomic<bool>> flag_ = std::make_shared<std::atomic<bool>>(false);
};

}  // namespace octoformer
