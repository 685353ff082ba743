// Spreads rows over the pool where that pays.
#pragma once
#include <cstdint>

#include "cpu/thread_pool.h"

namespace octoformer {

/// Values (columns of all rows) below which one thread does a row op faster than two: it takes them in about the few
/// microseconds that handing work to threads that wait costs.
inline constexpr int64_t kMinimumParallelValues = 8 * 1024;

/// Values that one task gets at least, so that handing out tasks costs nothing beside the work.
inline constexpr int64_t kTaskValues = 2 * 1024;

/// Calls body(row) for every row, each of which touches about `columns` values.
template <class Body>
void parallel_rows(int threads, int64_t rows, int64_t columns, const Body& body) {
  const int64_t rows_per_task = columns >= kTaskValues ? 1 : kTaskValues / (columns > 0 ? columns : 1);
  const int64_t tasks = rows * columns < kMinimumParallelValues ? 1 : (rows + rows_per_task - 1) / rows_per_task;
  if (tasks <= 1) {
    for (int64_t row = 0; row < rows; ++row) body(row);
    return;
  }
  ThreadPool::shared().parallel_for(threads, tasks, [&](int64_t task, int) {
    const int64_t end = (task + 1) * rows_per_task < rows ? (task + 1) * rows_per_task : rows;
    for (int64_t row = task * rows_per_task; row < end; ++row) body(row);
  });
}

}  // namespace octoformer
