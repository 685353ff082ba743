// What an int8 weight can be made of. Errors name the weight and the remedy.
#pragma once
#include "backend/linear_weight.h"

namespace octoformer {

/// Throws INVALID_ARGUMENT for an in_features whose int32 sums could overflow and for settings out of their range,
/// UNSUPPORTED_OPTION for settings that don't go together.
void check_int8_settings(const LinearWeightDescription& description);

/// Throws UNSUPPORTED_OPTION for rows that are int8 already, where the settings ask for other numbers than those.
void check_int8_rows(const LinearWeightDescription& description, const RowSource& rows);

}  // namespace octoformer
