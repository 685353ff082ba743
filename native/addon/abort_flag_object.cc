#include "addon/abort_flag_object.h"

namespace octoformer {

Napi::Function AbortFlagObject::define(Napi::Env env) {
  return DefineClass(env, kClassName, {InstanceMethod<&AbortFlagObject::abort>("abort")});
}

AbortFlagObject::AbortFlagObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  info.This().As<Napi::Object>().TypeTag(&kTag);
}

void AbortFlagObject::abort(const Napi::CallbackInfo&) { flag_->store(true); }

}  // namespace octoformer
