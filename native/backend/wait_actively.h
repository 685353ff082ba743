// Waiting for what another thread is about to do.
#pragma once
#include <chrono>
#include <thread>

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif

namespace octoformer {

inline void pause_briefly() {
#if defined(__x86_64__) || defined(_M_X64)
  _mm_pause();
#elif defined(__aarch64__) && !defined(_MSC_VER)
  __asm__ __volatile__("yield");
#endif
}

// Jobs of a forward pass follow each other within microseconds, and so do the steps of a generation, whose tokens take
// some hundred microseconds on the way through JavaScript; waking a thread takes ten, and several times that on virtual
// machines: worth waiting for actively, but no longer, and after the first moment only while nobody else wants the
// core.
inline constexpr std::chrono::microseconds kSpinTime{20};
inline constexpr std::chrono::microseconds kYieldTime{1000};

/// Waits actively until ready() or for about kYieldTime; returns ready().
template <class Ready>
bool wait_actively(const Ready& ready) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  for (;;) {
    for (int i = 0; i < 16; ++i) {
      if (ready()) return true;
      pause_briefly();
    }
    const Clock::duration waited = Clock::now() - start;
    if (waited > kYieldTime) return ready();
    if (waited > kSpinTime) std::this_thread::yield();
  }
}

}  // namespace octoformer
