// Metadata of a checkpoint as JavaScript values.
#pragma once
#include <napi.h>

#include "formats/metadata.h"

namespace octoformer {

/// An object of all entries; integers above 2^53 become bigints, arrays arrays.
Napi::Object metadata_to_js(Napi::Env env, const Metadata& metadata);

}  // namespace octoformer
