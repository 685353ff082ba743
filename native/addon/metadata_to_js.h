// Metadata of a checkpoint as JavaScript values.
#pragma once
#include <napi.h>

#include <memory>

#include "formats/checkpoint.h"

namespace octoformer {

/// An object of all entries; integers above 2^53 become bigints, arrays arrays.
Napi::Object metadata_to_js(Napi::Env env, const std::shared_ptr<const Checkpoint>& checkpoint);

}  // namespace octoformer
