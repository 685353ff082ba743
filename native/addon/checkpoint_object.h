// NativeCheckpoint of ts/binding/native.ts.
#pragma once
#include <napi.h>

#include <memory>

#include "formats/checkpoint.h"

namespace octoformer {

class CheckpointObject : public Napi::ObjectWrap<CheckpointObject> {
 public:
  static constexpr napi_type_tag kTag = {0x3f6c3d0a52b74f19, 0xb1d4c62f58e7a004};
  static constexpr const char* kClassName = "Checkpoint";
  static Napi::Function define(Napi::Env env);
  static Napi::Object create(Napi::Env env, std::shared_ptr<Checkpoint> checkpoint);
  explicit CheckpointObject(const Napi::CallbackInfo& info);

  /// Throws DISPOSED.
  const std::shared_ptr<Checkpoint>& checkpoint() const;

 private:
  Napi::Value format(const Napi::CallbackInfo& info);
  Napi::Value tensors(const Napi::CallbackInfo& info);
  Napi::Value metadata(const Napi::CallbackInfo& info);
  Napi::Value read_rows(const Napi::CallbackInfo& info);
  Napi::Value token_tables(const Napi::CallbackInfo& info);
  void dispose(const Napi::CallbackInfo& info);

  std::shared_ptr<Checkpoint> checkpoint_;
  // Made on first use, then kept: a vocabulary of 100,000 strings should become JavaScript once.
  Napi::ObjectReference tensors_;
  Napi::ObjectReference metadata_;
};

}  // namespace octoformer
