#include "cpu/thread_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#endif

#include "reference/effort.h"

namespace octoformer {
namespace {

ThreadPool& pool() { return ThreadPool::shared(); }

TEST(ThreadPool, RunsEveryTaskOnce) {
  for (const int threads : {1, 2, 3, 7}) {
    for (const int64_t tasks : {0, 1, 2, 3, 5, 97, 1000}) {
      std::vector<std::atomic<int>> runs(static_cast<size_t>(tasks));
      pool().parallel_for(threads, tasks, [&](int64_t task, int) { ++runs[static_cast<size_t>(task)]; });
      for (const auto& count : runs) EXPECT_EQ(count.load(), 1) << threads << " threads, " << tasks << " tasks";
    }
  }
}

TEST(ThreadPool, WorkersAreBelowTheNumberOfThreadsAndNeverShared) {
  constexpr int kThreads = 5;
  std::vector<std::atomic<int>> inside(kThreads);
  std::atomic<bool> good{true};
  for (int round = 0; round < 50; ++round) {
    pool().parallel_for(kThreads, 200, [&](int64_t, int worker) {
      if (worker < 0 || worker >= kThreads) {
        good = false;
        return;
      }
      if (inside[static_cast<size_t>(worker)].fetch_add(1) != 0) good = false;
      inside[static_cast<size_t>(worker)].fetch_sub(1);
    });
  }
  EXPECT_TRUE(good.load());
}

TEST(ThreadPool, GrowsToTheLargestNumberAskedForAndNoFurther) {
  pool().parallel_for(9, 100, [](int64_t, int) {});
  const int size = pool().size();
  EXPECT_GE(size, 8);
  pool().parallel_for(3, 100, [](int64_t, int) {});
  pool().parallel_for(9, 100, [](int64_t, int) {});
  EXPECT_EQ(pool().size(), size);
}

TEST(ThreadPool, StartsNoMoreThreadsThanThereAreTasks) {
  const int size = pool().size();
  pool().parallel_for(1000, 2, [](int64_t, int) {});
  EXPECT_LE(pool().size(), std::max(size, 1));
}

TEST(ThreadPool, ThreadsReallyWorkTogether) {
  // Two tasks that wait for each other finish only if two threads run them.
  std::atomic<int> arrived{0};
  pool().parallel_for(2, 2, [&](int64_t, int) {
    ++arrived;
    while (arrived.load() < 2) std::this_thread::yield();
  });
  EXPECT_EQ(arrived.load(), 2);
}

TEST(ThreadPool, ThreadsBeginWithRunsOfTheirOwnAndTakeWhatOthersLeave) {
  std::atomic<int> arrived{0};
  std::atomic<int64_t> done{0};
  std::vector<int> taken_by(100, -1);
  std::atomic<int64_t> first[2] = {-1, -1};
  pool().parallel_for(2, 100, [&](int64_t task, int worker) {
    taken_by[static_cast<size_t>(task)] = worker;
    int64_t none = -1;
    if (first[worker].compare_exchange_strong(none, task)) {
      ++arrived;
      while (arrived.load() < 2) std::this_thread::yield();
      // Worker 1 is held up by its first task until all others are done.
      while (worker == 1 && done.load() < 99) std::this_thread::yield();
    }
    ++done;
  });
  EXPECT_EQ(first[0].load(), 0);
  EXPECT_EQ(first[1].load(), 50);
  for (int64_t task = 0; task < 100; ++task) EXPECT_EQ(taken_by[static_cast<size_t>(task)], task == 50 ? 1 : 0) << task;
}

TEST(ThreadPool, FetchesWhatIsNotThereWithoutHarm) {
  static char byte;  // what lies so far behind it is not ours, if anything is there
  for (const int64_t bytes : {0, 1, 100'000, 3'000'000}) {
    std::atomic<int> arrived{0};
    pool().parallel_for(3, 3, [&](int64_t, int worker) {
      pool().fetch_when_idle(worker, &byte, bytes);
      ++arrived;
      while (arrived.load() < 3) std::this_thread::yield();
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    std::atomic<int64_t> sum{0};
    pool().parallel_for(3, 100, [&](int64_t task, int) { sum += task; });
    EXPECT_EQ(sum.load(), 4950);
  }
}

TEST(ThreadPool, CarriesTheFirstExceptionToTheCaller) {
  for (const int threads : {1, 2, 4}) {
    std::atomic<int64_t> ran{0};
    try {
      pool().parallel_for(threads, 100'000, [&](int64_t task, int) {
        ++ran;
        if (task == 3) throw std::runtime_error("task 3");
      });
      FAIL() << "nothing was thrown";
    } catch (const std::runtime_error& error) {
      EXPECT_STREQ(error.what(), "task 3");
    }
    EXPECT_LT(ran.load(), 100'000) << "tasks after the failure were not stopped";
  }
  int64_t sum = 0;  // the pool works on afterwards
  std::vector<int64_t> values(100);
  pool().parallel_for(4, 100, [&](int64_t task, int) { values[static_cast<size_t>(task)] = task; });
  sum = std::accumulate(values.begin(), values.end(), int64_t{0});
  EXPECT_EQ(sum, 4950);
}

TEST(ThreadPool, EveryTaskThrowing) {
  for (int round = 0; round < 100; ++round) {
    EXPECT_THROW(pool().parallel_for(3, 10, [](int64_t task, int) { throw std::to_string(task); }), std::string);
  }
}

TEST(ThreadPool, NestedCallsRunInline) {
  std::atomic<int64_t> sum{0};
  pool().parallel_for(3, 10, [&](int64_t outer, int) {
    const std::thread::id here = std::this_thread::get_id();
    pool().parallel_for(3, 10, [&](int64_t inner, int worker) {
      EXPECT_EQ(worker, 0);
      EXPECT_EQ(std::this_thread::get_id(), here);
      sum += outer * 10 + inner;
    });
  });
  EXPECT_EQ(sum.load(), 4950);
}

TEST(ThreadPool, SeveralCallersAtOnce) {
  constexpr int kCallers = 4;
  std::vector<int64_t> sums(kCallers);
  std::vector<std::thread> callers;
  for (int caller = 0; caller < kCallers; ++caller) {
    callers.emplace_back([&sums, caller] {
      for (int round = 0; round < 300; ++round) {
        std::vector<int64_t> values(53);
        pool().parallel_for(3, 53, [&](int64_t task, int) { values[static_cast<size_t>(task)] = task + caller; });
        sums[static_cast<size_t>(caller)] += std::accumulate(values.begin(), values.end(), int64_t{0});
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  for (int caller = 0; caller < kCallers; ++caller) {
    EXPECT_EQ(sums[static_cast<size_t>(caller)], 300 * (52 * 53 / 2 + 53 * caller));
  }
}

TEST(ThreadPool, ManyTinyJobs) {
  int64_t total = 0;
  for (int job = 0; job < 20'000; ++job) {
    int64_t values[3] = {0, 0, 0};
    pool().parallel_for(3, 3, [&](int64_t task, int) { values[task] = job; });
    total += values[0] + values[1] + values[2];
  }
  EXPECT_EQ(total, int64_t{3} * 19'999 * 20'000 / 2);
}

TEST(ThreadPool, WakesUpAfterSleeping) {
  for (int round = 0; round < 20; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));  // far longer than threads wait actively
    std::atomic<int> arrived{0};
    pool().parallel_for(3, 3, [&](int64_t, int) {
      ++arrived;
      while (arrived.load() < 3) std::this_thread::yield();
    });
    EXPECT_EQ(arrived.load(), 3);
  }
}

TEST(ThreadPool, WaitsForTasksLongerThanItsSpinning) {
  for (int round = 0; round < 5; ++round) {
    std::atomic<int> done{0};
    pool().parallel_for(2, 2, [&](int64_t task, int) {
      if (task == 1) std::this_thread::sleep_for(std::chrono::milliseconds(3));
      ++done;
    });
    EXPECT_EQ(done.load(), 2);
  }
}

#if defined(__linux__)

TEST(ThreadPool, IdleThreadsTakeNoProcessorTime) {
  pool().parallel_for(4, 100, [](int64_t, int) {});
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const auto processor_nanoseconds = [] {
    timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
  };
  const int64_t before = processor_nanoseconds();
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  // Threads that spun would take 100 ms each; what is measured is processor time, so other load does not count.
  EXPECT_LT(processor_nanoseconds() - before, 10'000'000);
}

#if !defined(__SANITIZE_THREAD__)  // ThreadSanitizer refuses threads in a child of a process with threads
TEST(ThreadPool, AForkedChildStartsItsOwnThreads) {
  if (reference::emulated()) GTEST_SKIP() << "QEMU's user mode aborts in a child of a process with threads";
  pool().parallel_for(3, 100, [](int64_t, int) {});
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    std::atomic<int> arrived{0};
    ThreadPool::shared().parallel_for(2, 2, [&](int64_t, int) {
      ++arrived;
      while (arrived.load() < 2) std::this_thread::yield();
    });
    _exit(arrived.load() == 2 ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
#endif

#endif

}  // namespace
}  // namespace octoformer
