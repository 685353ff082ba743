#include "measure.h"

#include <algorithm>
#include <ctime>

#include "cpu/thread_pool.h"

namespace octoformer::bench {
namespace {

using Clock = std::chrono::steady_clock;

/// Seconds of something that runs: of this thread where it works alone, so that waiting for a processor that others
/// use does not count (short runs would seem faster than long ones), else of the clock on the wall.
double now(int threads) {
#if defined(CLOCK_THREAD_CPUTIME_ID)
  timespec time;
  if (threads == 1 && clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) == 0) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
  }
#endif
  return std::chrono::duration<double>(Clock::now().time_since_epoch()).count();
}

double rate_of(const std::function<double()>& run, int threads) {
  const double start = now(threads);
  const double work = run();
  return work / (now(threads) - start);
}

Rates summarize(std::vector<double> rates) {
  std::sort(rates.begin(), rates.end());
  return {rates[rates.size() / 2], rates.back()};
}

}  // namespace

Comparison measure_in_turns(const std::function<double()>& subject, const std::function<double()>& ceiling,
                            double seconds, int threads) {
  subject();  // first touches, thread starts, frequency
  ceiling();
  std::vector<double> subject_rates, ceiling_rates;
  const Clock::time_point start = Clock::now();
  do {
    subject_rates.push_back(rate_of(subject, threads));
    ceiling_rates.push_back(rate_of(ceiling, threads));
  } while (std::chrono::duration<double>(Clock::now() - start).count() < seconds || subject_rates.size() < 3);
  return {summarize(std::move(subject_rates)), summarize(std::move(ceiling_rates))};
}

double run_peak(double (*kernel)(int64_t), int64_t rounds, int threads) {
  std::vector<double> work(static_cast<size_t>(threads));
  ThreadPool::shared().parallel_for(threads, threads,
                                    [&](int64_t task, int) { work[static_cast<size_t>(task)] = kernel(rounds); });
  double total = 0;
  for (const double part : work) total += part;
  return total;
}

const PeakKernels& peak_kernels(Isa isa) {
  switch (isa) {
#if defined(__x86_64__) || defined(_M_X64)
    case Isa::avx2:
      return peak_avx2;
    case Isa::avx_vnni:
      return peak_avx_vnni;
    case Isa::avx512:
      return peak_avx512;
    case Isa::avx512_bf16:
      return peak_avx512_bf16;
    case Isa::amx:
      return peak_amx;
#elif defined(__aarch64__) || defined(_M_ARM64)
    case Isa::neon:
      return peak_neon;
    case Isa::neon_dotprod:
      return peak_neon_dotprod;
    case Isa::neon_bf16:
      return peak_neon_bf16;
#endif
    default:
      return peak_scalar;
  }
}

}  // namespace octoformer::bench
