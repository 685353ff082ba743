// Patterns of attention that leave most keys out. No library includes: kernels of every ISA may include it.
#pragma once
#include <stdint.h>

namespace octoformer {

/// Makes attention sparse (Child et al., arXiv:1904.10509, section 4; sinks: Xiao et al., arXiv:2309.17453): beside the
/// keys of its window, or in place of them those of its block, a position sees some more far from it.
struct SparsePattern {
  int64_t sinks = 0;    // the first so many of the sequence
  int64_t stride = 0;   // > 0: those that are a multiple of this away
  int64_t block = 0;    // > 0: positions are cut into blocks of this length; those of its own block ...
  int64_t summary = 0;  // ... and the last so many of every block

  bool any() const { return sinks > 0 || stride > 0 || block > 0; }
};

}  // namespace octoformer
