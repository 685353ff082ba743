#include "cpu/aligned_memory.h"

#include <new>

#include "backend/error.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace octoformer {
namespace {

constexpr size_t kCacheLine = 64;
constexpr size_t kHugePage = size_t{2} << 20;
/// From here on at most an eighth is lost to rounding up to huge pages.
constexpr size_t kHugePagesFrom = 8 * kHugePage;

}  // namespace

AlignedMemory::AlignedMemory(size_t bytes, const char* purpose) {
  if (bytes == 0) return;
  const bool huge = bytes >= kHugePagesFrom;
  const size_t alignment = huge ? kHugePage : kCacheLine;
  auto* data = static_cast<std::byte*>(::operator new(bytes, std::align_val_t{alignment}, std::nothrow));
  if (data == nullptr) {
    fail(ErrorCode::out_of_memory, purpose, ": cannot allocate ", bytes,
         " bytes; free memory, or choose a smaller model or weight form");
  }
  data_ = std::unique_ptr<std::byte, Free>(data, Free{alignment});
  bytes_ = bytes;
#if defined(__linux__)
  if (huge) madvise(data, bytes, MADV_HUGEPAGE);  // advice: where it is refused, small pages do
#endif
}

void AlignedMemory::Free::operator()(std::byte* data) const { ::operator delete(data, std::align_val_t{alignment}); }

}  // namespace octoformer
