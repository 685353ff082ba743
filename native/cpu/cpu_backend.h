// The op interface on the processor's own vector units.
#pragma once
#include <memory>
#include <string>

#include "backend/backend.h"

namespace octoformer {

struct CpuBackendOptions {
  int threads = 0;  // 0: as many as there are physical cores that this process may use
  std::string isa;  // empty: OCTOFORMER_ISA, or the best that the machine runs
};

/// Throws INVALID_ARGUMENT naming an unknown or unavailable ISA, or a number of threads that is negative or above
/// kMaximumThreads.
std::unique_ptr<Backend> make_cpu_backend(const CpuBackendOptions& options);

}  // namespace octoformer
