#pragma once
#include "runtime/compiler.h"

namespace octoformer {

/// Tells the weights that ops multiply by from tables that they only look rows up in (WeightDescription::table): these
/// are kept row by row. Every op that multiplies by weights must be named here.
void find_tables(CompiledModel& model);

}  // namespace octoformer
