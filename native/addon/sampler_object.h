// NativeSampler of ts/binding/native.ts.
#pragma once
#include <napi.h>

#include <memory>

#include "runtime/sampler.h"

namespace octoformer {

class SamplerObject : public Napi::ObjectWrap<SamplerObject> {
 public:
  static constexpr napi_type_tag kTag = {0x3f6c3d0a52b74f19, 0xb1d4c62f58e7a002};
  static constexpr const char* kClassName = "Sampler";
  static Napi::Function define(Napi::Env env);
  explicit SamplerObject(const Napi::CallbackInfo& info);

  /// Lends the sampler to a run, until end_use(). Throws INVALID_ARGUMENT when another run has it.
  std::shared_ptr<Sampler> begin_use();
  void end_use() { in_use_ = false; }

 private:
  Napi::Value sample(const Napi::CallbackInfo& info);

  std::shared_ptr<Sampler> sampler_;
  bool in_use_ = false;
};

}  // namespace octoformer
