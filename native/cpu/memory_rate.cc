#include "cpu/memory_rate.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <new>
#include <vector>

#include "backend/error.h"
#include "cpu/cpu_info.h"
#include "cpu/thread_pool.h"

namespace octoformer {
namespace {

using Clock = std::chrono::steady_clock;

/// A stretch that a task reads: long for the prefetchers, short enough for threads to end together.
constexpr int64_t kStretch = (int64_t{1} << 20) / 8;
constexpr size_t kLeastPasses = 3;

/// Eight sums: the adds of one would come one after another, slower than memory.
uint64_t sum_of(const uint64_t* numbers, int64_t count) {
  uint64_t sums[8] = {};
  for (int64_t i = 0; i + 8 <= count; i += 8) {
    for (int64_t lane = 0; lane < 8; ++lane) sums[lane] += numbers[i + lane];
  }
  uint64_t total = 0;
  for (const uint64_t sum : sums) total += sum;
  return total;
}

}  // namespace

double measure_memory_rate(int threads, double seconds, int64_t bytes) {
  if (threads < 0 || threads > kMaximumThreads) {
    fail(ErrorCode::invalid_argument, "the memory can't be read by ", threads, " threads; give 1 to ", kMaximumThreads);
  }
  if (threads == 0) threads = default_threads();
  const int64_t stretches = std::max<int64_t>(bytes / 8 / kStretch, threads);
  const int64_t count = stretches * kStretch;
  const std::unique_ptr<uint64_t[]> memory(new (std::nothrow) uint64_t[static_cast<size_t>(count)]);
  if (!memory) fail(ErrorCode::out_of_memory, "no ", count * 8, " bytes to measure the memory with");
  std::vector<uint64_t> totals(static_cast<size_t>(stretches));
  ThreadPool& pool = ThreadPool::shared();
  pool.parallel_for(threads, stretches, [&](int64_t stretch, int) {
    std::fill_n(memory.get() + stretch * kStretch, kStretch, static_cast<uint64_t>(stretch));
  });

  std::vector<double> rates;
  const Clock::time_point begun = Clock::now();
  const auto since = [](Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  while (rates.size() < kLeastPasses || since(begun) < seconds) {
    const Clock::time_point start = Clock::now();
    pool.parallel_for(threads, stretches, [&](int64_t stretch, int) {
      totals[static_cast<size_t>(stretch)] = sum_of(memory.get() + stretch * kStretch, kStretch);
    });
    rates.push_back(static_cast<double>(count * 8) / since(start));
  }
  // The sums are looked at, so that no compiler leaves them out.
  for (int64_t stretch = 0; stretch < stretches; ++stretch) {
    if (totals[static_cast<size_t>(stretch)] != static_cast<uint64_t>(stretch * kStretch)) {
      fail(ErrorCode::internal, "the memory gave other numbers than were written to it");
    }
  }
  const auto middle = rates.begin() + static_cast<std::ptrdiff_t>(rates.size() / 2);
  std::nth_element(rates.begin(), middle, rates.end());
  return *middle;
}

}  // namespace octoformer
