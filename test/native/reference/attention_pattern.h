// Which keys a position attends to, key by key as the definitions say: for tests only.
#pragma once
#include <cstdint>
#include <cstdlib>

#include "backend/sparse_pattern.h"

namespace octoformer::reference {

/// Child et al., arXiv:1904.10509, section 4.2 (`strided`) and 4.3 (`fixed`), and sinks, each added to what is near.
inline bool attends(bool causal, int64_t window, const SparsePattern& sparse, int64_t position, int64_t key) {
  if (causal && key > position) return false;
  if (sparse.sinks > 0 && key < sparse.sinks) return true;
  if (sparse.stride > 0 && std::abs(position - key) % sparse.stride == 0) return true;
  if (sparse.block > 0) {
    return position / sparse.block == key / sparse.block || key % sparse.block >= sparse.block - sparse.summary;
  }
  if (window > 0) return std::abs(position - key) < window;
  return sparse.stride == 0;
}

}  // namespace octoformer::reference
