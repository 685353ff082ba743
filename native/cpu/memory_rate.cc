#include "cpu/memory_rate.h"

#include <algorithm>
#include <chrono>
#include <iterator>
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

/// Of a stretch, in `Runs` runs of addresses at a time. Eight sums: the adds of one would come one after another,
/// slower than memory.
template <int Runs>
uint64_t sum_of(const uint64_t* numbers) {
  constexpr int64_t kRun = kStretch / Runs;
  uint64_t sums[8] = {};
  for (int64_t i = 0; i < kRun; i += 8) {
    for (int64_t run = 0; run < Runs; ++run) {
      for (int64_t lane = 0; lane < 8; ++lane) sums[lane] += numbers[run * kRun + i + lane];
    }
  }
  uint64_t total = 0;
  for (const uint64_t sum : sums) total += sum;
  return total;
}

/// A core gets more of some runs than of one, up to 1.4 times as much: how many are best depends on the machine.
constexpr uint64_t (*kSums[])(const uint64_t*) = {sum_of<1>, sum_of<4>, sum_of<8>};

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

  const auto since = [](Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  std::vector<double> rates[std::size(kSums)];
  const Clock::time_point begun = Clock::now();
  while (rates[0].size() < kLeastPasses || since(begun) < seconds) {
    for (size_t way = 0; way < std::size(kSums); ++way) {
      const Clock::time_point start = Clock::now();
      pool.parallel_for(threads, stretches, [&](int64_t stretch, int) {
        totals[static_cast<size_t>(stretch)] = kSums[way](memory.get() + stretch * kStretch);
      });
      rates[way].push_back(static_cast<double>(count * 8) / since(start));
    }
  }
  // The sums are looked at, so that no compiler leaves them out.
  for (int64_t stretch = 0; stretch < stretches; ++stretch) {
    if (totals[static_cast<size_t>(stretch)] != static_cast<uint64_t>(stretch * kStretch)) {
      fail(ErrorCode::internal, "the memory gave other numbers than were written to it");
    }
  }
  double most = 0.0;
  for (std::vector<double>& of_way : rates) {
    const auto middle = of_way.begin() + static_cast<std::ptrdiff_t>(of_way.size() / 2);
    std::nth_element(of_way.begin(), middle, of_way.end());
    most = std::max(most, *middle);
  }
  return most;
}

}  // namespace octoformer
