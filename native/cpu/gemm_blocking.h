// How the drivers of matrix products cut them into blocks, tasks and shares of threads.
#pragma once
#include <algorithm>
#include <cstdint>

#include "cpu/cpu_info.h"

namespace octoformer {

inline int64_t divide_up(int64_t value, int64_t divisor) { return (value + divisor - 1) / divisor; }
inline int64_t round_up(int64_t value, int64_t multiple) { return divide_up(value, multiple) * multiple; }

/// Waking a thread costs some microseconds. Reading 128 KB of weights, or 1M multiply-adds, takes a core longer.
inline constexpr int64_t kWeightBytesPerThread = 128 * 1024;
inline constexpr int64_t kMultiplyAddsPerThread = 1 << 20;
/// Tasks a thread gets, so that one that is held up does not hold up all.
inline constexpr int64_t kTasksPerThread = 4;
/// Columns of a task in prefill. Its activations are read again for every 256 columns: at 32 multiply-adds a cycle
/// that is one float in 8 cycles, far below what a third-level cache gives.
inline constexpr int64_t kTaskColumns = 256;

/// Runs of k that keep a block of a panel in the first-level cache: two thirds of it, the rest is for activations.
inline int64_t choose_panel_depth_block(int64_t panel, int64_t element_bytes) {
  static const CacheSizes caches = cache_sizes();
  constexpr int64_t kGranule = 64;  // of every kernel's depth_granule a multiple
  const int64_t fitting = caches.first_level * 2 / 3 / (panel * element_bytes);
  return std::clamp<int64_t>(fitting / kGranule * kGranule, kGranule, 1024);
}

/// Runs of k of tiled kernels. All of K, so that no partial sums go to memory and back, where that of a task's columns
/// of weights takes 3 / 8 of the second-level cache at most: activations and results pass by it. (Measured: 10 to 20 %
/// faster than in parts.) Else those of a strip of 32 rows and of a panel of 32 columns take a third of the first-level
/// cache each; partial sums, 4 KB, and what is fetched ahead have the rest. In even shares: no short rest.
inline int64_t choose_tiled_depth_block(int64_t depth, int64_t granule, int64_t element_bytes) {
  static const CacheSizes caches = cache_sizes();
  if (depth * element_bytes * kTaskColumns <= caches.second_level / 8 * 3) return depth;
  const int64_t longest = std::max<int64_t>(caches.first_level / 3 / 32 / element_bytes / granule, 1) * granule;
  return round_up(divide_up(depth, divide_up(depth, longest)), granule);
}

/// Whether a product goes through the kernel's few_rows. One over nothing does: it has no blocks of k to walk, and
/// few_rows starts and finishes sums regardless.
template <class Kernel>
bool takes_few_rows(const Kernel& kernel, int64_t rows, int64_t depth) {
  return rows <= kernel.few_rows_limit || depth == 0;
}

/// The run of k of a product: all of it for a few rows.
template <class Kernel>
int64_t choose_depth_block(const Kernel& kernel, int64_t rows, int64_t depth, int64_t element_bytes) {
  if (takes_few_rows(kernel, rows, depth)) return std::max<int64_t>(depth, 1);
  return std::min(kernel.tiled ? choose_tiled_depth_block(depth, kernel.depth_granule, element_bytes)
                               : choose_panel_depth_block(kernel.panel, element_bytes),
                  depth);
}

/// Rows whose block of activations and partial sums take half of the second-level cache.
inline int64_t choose_row_block(int64_t depth_block_bytes, int64_t columns, int64_t granule) {
  static const CacheSizes caches = cache_sizes();
  const int64_t row_bytes = depth_block_bytes + columns * static_cast<int64_t>(sizeof(float));
  return std::max<int64_t>(caches.second_level / 2 / row_bytes / granule, 1) * granule;
}

/// A block of the result that a thread computes at a time.
struct TaskShape {
  int64_t panels = 0;
  int64_t rows = 0;
  int64_t summed_rows = 0;  // rows whose partial sums wait for the next run of k
  bool by_rows = false;     // tasks beside each other share activations, else weights
};

template <class Kernel>
int64_t rows_at_a_time(const Kernel& kernel) {
  return std::max(kernel.row_tile, kernel.row_granule);
}

/// TaskShape::summed_rows of a task of `rows` rows. Tiled kernels that need no next run finish some rows at a time.
template <class Kernel>
int64_t choose_summed_rows(const Kernel& kernel, int64_t rows, int64_t depth, int64_t depth_block) {
  const int64_t granule = rows_at_a_time(kernel);
  return kernel.tiled && depth_block >= depth ? granule : round_up(rows, granule);
}

/// Tasks of a product of many rows on `threads` threads. `depth`, `depth_block`: in elements of `element_bytes`.
template <class Kernel>
TaskShape choose_task_shape(const Kernel& kernel, int64_t rows, int64_t panels, int64_t depth, int64_t depth_block,
                            int64_t element_bytes, int threads) {
  const int64_t granule = rows_at_a_time(kernel);
  const int64_t wanted = threads > 1 ? threads * kTasksPerThread : 1;
  TaskShape task;
  task.panels = std::max<int64_t>(kTaskColumns / kernel.panel, 1);
  const auto count_tasks = [&] { return divide_up(panels, task.panels) * divide_up(rows, task.rows); };
  if (kernel.tiled) {
    // The weights of a task stay in the second-level cache while activations pass by, and partial sums, if there are
    // any, in another quarter of it.
    task.panels = divide_up(panels, divide_up(panels, task.panels));
    const int64_t most = depth_block >= depth ? rows : choose_row_block(0, 2 * task.panels * kernel.panel, granule);
    const int64_t column_tasks = divide_up(panels, task.panels);
    // Each thread gets rows of its own, as many as the others: so most of them are those that it has quantized, added
    // to or activated before, and lie in its own cache. (Measured on two threads, K of 576 and 1536: 4 to 17 % faster
    // than columns of its own; weights, which all threads read at about the same time, come from the third-level
    // cache.)
    task.by_rows = threads > 1;
    const int64_t shares =
        round_up(std::max(divide_up(rows, most), divide_up(wanted, column_tasks)), std::max(threads, 1));
    // Each task reads its weights anew, in the time of some products: for four strips at least.
    task.rows = std::max(round_up(divide_up(rows, shares), granule), std::min(4 * granule, most));
    while (count_tasks() < wanted && task.panels > 1) --task.panels;
  } else {
    task.rows = choose_row_block(depth_block * element_bytes, task.panels * kernel.panel, granule);
    // Too few tasks for the threads: narrower ones first, then (a weight is read once more each time) shorter ones.
    while (count_tasks() < wanted && task.panels > 1) --task.panels;
    while (threads > 1 && count_tasks() < threads && task.rows > 4 * granule) task.rows -= granule;
  }
  // Rows in even shares: no small rest.
  task.rows = round_up(divide_up(rows, divide_up(rows, task.rows)), granule);
  task.summed_rows = choose_summed_rows(kernel, std::min(task.rows, rows), depth, depth_block);
  return task;
}

/// The tasks of a product of many rows, in the order in which they are given out: every thread has a run of its own.
class BlockTasks {
 public:
  BlockTasks(const TaskShape& shape, int64_t rows, int64_t panels)
      : shape_(shape),
        rows_(rows),
        panels_(panels),
        row_tasks_(divide_up(rows, shape.rows)),
        column_tasks_(divide_up(panels, shape.panels)) {}

  int64_t count() const { return row_tasks_ * column_tasks_; }
  /// Sets the block of the result.
  template <class Task>
  void choose(int64_t index, Task& task) const {
    const int64_t row_task = shape_.by_rows ? index / column_tasks_ : index % row_tasks_;
    const int64_t column_task = shape_.by_rows ? index % column_tasks_ : index / row_tasks_;
    task.first_row = row_task * shape_.rows;
    task.last_row = std::min(task.first_row + shape_.rows, rows_);
    task.first_panel = column_task * shape_.panels;
    task.last_panel = std::min(task.first_panel + shape_.panels, panels_);
  }

 private:
  TaskShape shape_;
  int64_t rows_, panels_, row_tasks_, column_tasks_;
};

inline int usable_threads(int threads, int64_t work, int64_t work_per_thread) {
  return static_cast<int>(std::clamp<int64_t>(work / work_per_thread, 1, threads));
}

/// Panels that a task of a few rows has at most: as many as kernels read at once. A lone row's are twice as many, so
/// that the runs that it reads go on (1.05 times as fast as 8 on one core of a Zen 3).
inline constexpr int64_t kFewRowPanels = 8;
inline int64_t most_panels_of_task(int64_t rows) { return rows == 1 ? 2 * kFewRowPanels : kFewRowPanels; }

/// How the panels of a weight are shared out for a few rows: every thread has a run of tasks of its own (the pool gives
/// them out like that) and fetches the weights of the next while it works on one.
class FewRowTasks {
 public:
  FewRowTasks(int64_t panels, int64_t panel_bytes, int64_t rows, int threads)
      : panels_(panels), threads_(usable_threads(threads, panels * panel_bytes, kWeightBytesPerThread)) {
    static const CacheSizes caches = cache_sizes();
    // The weights of a task and of the next take half of the second-level cache. A lone row reads its own only.
    const int64_t fitting = std::max<int64_t>(caches.second_level / 4 / std::max<int64_t>(panel_bytes, 1), 1);
    const int64_t most = most_panels_of_task(rows), taken = rows == 1 ? most : std::min(fitting, most);
    turns_ = std::max<int64_t>(divide_up(divide_up(panels, threads_), taken), 1);
  }

  int threads() const { return threads_; }
  int64_t count() const { return threads_ * turns_; }
  int64_t first_panel(int64_t task) const { return task * panels_ / count(); }
  /// Whether the next task is the same thread's, unless another one had nothing left to do.
  bool goes_on(int64_t task) const { return (task + 1) % turns_ != 0; }
  int64_t first_of(int worker) const { return worker * turns_; }
  bool is_own(int64_t task, int worker) const { return task / turns_ == worker; }

 private:
  int64_t panels_, turns_ = 1;
  int threads_;
};

}  // namespace octoformer
