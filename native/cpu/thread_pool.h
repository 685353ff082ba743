// The one pool of threads of the process. Every op of every model borrows it; results never depend on which thread
// computes what.
#pragma once
#include <cstdint>
#include <type_traits>

namespace octoformer {

/// More threads than any machine has cores that one process gains from: a typing error should not exhaust the system.
inline constexpr int kMaximumThreads = 1024;

class ThreadPool {
 public:
  /// Never destroyed: at process exit its threads sleep, and nothing that they sleep on may go away under them.
  static ThreadPool& shared();

  /// Calls body(task, worker) once for every task in [0, tasks), on at most `threads` threads of which the caller is
  /// one; `worker` in [0, threads) is never the same for two calls at the same time. Returns when all are done.
  ///
  /// The first exception of a task stops tasks that have not begun and is rethrown here. When the pool is in use (a
  /// nested call, or another caller), the caller runs all tasks itself: nobody waits for anybody, so nothing can
  /// deadlock.
  template <class F>
  void parallel_for(int threads, int64_t tasks, F&& body) {
    if (threads <= 1 || tasks <= 1) {
      for (int64_t task = 0; task < tasks; ++task) body(task, 0);
      return;
    }
    using Body = std::remove_reference_t<F>;
    run(
        threads, tasks,
        [](const void* context, int64_t task, int worker) {
          (*static_cast<Body*>(const_cast<void*>(context)))(task, worker);
        },
        &body);
  }

  /// To be called in a task, by `worker`: what it will read in a job soon. While it has nothing to do before that, it
  /// fetches this memory into its second-level cache. Memory that is gone by then does no harm: fetching never faults.
  void fetch_when_idle(int worker, const void* memory, int64_t bytes);

  /// Threads that the pool has started so far, without callers.
  int size() const;

  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

 private:
  using TaskFunction = void (*)(const void* context, int64_t task, int worker);

  ThreadPool();
  ~ThreadPool() = delete;
  void run(int threads, int64_t tasks, TaskFunction function, const void* context);

  struct State;
  State* const state_;
};

}  // namespace octoformer
