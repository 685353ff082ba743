#include "addon/addon_data.h"

#include "addon/cache_object.h"
#include "addon/checkpoint_object.h"
#include "addon/model_object.h"

namespace octoformer {

void AddonData::install(Napi::Env env) {
  auto* data = new AddonData;  // owned by the environment
  env.SetInstanceData<AddonData>(data);
  data->checkpoint = Napi::Persistent(CheckpointObject::define(env));
  data->model = Napi::Persistent(ModelObject::define(env));
  data->cache = Napi::Persistent(CacheObject::define(env));
}

AddonData& AddonData::of(Napi::Env env) { return *env.GetInstanceData<AddonData>(); }

}  // namespace octoformer
