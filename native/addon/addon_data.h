// What the addon keeps for one environment (the main thread's, or a worker's): nothing is shared between them.
#pragma once
#include <napi.h>

namespace octoformer {

struct AddonData {
  Napi::FunctionReference checkpoint;
  Napi::FunctionReference model;
  Napi::FunctionReference cache;

  static void install(Napi::Env env);
  static AddonData& of(Napi::Env env);
};

}  // namespace octoformer
