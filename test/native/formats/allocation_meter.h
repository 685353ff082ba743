// Watches `operator new`: the most that the program had allocated at once since a reset.
#pragma once
#include <cstddef>

namespace octoformer {

/// Starts a measurement.
void reset_allocation_peak();

/// Bytes allocated at the worst moment since the reset, over what was allocated at the reset.
size_t allocation_peak();

}  // namespace octoformer
