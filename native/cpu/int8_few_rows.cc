// int8 products of a few rows: each thread reads panels of its own, and what it has computed of them it looks at, or
// goes on with, while its cache has it.
#include <algorithm>
#include <cmath>

#include "cpu/gemm_blocking.h"
#include "cpu/int8_linear.h"
#include "cpu/thread_pool.h"

namespace octoformer {
namespace {

/// Adds columns [first, first + count) of a row to what a thread has seen of it.
void look_at(const Int8Kernels& kernels, const RowKernels& row_kernels, const float* x, int64_t count, int64_t first,
             LargestColumn& seen) {
  RowScan scan;
  kernels.scan_row(x, count, nullptr, &scan);
  if (!scan.finite) seen.nan = seen.nan || std::any_of(x, x + count, [](float value) { return std::isnan(value); });
  if (scan.high < seen.value) return;
  // What comes later counts only if it is larger; what others have left may come earlier.
  LargestColumn found = first > seen.column ? seen : LargestColumn{.nan = seen.nan};
  for (int64_t at = row_kernels.find_above(x, 0, count, found.value); at < count;
       at = row_kernels.find_above(x, at + 1, count, found.value)) {
    found.value = x[at];
    found.column = static_cast<int32_t>(first + at);
  }
  if (found.comes_before(seen)) seen = found;
}

}  // namespace

bool Int8LinearDriver::takes_few_rows_at_once(const Int8Weight& weight, int64_t rows) {
  return rows > 0 && rows <= weight.kernel().few_rows_limit && weight.depth() > 0 && weight.panels() > 0;
}

const Int8LinearDriver::Place& Int8LinearDriver::next_after(const Place& place) {
  next_weights_[last_weights_] = place;
  last_weights_ = place.values;
  return next_weights_[last_weights_];
}

/// In the last task of a thread: its first task of the next layer is fetched meanwhile, and the others while ops of the
/// calling thread leave it without work.
void Int8LinearDriver::fetch_next(const Place& next, const FewRowTasks& tasks, int worker, Int8Task& task) {
  const auto begin = [&](int64_t index) { return tasks.first_panel(index) * next.panel_stride; };
  const int64_t first = tasks.first_of(worker), last = tasks.first_of(worker + 1);
  task.ahead = next.values + begin(first);
  task.ahead_bytes = begin(first + 1) - begin(first);
  static const CacheSizes caches = cache_sizes();
  const int64_t kept = std::min<int64_t>(begin(last) - begin(first), caches.second_level / 2);
  if (worker > 0) ThreadPool::shared().fetch_when_idle(worker, task.ahead, kept);
}

/// Calls multiply(task, worker) for tasks that have panels [first_panel, last_panel) of the place and all rows; `ahead`
/// is what the thread reads after them.
template <class Multiply>
void Int8LinearDriver::share_few_rows(const Int8Kernel& kernel, int64_t rows, const Place& place,
                                      const Int8Task& shared, const Multiply& multiply) {
  const FewRowTasks tasks = place.tasks(rows, threads_);
  const Place& next = next_after(place);
  const FewRowTasks next_tasks = next.tasks(rows, threads_);
  lend_scratch(kernel, int8_scratch_values(kernel, kernel.row_tile, 2), tasks.threads());
  ThreadPool::shared().parallel_for(tasks.threads(), tasks.count(), [&](int64_t index, int worker) {
    Int8Task task = shared;
    take_scratch(kernel, worker, task);
    task.first_row = 0;
    task.last_row = rows;
    task.first_panel = tasks.first_panel(index);
    task.last_panel = tasks.first_panel(index + 1);
    if (tasks.goes_on(index)) {
      task.ahead = place.values + task.last_panel * task.panel_stride;
      task.ahead_bytes = (tasks.first_panel(index + 2) - task.last_panel) * task.panel_stride;
    } else if (next.panels > 0 && tasks.is_own(index, worker) && worker < next_tasks.threads()) {
      fetch_next(next, next_tasks, worker, task);
    }
    multiply(task, worker);
  });
}

void Int8LinearDriver::multiply_few_rows(const Int8Weight& weight, int64_t rows, const Int8Task& shared) {
  const Int8Kernel& kernel = weight.kernel();
  const Place place = {weight.values(), weight.panels(), weight.panel_stride()};
  share_few_rows(kernel, rows, place, shared, [&](Int8Task& task, int) {
    for (int64_t row = 0; row < rows; row += kernel.few_rows_limit) {  // more than once only if K is 0
      task.first_row = row;
      task.last_row = std::min(row + kernel.few_rows_limit, rows);
      kernel.few_rows(task);
    }
  });
}

/// gated.out = activation(gate) * up: whoever has computed columns of the one computes those of the other, too.
void Int8LinearDriver::multiply_few_gated_rows(const RowKernels& row_kernels, const Int8Weight& weight,
                                               const Int8Task& whole, const GatedActivationArguments& gated,
                                               int64_t gate_panel, int64_t up_panel) {
  const Int8Kernel& kernel = weight.kernel();
  const int64_t rows = gated.gate.rows, stride = whole.panel_stride;
  const Place gates = {whole.weights + gate_panel * stride, gated.gate.columns / kernel.panel, stride, 2};
  const int64_t part_floats = rows * most_panels_of_task(rows) * kernel.panel;
  results_.reserve(static_cast<size_t>(2 * part_floats * threads_) * sizeof(float), "gates and what they multiply");
  share_few_rows(kernel, rows, gates, whole, [&](const Int8Task& of_gates, int worker) {
    const int64_t first = of_gates.first_panel, panels = of_gates.last_panel - first, columns = panels * kernel.panel;
    float* const gate = results_of(worker, 2 * part_floats);
    float* const up = gate + part_floats;
    Int8Task task = panels_of(of_gates, kernel, gate_panel + first, panels);
    task.epilogue.output.out = gate;
    task.epilogue.output.out_stride = columns;
    task.ahead = whole.weights + (up_panel + first) * stride;
    task.ahead_bytes = panels * stride;
    kernel.few_rows(task);
    task = panels_of(of_gates, kernel, up_panel + first, panels);
    task.epilogue.output.out = up;
    task.epilogue.output.out_stride = columns;
    kernel.few_rows(task);
    for (int64_t row = 0; row < rows; ++row) {
      row_kernels.gated_activation(gated.activation, gate + row * columns, up + row * columns,
                                   gated.out.row(row) + first * kernel.panel, columns);
    }
  });
}

bool Int8LinearDriver::largest_columns(const RowKernels& row_kernels, const LinearArguments& arguments,
                                       std::span<int32_t> columns) {
  const auto& weight = static_cast<const Int8Weight&>(*arguments.weight);
  const Int8Kernel& kernel = weight.kernel();
  const int64_t rows = arguments.input.rows;
  if (!takes_few_rows_at_once(weight, rows) || arguments.residual.data != nullptr) return false;
  const Int8Task whole = begin(arguments);
  const Place place = {weight.values(), weight.panels(), weight.panel_stride()};
  const int64_t part_floats = rows * most_panels_of_task(rows) * kernel.panel;
  results_.reserve(static_cast<size_t>(part_floats * threads_) * sizeof(float), "columns to find the largest of");
  largest_.assign(static_cast<size_t>(rows * threads_), {});
  share_few_rows(kernel, rows, place, whole, [&](const Int8Task& of_panels, int worker) {
    const int64_t first = of_panels.first_panel, panels = of_panels.last_panel - first, width = panels * kernel.panel;
    float* const results = results_of(worker, part_floats);
    Int8Task task = panels_of(of_panels, kernel, first, panels);
    task.epilogue.output.out = results;
    task.epilogue.output.out_stride = width;
    kernel.few_rows(task);
    for (int64_t row = 0; row < rows; ++row) {
      look_at(kernels_, row_kernels, results + row * width, std::min(width, task.out_features), first * kernel.panel,
              largest_[static_cast<size_t>(worker * rows + row)]);
    }
  });
  for (int64_t row = 0; row < rows; ++row) {
    LargestColumn largest;
    for (int worker = 0; worker < threads_; ++worker) {
      const LargestColumn& seen = largest_[static_cast<size_t>(worker * rows + row)];
      if (seen.nan) return false;
      if (seen.comes_before(largest)) largest = seen;
    }
    if (largest.column < 0) return false;
    columns[static_cast<size_t>(row)] = largest.column;
  }
  return true;
}

}  // namespace octoformer
