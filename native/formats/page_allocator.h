// Memory for lists that are dropped when loading has ended, and for keys and values: large ones get pages of their own,
// which the operating system has back at once. Each thread's part of glibc's heap keeps what was freed in it, and a
// header of GGUF with its megabytes of tokens is read on a thread that needs none of that ever again. And glibc adds a
// header to each, for which a whole number of pages takes one page more.
#pragma once
#include <algorithm>
#include <cstddef>
#include <new>

#if defined(__unix__) || defined(__APPLE__)
#include <sys/mman.h>
#endif

namespace octoformer {

template <class T>
struct PageAllocator {
  using value_type = T;

  PageAllocator() = default;
  template <class Other>
  PageAllocator(const PageAllocator<Other>&) {}

  T* allocate(size_t count) {
    if (count > static_cast<size_t>(-1) / sizeof(T)) throw std::bad_array_new_length();
    const size_t bytes = count * sizeof(T);
#if defined(__unix__) || defined(__APPLE__)
    if (bytes >= kPagesFrom) {
      void* pages = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (pages == MAP_FAILED) throw std::bad_alloc();
      return static_cast<T*>(pages);
    }
#endif
    return static_cast<T*>(::operator new(bytes, kAlignment));
  }

  void deallocate(T* memory, [[maybe_unused]] size_t count) noexcept {
#if defined(__unix__) || defined(__APPLE__)
    if (count * sizeof(T) >= kPagesFrom) {
      munmap(memory, count * sizeof(T));
      return;
    }
#endif
    ::operator delete(memory, kAlignment);
  }

  bool operator==(const PageAllocator&) const { return true; }

 private:
  /// At most a sixteenth is lost to a page that is not full.
  static constexpr size_t kPagesFrom = 64 * 1024;
  static constexpr std::align_val_t kAlignment{std::max<size_t>(alignof(T), __STDCPP_DEFAULT_NEW_ALIGNMENT__)};
};

}  // namespace octoformer
