#include "runtime/arena.h"

#include <cstdint>

#include "backend/error.h"

namespace octoformer {

float* Arena::reserve(size_t floats) {
  if (floats > SIZE_MAX / sizeof(float))
    fail(ErrorCode::out_of_memory, "the activations don't fit into the address space");
  const size_t wanted = floats * sizeof(float);
  if (wanted > bytes_.load()) {
    memory_.reset();
    bytes_ = 0;
    memory_.reset(static_cast<float*>(::operator new(wanted, std::align_val_t{64}, std::nothrow)));
    if (!memory_) {
      fail(ErrorCode::out_of_memory, "no memory for ", wanted, " bytes of activations; run fewer or shorter sequences");
    }
    bytes_ = wanted;
  }
  return memory_.get();
}

}  // namespace octoformer
