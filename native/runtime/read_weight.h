// Reads the description of a weight out of the JSON of a Program.
#pragma once
#include "formats/json.h"
#include "runtime/program.h"

namespace octoformer {

/// Throws INVALID_ARGUMENT naming the place. Whether the numbers fit the weight is the backend's business.
WeightDescription read_weight(const Json& json);

}  // namespace octoformer
