#include "cpu/thread_pool.h"

#include <atomic>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

#include "backend/wait_actively.h"

namespace octoformer {
namespace {

constexpr uint32_t kOpen = 1u << 31;

/// Memory that a thread will read, of which it fetches a little at a time: a core gets the most out of memory when it
/// reads several runs of addresses at once (kernels/weights_ahead.h).
struct IdleFetch {
  static constexpr int64_t kRuns = 8, kRunBytes = 16 * 1024, kStep = 128;

  const char* memory = nullptr;
  int64_t bytes = 0;
  int64_t done = 0;  // of each run

  bool empty() const { return bytes <= 0; }
  void fetch_some() {
    for (int64_t run = 0; run < kRuns && run * kRunBytes < bytes; ++run) {
      for (int64_t i = 0; i < kStep; i += 64) __builtin_prefetch(memory + run * kRunBytes + done + i, 0, 2);
    }
    done += kStep;
    if (done < kRunBytes) return;
    done = 0;
    memory += kRuns * kRunBytes;
    bytes -= kRuns * kRunBytes;
  }
};

}  // namespace

// One job at a time. Its owner holds `busy`. Workers enter through `gate` (an open bit and the number of those inside),
// so a worker that wakes up late finds the gate closed and touches nothing, and the owner waits only for those inside.
struct ThreadPool::State {
  std::atomic_flag busy = ATOMIC_FLAG_INIT;
  std::atomic<int> size{0};

  // The job: written by its owner while the gate is closed and empty.
  TaskFunction function = nullptr;
  const void* context = nullptr;
  int threads = 0;
  // Each thread begins with a run of tasks of its own, so that what it reads lies together, and goes on with those that
  // others have left.
  struct alignas(64) Share {
    std::atomic<int64_t> next{0};
    int64_t end = 0;
    IdleFetch idle;  // its thread's alone
  };
  const std::unique_ptr<Share[]> shares = std::make_unique<Share[]>(kMaximumThreads);
  std::exception_ptr error;  // of the first task that failed
  std::atomic<bool> failed{false};

  std::atomic<uint32_t> gate{0};
  std::atomic<uint32_t> job_number{0};

  std::mutex mutex;
  std::condition_variable job_posted;
  std::condition_variable job_left;
  std::atomic<int> sleeping_workers{0};
  std::atomic<bool> owner_sleeps{false};

  void take_tasks(int worker);
  bool enter();
  void leave();
  void post(int wanted_threads, int64_t task_count, TaskFunction task_function, const void* task_context);
  void close_and_wait();
  void wait_for_job(int worker, uint32_t seen);
  void work(int worker);
  void grow(int workers);
};

void ThreadPool::State::take_tasks(int worker) {
  try {
    for (int i = 0; i < threads; ++i) {
      Share& share = shares[static_cast<size_t>(worker + i < threads ? worker + i : worker + i - threads)];
      // Looked at first: what only ever counts up from the end would be taken from its owner for nothing.
      while (share.next.load(std::memory_order_relaxed) < share.end) {
        const int64_t task = share.next.fetch_add(1, std::memory_order_relaxed);
        if (task >= share.end) break;
        function(context, task, worker);
      }
    }
  } catch (...) {
    if (!failed.exchange(true)) error = std::current_exception();
    for (int i = 0; i < threads; ++i) {
      shares[static_cast<size_t>(i)].next.store(shares[static_cast<size_t>(i)].end, std::memory_order_relaxed);
    }
  }
}

bool ThreadPool::State::enter() {
  uint32_t inside = gate.load(std::memory_order_relaxed);
  while ((inside & kOpen) != 0) {
    if (gate.compare_exchange_weak(inside, inside + 1, std::memory_order_acquire)) return true;
  }
  return false;
}

void ThreadPool::State::leave() {
  if (gate.fetch_sub(1, std::memory_order_seq_cst) == 1 && owner_sleeps.load(std::memory_order_seq_cst)) {
    const std::lock_guard lock(mutex);
    job_left.notify_one();
  }
}

void ThreadPool::State::post(int wanted_threads, int64_t task_count, TaskFunction task_function,
                             const void* task_context) {
  function = task_function;
  context = task_context;
  threads = wanted_threads;
  int64_t begin = 0;
  for (int i = 0; i < wanted_threads; ++i) {
    Share& share = shares[static_cast<size_t>(i)];
    share.next.store(begin, std::memory_order_relaxed);
    begin += task_count / wanted_threads + (i < task_count % wanted_threads ? 1 : 0);
    share.end = begin;
  }
  failed.store(false, std::memory_order_relaxed);
  error = nullptr;
  gate.store(kOpen, std::memory_order_release);
  // Either a worker that goes to sleep sees the new number, or this thread sees that it sleeps.
  job_number.fetch_add(1, std::memory_order_seq_cst);
  if (sleeping_workers.load(std::memory_order_seq_cst) > 0) {
    const std::lock_guard lock(mutex);
    job_posted.notify_all();
  }
}

void ThreadPool::State::close_and_wait() {
  gate.fetch_and(~kOpen, std::memory_order_seq_cst);
  const auto empty = [this] { return gate.load(std::memory_order_seq_cst) == 0; };
  if (wait_actively(empty)) return;
  std::unique_lock lock(mutex);
  owner_sleeps.store(true, std::memory_order_seq_cst);
  job_left.wait(lock, empty);
  owner_sleeps.store(false, std::memory_order_relaxed);
}

void ThreadPool::State::wait_for_job(int worker, uint32_t seen) {
  const auto posted = [this, seen] { return job_number.load(std::memory_order_seq_cst) != seen; };
  for (IdleFetch& fetch = shares[static_cast<size_t>(worker)].idle; !fetch.empty(); fetch.fetch_some()) {
    if (posted()) return;
  }
  if (wait_actively(posted)) return;
  std::unique_lock lock(mutex);
  sleeping_workers.fetch_add(1, std::memory_order_seq_cst);
  job_posted.wait(lock, posted);
  sleeping_workers.fetch_sub(1, std::memory_order_relaxed);
}

void ThreadPool::State::work(int worker) {
  uint32_t seen = 0;
  for (;;) {
    wait_for_job(worker, seen);
    seen = job_number.load(std::memory_order_seq_cst);
    if (!enter()) continue;
    if (worker < threads) take_tasks(worker);
    leave();
  }
}

void ThreadPool::State::grow(int workers) {
  while (size.load(std::memory_order_relaxed) < workers) {
    const int worker = size.load(std::memory_order_relaxed) + 1;  // the caller of a job is worker 0
    try {
      std::thread([this, worker] { work(worker); }).detach();
    } catch (const std::system_error&) {
      return;  // the system gives no more threads: those that are there do the work
    }
    size.store(worker, std::memory_order_relaxed);
  }
}

namespace {

std::atomic<ThreadPool*> shared_pool{nullptr};
std::mutex creation;

}  // namespace

ThreadPool::ThreadPool() : state_(new State) {}

ThreadPool& ThreadPool::shared() {
  if (ThreadPool* pool = shared_pool.load(std::memory_order_acquire)) return *pool;
  const std::lock_guard lock(creation);
  if (ThreadPool* pool = shared_pool.load(std::memory_order_acquire)) return *pool;
#if defined(__unix__) || defined(__APPLE__)
  // A forked child has none of the threads: it starts a pool of its own.
  static const int registered =
      pthread_atfork(nullptr, nullptr, [] { shared_pool.store(nullptr, std::memory_order_release); });
  static_cast<void>(registered);
#endif
  ThreadPool* pool = new ThreadPool;
  shared_pool.store(pool, std::memory_order_release);
  return *pool;
}

void ThreadPool::fetch_when_idle(int worker, const void* memory, int64_t bytes) {
  state_->shares[static_cast<size_t>(worker)].idle = {static_cast<const char*>(memory), bytes};
}

int ThreadPool::size() const { return state_->size.load(std::memory_order_relaxed); }

void ThreadPool::run(int threads, int64_t tasks, TaskFunction function, const void* context) {
  State& state = *state_;
  if (state.busy.test_and_set(std::memory_order_acquire)) {
    for (int64_t task = 0; task < tasks; ++task) function(context, task, 0);
    return;
  }
  if (threads > kMaximumThreads) threads = kMaximumThreads;
  if (threads > tasks) threads = static_cast<int>(tasks);
  state.grow(threads - 1);
  state.post(threads, tasks, function, context);
  state.take_tasks(0);
  state.close_and_wait();
  const std::exception_ptr error = std::move(state.error);
  state.error = nullptr;
  state.busy.clear(std::memory_order_release);
  if (error) std::rethrow_exception(error);
}

}  // namespace octoformer
