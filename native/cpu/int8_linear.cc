#include "cpu/int8_linear.h"

#include <algorithm>
#include <numeric>

#include "cpu/gemm_blocking.h"
#include "cpu/row_ops.h"
#include "cpu/thread_pool.h"

namespace octoformer {
namespace {

/// Rows of a block between two layers at least: fewer don't pay for reading the weights anew.
constexpr int64_t kLeastBlockRows = 32;

/// The task of rows [first, first + count) of a whole product, numbered from 0. `first`: a multiple of the kernel's
/// row_tile.
Int8Task rows_of(const Int8Task& whole, const Int8Kernel& kernel, int64_t first, int64_t count) {
  Int8Task task = whole;
  task.first_row = 0;
  task.last_row = count;
  task.activations += first * task.row_stride;
  Int8Epilogue& epilogue = task.epilogue;
  epilogue.row_scale += first;
  epilogue.row_zero += first;
  if (epilogue.row_sum != nullptr) epilogue.row_sum += first;
  if (epilogue.digit_rows != nullptr) {
    epilogue.digit_rows += first;
    epilogue.digits += first * epilogue.digits_stride;
  }
  if (epilogue.outliers != nullptr) epilogue.outliers += first / kernel.row_tile;
  if (epilogue.output.residual != nullptr) epilogue.output.residual += first * epilogue.output.residual_stride;
  return task;
}

/// Rows that both kernels begin tiles with.
int64_t common_granule(const Int8Kernel& one, const Int8Kernel& other) {
  const auto granule_of = [](const Int8Kernel& kernel) {
    return std::lcm<int64_t>(kernel.row_tile, kernel.row_granule);
  };
  return std::lcm(granule_of(one), granule_of(other));
}

}  // namespace

Int8Task panels_of(const Int8Task& whole, const Int8Kernel& kernel, int64_t first, int64_t count) {
  const int64_t column = first * kernel.panel;
  Int8Task task = whole;
  task.weights += first * task.panel_stride;
  task.out_features -= column;
  task.first_panel = 0;
  task.last_panel = count;
  Int8Epilogue& epilogue = task.epilogue;
  epilogue.column_scale += column;
  epilogue.column_sum += column;
  if (epilogue.column_zero != nullptr) epilogue.column_zero += column;
  if (epilogue.float_weights != nullptr) epilogue.float_weights += column * task.in_features;
  if (epilogue.kept_weights != nullptr) epilogue.kept_weights += column * epilogue.kept_count;
  if (epilogue.output.bias != nullptr) epilogue.output.bias += column;
  return task;
}

std::unique_ptr<LinearWeight> Int8LinearDriver::pack(const LinearWeightDescription& description, const RowSource& rows,
                                                     const std::atomic<bool>* abort) const {
  return Int8Weight::pack(kernels_, threads_, description, rows, abort);
}

/// What the weight and the number of rows say.
Int8Task Int8LinearDriver::task_of(const Int8Weight& weight, int64_t rows) {
  const Int8Kernel& kernel = weight.kernel();
  Int8Task task;
  task.weights = weight.values();
  task.panel_stride = weight.panel_stride();
  task.depth = weight.depth();
  task.in_features = weight.description().in_features;
  task.out_features = weight.description().out_features;
  Int8Epilogue& epilogue = task.epilogue;
  epilogue.column_scale = weight.scales();
  epilogue.column_sum = weight.sums();
  epilogue.column_zero = weight.zero_points();
  epilogue.float_weights = weight.float_weights();
  epilogue.kept_weights = weight.kept_weights();
  epilogue.kept_count = static_cast<int64_t>(weight.kept_features().size());
  task.depth_block = choose_depth_block(kernel, rows, task.depth, sizeof(int8_t));
  return task;
}

void Int8LinearDriver::quantize_rows(const RowKernels& row_kernels, const QuantizeRowsArguments& arguments) const {
  const auto& weight = static_cast<const Int8Weight&>(*arguments.reader);
  const int64_t rows = first_input(arguments.rows).rows;
  if (rows == 0) return;
  static_cast<Int8Activations&>(*arguments.out)
      .quantize(kernels_, threads_, weight, {arguments.rows, &row_kernels}, task_of(weight, rows));
}

/// The task of a whole product, whose rows are quantized.
Int8Task Int8LinearDriver::begin(const LinearArguments& arguments) {
  const auto& weight = static_cast<const Int8Weight&>(*arguments.weight);
  Int8Task task = task_of(weight, arguments.input.rows);
  task.epilogue.output = {arguments.bias,     arguments.activation, arguments.residual.data, arguments.residual.stride,
                          arguments.out.data, arguments.out.stride};
  if (arguments.quantized != nullptr) {
    static_cast<const Int8Activations&>(*arguments.quantized).describe(task);
  } else {
    activations_.quantize(kernels_, threads_, weight, {arguments.input}, task);
    activations_.describe(task);
  }
  return task;
}

void Int8LinearDriver::linear(const LinearArguments& arguments) {
  const auto& weight = static_cast<const Int8Weight&>(*arguments.weight);
  const int64_t rows = arguments.input.rows;
  if (rows == 0 || weight.panels() == 0) return;
  const Int8Task task = begin(arguments);
  if (takes_few_rows(weight.kernel(), rows, weight.depth())) {
    multiply_few_rows(weight, rows, task);
  } else {
    multiply_many_rows(weight, rows, task);
  }
}

/// Rows of a product whose results wait in the second-level cache to be quantized; 0: better all at once. The weights
/// are read anew for each block: they take half of that cache at most, the block a quarter of it.
int64_t Int8LinearDriver::block_rows(const Int8Weight& weight, const Int8Weight& reader, int64_t rows) const {
  static const CacheSizes caches = cache_sizes();
  const int64_t columns = weight.description().out_features;
  if (columns == 0 || reader.settings().looks_across_rows() || takes_few_rows(weight.kernel(), rows, weight.depth()) ||
      weight.panels() * weight.panel_stride() > caches.second_level / 2) {
    return 0;
  }
  const int64_t granule = common_granule(weight.kernel(), reader.kernel());
  const int64_t fitting = caches.second_level / 4 / static_cast<int64_t>(sizeof(float)) / columns / granule * granule;
  // Each thread gets several.
  const int64_t shared_out = round_up(divide_up(rows, threads_ * kTasksPerThread), granule);
  const int64_t block = std::min(fitting, shared_out);
  return block < kLeastBlockRows ? 0 : block;
}

void Int8LinearDriver::linear_to_quantized(const RowKernels& row_kernels, const LinearArguments& arguments,
                                           const LinearWeight& reader, QuantizedRows& out) {
  const auto& weight = static_cast<const Int8Weight&>(*arguments.weight);
  const auto& next = static_cast<const Int8Weight&>(reader);
  const int64_t rows = arguments.input.rows, block = block_rows(weight, next, rows);
  if (block == 0) {
    linear(arguments);
    return quantize_rows(row_kernels, {arguments.out, &reader, &out});
  }
  const Int8Kernel& kernel = weight.kernel();
  const Int8Task whole = begin(arguments);
  const TaskShape shape = choose_task_shape(kernel, rows, weight.panels(), whole.depth, whole.depth_block, 1, 1);
  const int64_t summed_rows = choose_summed_rows(kernel, block, whole.depth, whole.depth_block);
  lend_scratch(kernel, int8_scratch_values(kernel, summed_rows, shape.panels, whole.depth, whole.depth_block),
               threads_);
  const auto make = [&](const Int8Activations::Block& part) {
    Int8Task task = rows_of(whole, kernel, part.first_row, part.rows);
    take_scratch(kernel, part.worker, task);
    task.epilogue.output.out = part.out;
    task.epilogue.output.out_stride = task.out_features;
    for (int64_t panel = 0; panel < weight.panels(); panel = task.last_panel) {
      task.first_panel = panel;
      task.last_panel = std::min(panel + shape.panels, weight.panels());
      kernel.many_rows(task);
    }
  };
  static_cast<Int8Activations&>(out).quantize_blocks(kernels_, threads_, next, rows, block, make, task_of(next, rows));
}

/// Rows of activation(gate) * up, `columns` wide, that wait in the second-level cache to be quantized: half of it at
/// most. 0: better all at once. Each block reads the weights anew, two bytes for a column and an input feature, and
/// saves writing and reading two floats for a column and a row.
int64_t Int8LinearDriver::gated_block_rows(const Int8Weight& weight, const Int8Weight& reader, int64_t rows,
                                           int64_t columns) const {
  static const CacheSizes caches = cache_sizes();
  if (columns == 0 || reader.settings().looks_across_rows() || takes_few_rows(weight.kernel(), rows, weight.depth())) {
    return 0;
  }
  const int64_t granule = common_granule(weight.kernel(), reader.kernel());
  const int64_t fitting = caches.second_level / 2 / static_cast<int64_t>(sizeof(float)) / columns / granule * granule;
  const int64_t least = std::max(kLeastBlockRows, weight.depth() / 8);
  if (fitting < least) return 0;
  // The same number for each thread.
  const int64_t block = round_up(divide_up(rows, round_up(divide_up(rows, fitting), threads_)), granule);
  return block < least ? 0 : block;
}

void Int8LinearDriver::gated_linear_to_quantized(const RowKernels& row_kernels, const LinearArguments& arguments,
                                                 const GatedActivationArguments& gated, const LinearWeight& reader,
                                                 QuantizedRows& out) {
  const auto& weight = static_cast<const Int8Weight&>(*arguments.weight);
  const auto& next = static_cast<const Int8Weight&>(reader);
  const Int8Kernel& kernel = weight.kernel();
  const int64_t rows = arguments.input.rows, columns = gated.gate.columns;
  const int64_t gate = gated.gate.data - arguments.out.data, up = gated.up.data - arguments.out.data;
  const bool whole_panels = gate % kernel.panel == 0 && up % kernel.panel == 0 && columns % kernel.panel == 0;
  if (whole_panels && rows > 1 && takes_few_rows_at_once(weight, rows)) {
    multiply_few_gated_rows(row_kernels, weight, begin(arguments), gated, gate / kernel.panel, up / kernel.panel);
    return quantize_rows(row_kernels, {ConstMatrixView(gated.out), &reader, &out});
  }
  const int64_t block = whole_panels ? gated_block_rows(weight, next, rows, columns) : 0;
  if (block == 0) {
    linear(arguments);
    return quantize_rows(row_kernels, {gated, &reader, &out});
  }
  const Int8Task whole = begin(arguments);
  const int64_t panels = columns / kernel.panel, panels_at_once = std::max<int64_t>(kTaskColumns / kernel.panel, 1);
  const int64_t width = panels_at_once * kernel.panel, up_floats = block * width;
  const int64_t summed_rows = choose_summed_rows(kernel, block, whole.depth, whole.depth_block);
  lend_scratch(kernel, int8_scratch_values(kernel, summed_rows, panels_at_once, whole.depth, whole.depth_block),
               threads_);
  results_.reserve(static_cast<size_t>(up_floats * threads_) * sizeof(float), "what gates multiply");
  const auto make = [&](const Int8Activations::Block& part) {
    float* const ups = results_of(part.worker, up_floats);
    Int8Task of_rows = rows_of(whole, kernel, part.first_row, part.rows);
    take_scratch(kernel, part.worker, of_rows);
    const auto multiply = [&](int64_t first, int64_t count, float* to, int64_t stride) {
      Int8Task task = panels_of(of_rows, kernel, first, count);
      task.epilogue.output.out = to;
      task.epilogue.output.out_stride = stride;
      kernel.many_rows(task);
    };
    for (int64_t panel = 0; panel < panels; panel += panels_at_once) {
      const int64_t count = std::min(panels_at_once, panels - panel);
      float* const gates = part.out + panel * kernel.panel;
      multiply(gate / kernel.panel + panel, count, gates, columns);
      multiply(up / kernel.panel + panel, count, ups, width);
      for (int64_t row = 0; row < part.rows; ++row) {
        float* const gate_row = gates + row * columns;
        row_kernels.gated_activation(gated.activation, gate_row, ups + row * width, gate_row, count * kernel.panel);
      }
    }
  };
  static_cast<Int8Activations&>(out).quantize_blocks(kernels_, threads_, next, rows, block, make, task_of(next, rows));
}

void Int8LinearDriver::lend_scratch(const Int8Kernel& kernel, int64_t sums, int threads) {
  scratch_sums_ = sums;
  const int64_t bytes = (sums + int8_scratch_floats(kernel)) * static_cast<int64_t>(sizeof(int32_t));
  scratch_.reserve(static_cast<size_t>(round_up(bytes, 64) * threads), "sums of an int8 linear layer");
  arranged_.assign(static_cast<size_t>(threads), {});
}

void Int8LinearDriver::take_scratch(const Int8Kernel& kernel, int worker, Int8Task& task) {
  const int64_t bytes = (scratch_sums_ + int8_scratch_floats(kernel)) * static_cast<int64_t>(sizeof(int32_t));
  std::byte* own = scratch_.data() + worker * round_up(bytes, 64);
  task.sums = reinterpret_cast<int32_t*>(own);
  task.floats = reinterpret_cast<float*>(own) + scratch_sums_;
  task.arranged = &arranged_[static_cast<size_t>(worker)];
}

float* Int8LinearDriver::results_of(int worker, int64_t floats) const {
  return reinterpret_cast<float*>(results_.data()) + worker * floats;
}

void Int8LinearDriver::multiply_many_rows(const Int8Weight& weight, int64_t rows, const Int8Task& shared) {
  const Int8Kernel& kernel = weight.kernel();
  const int64_t panels = weight.panels();
  // A multiply-add of bytes takes a quarter of the time of one of floats.
  const int threads = usable_threads(threads_, rows * shared.out_features * shared.depth, 4 * kMultiplyAddsPerThread);
  const TaskShape shape =
      choose_task_shape(kernel, rows, panels, shared.depth, shared.depth_block, sizeof(int8_t), threads);
  const BlockTasks tasks(shape, rows, panels);
  lend_scratch(kernel, int8_scratch_values(kernel, shape.summed_rows, shape.panels, shared.depth, shared.depth_block),
               threads);
  ThreadPool::shared().parallel_for(threads, tasks.count(), [&](int64_t index, int worker) {
    Int8Task task = shared;
    take_scratch(kernel, worker, task);
    tasks.choose(index, task);
    kernel.many_rows(task);
  });
}

void Int8LinearDriver::embedding(const EmbeddingArguments& arguments) const {
  const auto& table = static_cast<const Int8Weight&>(*arguments.table);
  const int64_t count = static_cast<int64_t>(arguments.indices.size());
  // A row lies scattered in its panel, a cache line for every four of k.
  const int threads = usable_threads(threads_, count * table.description().in_features * 16, kWeightBytesPerThread);
  ThreadPool::shared().parallel_for(threads, count, [&](int64_t i, int) {
    table.read_row(kernels_, arguments.indices[static_cast<size_t>(i)], arguments.scale, arguments.accumulate,
                   arguments.out.row(i));
  });
}

}  // namespace octoformer
