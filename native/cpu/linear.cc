#include "cpu/linear.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "backend/error.h"
#include "cpu/gemm_blocking.h"
#include "cpu/int8_weight.h"
#include "cpu/packed_weight.h"
#include "cpu/parallel_rows.h"
#include "cpu/thread_pool.h"

namespace octoformer {
/// Where packed weights lie, and int8 ones' scales (GemmTask::scales).
struct LinearDriver::WeightLayout {
  int64_t panels = 0;
  int64_t panel_stride = 0;
  int64_t depth = 0;
  const float* scales = nullptr;
  int64_t scales_stride = 0;
  int64_t group = 0;
};

template <class A, class W>
struct LinearDriver::Product {
  const GemmKernel<A, W>& kernel;
  const LinearArguments& arguments;
  const WeightLayout& layout;
  int64_t rows;
  GemmTask<A, W> task;  // what all tasks share
};

std::unique_ptr<LinearWeight> LinearDriver::pack(const LinearWeightDescription& description, const RowSource& rows,
                                                 const std::atomic<bool>* abort) const {
  return PackedWeight::pack(kernels_, threads_, description, rows, abort);
}

void LinearDriver::linear(const LinearArguments& arguments) {
  const WeightForm form = arguments.weight->description().form;
  if (arguments.weight->description().table) {
    fail(ErrorCode::internal, arguments.weight->description().name, " was packed as a table, to look up rows in");
  }
  if (arguments.input.rows == 0 || arguments.weight->description().out_features == 0) return;
  if (form == WeightForm::int8) {
    const auto& weight = static_cast<const Int8Weight&>(*arguments.weight);
    return multiply(kernels_.int8_weights, weight.values(),
                    {weight.panels(), weight.panel_stride(), weight.depth(), weight.scales(), weight.scales_stride(),
                     weight.group()},
                    arguments);
  }
  const auto& weight = static_cast<const PackedWeight&>(*arguments.weight);
  const WeightLayout layout = {weight.panels(), weight.panel_stride(), weight.depth()};
  if (form == WeightForm::float32) return multiply(kernels_.float32, weight.floats(), layout, arguments);
  if (form == WeightForm::float16) return multiply(kernels_.float16, weight.halves(), layout, arguments);
  if (weight.uses_bfloat16_units()) return multiply(kernels_.bfloat16_units, weight.halves(), layout, arguments);
  multiply(kernels_.bfloat16, weight.halves(), layout, arguments);
}

template <class A, class W>
void LinearDriver::multiply(const GemmKernel<A, W>& kernel, const W* weights, const WeightLayout& layout,
                            const LinearArguments& arguments) {
  const LinearWeightDescription& shape = arguments.weight->description();
  Product<A, W> product{kernel, arguments, layout, arguments.input.rows, {}};
  GemmTask<A, W>& task = product.task;
  task.weights = weights;
  task.panel_stride = layout.panel_stride;
  // Only the units read K filled up; widened weights meet activations as they are.
  task.depth = std::is_same_v<A, float> ? shape.in_features : layout.depth;
  task.out_features = shape.out_features;
  task.epilogue = {arguments.bias,     arguments.activation, arguments.residual.data, arguments.residual.stride,
                   arguments.out.data, arguments.out.stride};
  task.scales = layout.scales;
  task.scales_stride = layout.scales_stride;
  task.group = layout.group;
  task.depth_block = choose_depth_block(kernel, product.rows, task.depth, sizeof(A));
  prepare_activations(product);
  if (takes_few_rows(kernel, product.rows, task.depth)) {
    multiply_few_rows(product);
  } else {
    multiply_many_rows(product);
  }
}

/// Puts A where the kernel finds each block of k of all rows together, rounded if the compute type says so. A few
/// float32 rows are read in place.
template <class A, class W>
void LinearDriver::prepare_activations(Product<A, W>& product) {
  const ConstMatrixView& input = product.arguments.input;
  const int64_t in_features = product.arguments.weight->description().in_features;
  const bool round = product.arguments.weight->description().compute == ComputeType::bfloat16;
  GemmTask<A, W>& task = product.task;
  const int64_t blocks = divide_up(task.depth, task.depth_block);
  if constexpr (std::is_same_v<A, float>) {
    if (!round && (blocks <= 1 || product.rows <= product.kernel.row_tile)) {
      task.activations = input.data;
      task.row_stride = input.stride;
      task.block_stride = task.depth_block;
      return;
    }
  }
  const int64_t rows = round_up(product.rows, product.kernel.row_granule);
  task.row_stride = task.depth_block;
  task.block_stride = rows * task.row_stride;
  activations_.reserve(static_cast<size_t>(blocks * task.block_stride) * sizeof(A), "activations of a linear layer");
  A* const blocked = reinterpret_cast<A*>(activations_.data());
  task.activations = blocked;

  // Copying is a small part of the whole: shares of 64 KB are worth a thread.
  const int64_t share = std::max<int64_t>(16 * 1024 / std::max<int64_t>(in_features, 1), 1);
  ThreadPool::shared().parallel_for(threads_, divide_up(rows, share), [&](int64_t index, int) {
    for (int64_t row = index * share; row < std::min((index + 1) * share, rows); ++row) {
      for (int64_t block = 0; block < blocks; ++block) {
        const int64_t first = block * task.depth_block;
        const int64_t filled = std::min(task.depth_block, task.depth - first);
        const int64_t count = row < product.rows ? std::clamp<int64_t>(in_features - first, 0, task.depth_block) : 0;
        A* out = blocked + block * task.block_stride + row * task.row_stride;
        if constexpr (std::is_same_v<A, uint16_t>) {
          if (product.kernel.tiled) {
            narrow_to_tiles(product, row, first, count, filled, blocked);
            continue;
          }
        }
        if (count > 0) {
          const float* from = input.row(row) + first;
          if constexpr (std::is_same_v<A, uint16_t>) {
            kernels_.narrow_row_to_bfloat16(from, count, out);
          } else if (round) {
            kernels_.round_row_to_bfloat16(from, count, out);
          } else {
            std::memcpy(out, from, static_cast<size_t>(count) * sizeof(A));
          }
        }
        std::fill(out + count, out + std::max(count, filled), A{});
      }
    }
  });
}

/// `count` elements of a row from `first`, then zeros up to `filled`, to where tiles want them.
template <class A, class W>
void LinearDriver::narrow_to_tiles(const Product<A, W>& product, int64_t row, int64_t first, int64_t count,
                                   int64_t filled, uint16_t* tiles) const {
  const GemmTask<A, W>& task = product.task;
  const int64_t depth = product.kernel.depth_granule, row_tile = product.kernel.row_tile;
  constexpr int64_t kRun = 512;  // stays in the first-level cache
  alignas(64) uint16_t run[kRun];
  uint16_t* out =
      tiles + activation_offset(row, first, row_tile, depth, task.row_stride, task.block_stride, task.depth_block);
  for (int64_t done = 0; done < filled; done += kRun) {
    const int64_t length = std::min(filled - done, kRun), given = std::clamp<int64_t>(count - done, 0, length);
    if (given > 0) kernels_.narrow_row_to_bfloat16(product.arguments.input.row(row) + first + done, given, run);
    std::fill(run + given, run + length, uint16_t{0});
    for (int64_t k = 0; k < length; k += depth, out += row_tile * depth) {
      std::memcpy(out, run + k, static_cast<size_t>(depth) * sizeof(uint16_t));
    }
  }
}

template <class A, class W>
void LinearDriver::multiply_few_rows(Product<A, W>& product) {
  const GemmKernel<A, W>& kernel = product.kernel;
  const FewRowTasks tasks(product.layout.panels, product.layout.panel_stride * static_cast<int64_t>(sizeof(W)),
                          product.rows, threads_);
  // A tile of rows by several panels, or more rows by one.
  const int64_t most = std::max<int64_t>(kernel.row_tile * kFewRowPanels, kernel.few_rows_limit);
  const int64_t scratch = gemm_scratch_floats(kernel, most, 1, kFewRowDepth);
  scratch_.reserve(static_cast<size_t>(scratch * tasks.threads()) * sizeof(float), "sums of a linear layer");
  ThreadPool::shared().parallel_for(tasks.threads(), tasks.count(), [&](int64_t index, int worker) {
    GemmTask<A, W> task = product.task;
    task.scratch = reinterpret_cast<float*>(scratch_.data()) + worker * scratch;
    task.first_panel = tasks.first_panel(index);
    task.last_panel = tasks.first_panel(index + 1);
    if (tasks.goes_on(index)) {
      task.ahead = task.weights + task.last_panel * task.panel_stride;
      task.ahead_bytes =
          (tasks.first_panel(index + 2) - task.last_panel) * task.panel_stride * static_cast<int64_t>(sizeof(W));
    }
    for (int64_t row = 0; row < product.rows; row += kernel.few_rows_limit) {  // more than once only if K is 0
      task.first_row = row;
      task.last_row = std::min(row + kernel.few_rows_limit, product.rows);
      kernel.few_rows(task);
    }
  });
}

template <class A, class W>
void LinearDriver::multiply_many_rows(Product<A, W>& product) {
  const GemmKernel<A, W>& kernel = product.kernel;
  const GemmTask<A, W>& shared = product.task;
  const int64_t panels = product.layout.panels;
  const int threads =
      usable_threads(threads_, product.rows * shared.out_features * shared.depth, kMultiplyAddsPerThread);
  const TaskShape shape =
      choose_task_shape(kernel, product.rows, panels, shared.depth, shared.depth_block, sizeof(A), threads);
  const BlockTasks tasks(shape, product.rows, panels);
  const int64_t scratch = gemm_scratch_floats(kernel, shape.summed_rows, shape.panels, shared.depth_block);
  scratch_.reserve(static_cast<size_t>(scratch * threads) * sizeof(float), "sums of a linear layer");
  ThreadPool::shared().parallel_for(threads, tasks.count(), [&](int64_t index, int worker) {
    GemmTask<A, W> task = shared;
    task.scratch = reinterpret_cast<float*>(scratch_.data()) + worker * scratch;
    tasks.choose(index, task);
    kernel.many_rows(task);
  });
}

void LinearDriver::embedding(const EmbeddingArguments& arguments) const {
  const auto& table = static_cast<const PackedWeight&>(*arguments.table);
  // Scattered in its panel, a row costs a cache line for every step of k.
  constexpr int64_t kValuesPerLine = 4;
  const int64_t values = table.description().in_features * (table.description().table ? 1 : kValuesPerLine);
  parallel_rows(threads_, static_cast<int64_t>(arguments.indices.size()), values, [&](int64_t i) {
    table.read_row(kernels_.table_row, arguments.indices[static_cast<size_t>(i)], arguments.scale, arguments.accumulate,
                   arguments.out.row(i));
  });
}

}  // namespace octoformer
