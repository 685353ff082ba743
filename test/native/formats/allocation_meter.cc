#include "formats/allocation_meter.h"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<size_t> now{0};
std::atomic<size_t> peak{0};
size_t at_reset = 0;

// Every block has its size before it, in as much room as keeps the block aligned.
constexpr size_t kPrefix = alignof(std::max_align_t);
static_assert(kPrefix >= sizeof(size_t));

}  // namespace

void* operator new(size_t bytes) {
  auto* block = bytes > SIZE_MAX - kPrefix ? nullptr : static_cast<char*>(std::malloc(bytes + kPrefix));
  if (block == nullptr) throw std::bad_alloc();
  *reinterpret_cast<size_t*>(block) = bytes;
  const size_t total = now += bytes;
  size_t seen = peak;
  while (total > seen && !peak.compare_exchange_weak(seen, total)) {
  }
  return block + kPrefix;
}

void operator delete(void* pointer) noexcept {
  if (pointer == nullptr) return;
  char* block = static_cast<char*>(pointer) - kPrefix;
  now -= *reinterpret_cast<size_t*>(block);
  std::free(block);
}

void operator delete(void* pointer, size_t) noexcept { operator delete(pointer); }

namespace octoformer {

void reset_allocation_peak() {
  at_reset = now;
  peak = at_reset;
}

size_t allocation_peak() { return peak - at_reset; }

}  // namespace octoformer
