#include "cpu/int8_activations.h"

#include <algorithm>
#include <cstring>

#include "cpu/gemm_blocking.h"
#include "cpu/int8_activations_call.h"
#include "cpu/parallel_rows.h"
#include "cpu/thread_pool.h"

namespace octoformer {
namespace {

/// Values that are worth a thread of their own: they take longer than handing work to one that waits.
constexpr int64_t kValuesPerThread = 4 * 1024;

}  // namespace

bool Int8Activations::shared_by(const Int8Weight& left, const Int8Weight& right) {
  if (&left == &right) return true;
  const Int8Settings& a = left.settings();
  const Int8Settings& b = right.settings();
  if (a.count_outliers || b.count_outliers) return false;  // each counts its own
  return &left.kernel() == &right.kernel() && left.depth() == right.depth() &&
         (left.zero_points() == nullptr) == (right.zero_points() == nullptr) && a.activations == b.activations &&
         a.activation_scales == b.activation_scales && a.threshold == b.threshold &&
         a.threshold_unit == b.threshold_unit && a.outliers == b.outliers &&
         outliers_are_integers(a) == outliers_are_integers(b) &&
         std::ranges::equal(left.kept_features(), right.kept_features());
}

void Int8Activations::prepare(int threads, const Int8Weight& weight, int64_t given, const Int8Task& task) {
  const Int8Kernel& kernel = weight.kernel();
  const int64_t tiles = divide_up(given, kernel.row_tile), rows = round_up(given, kernel.row_granule);
  const int64_t blocks = divide_up(task.depth, task.depth_block);
  row_stride_ = task.depth_block;
  block_stride_ = rows * row_stride_;
  bytes_.reserve(static_cast<size_t>(blocks * block_stride_), "activations of an int8 linear layer");
  // Rows that fill up the last tile. Tiled ones lie among those of the input, which are written later. A tile that is
  // alone has as many rows as there are.
  const int64_t first_filled = kernel.tiled ? given / kernel.row_tile * kernel.row_tile : given;
  for (int64_t block = 0; block < blocks && given > kernel.row_tile; ++block) {
    std::memset(bytes_.data() + block * block_stride_ + first_filled * row_stride_, 0,
                static_cast<size_t>((rows - first_filled) * row_stride_));
  }
  ranges_.resize(static_cast<size_t>(given));
  below_.resize(static_cast<size_t>(given));
  scale_.resize(static_cast<size_t>(given));
  zero_.resize(static_cast<size_t>(given));
  sum_.resize(weight.zero_points() != nullptr ? static_cast<size_t>(given) : 0);
  digits_.prepare(weight, given);
  if (outliers_.size() < static_cast<size_t>(tiles)) outliers_.resize(static_cast<size_t>(tiles));
  tile_views_.resize(static_cast<size_t>(tiles));
  workers_.resize(static_cast<size_t>(threads));
}

void Int8Activations::quantize(const Int8Kernels& kernels, int threads, const Int8Weight& weight, const Source& source,
                               const Int8Task& task) {
  const ConstMatrixView& input = first_input(source.rows);
  const Int8Settings& settings = weight.settings();
  const int64_t row_tile = weight.kernel().row_tile, tiles = divide_up(input.rows, row_tile);
  prepare(threads, weight, input.rows, task);
  Call call(*this, kernels, weight, source, task);
  const int used = usable_threads(threads, input.rows * input.columns, kValuesPerThread);
  for (Worker& worker : workers_) call.start(worker);
  const auto for_each_tile = [&](const auto& body) {
    ThreadPool::shared().parallel_for(
        used, tiles, [&](int64_t tile, int worker) { body(tile, workers_[static_cast<size_t>(worker)]); });
  };
  if (settings.looks_across_rows()) {
    for_each_tile([&](int64_t tile, Worker& worker) { call.scan(tile, worker); });
    if (call.by_column()) call.list_columns();
    if (settings.threshold > 0.0f && settings.outliers == OutlierRule::whole_column) {
      for_each_tile([&](int64_t tile, Worker& worker) { call.scan_rest(tile, worker); });
    }
    call.share_range();
    for_each_tile([&](int64_t tile, Worker& worker) { call.finish(tile, worker, true); });
  } else if (tiles < used) {  // a few rows: else some threads would have nothing to do
    const int64_t part_rows = std::clamp<int64_t>(kTaskValues / std::max<int64_t>(input.columns, 1), 1, row_tile);
    const int64_t parts = divide_up(std::min(row_tile, input.rows), part_rows);
    if (parts_.size() < static_cast<size_t>(tiles * parts)) parts_.resize(static_cast<size_t>(tiles * parts));
    ThreadPool::shared().parallel_for(used, tiles * parts, [&](int64_t index, int worker) {
      call.finish_part(index, parts, part_rows, workers_[static_cast<size_t>(worker)]);
    });
    for_each_tile([&](int64_t tile, Worker& worker) { call.join_parts(tile, parts, worker); });
  } else {
    for_each_tile([&](int64_t tile, Worker& worker) { call.finish(tile, worker, false); });
  }
}

void Int8Activations::quantize_blocks(const Int8Kernels& kernels, int threads, const Int8Weight& weight, int64_t rows,
                                      int64_t block_rows, const MakeBlock& make, const Int8Task& task) {
  const int64_t columns = weight.description().in_features, row_tile = weight.kernel().row_tile;
  prepare(threads, weight, rows, task);
  const int64_t block_floats = round_up(block_rows * columns, 64);
  blocks_.reserve(static_cast<size_t>(block_floats * threads) * sizeof(float), "results between two linear layers");
  float* const blocks = reinterpret_cast<float*>(blocks_.data());
  // As if all rows lay there: workers look for them in their own blocks.
  const RowOrigin origin = ConstMatrixView{blocks, rows, columns, columns};
  const Source source = {origin};
  Call call(*this, kernels, weight, source, task);
  for (Worker& worker : workers_) call.start(worker);
  ThreadPool::shared().parallel_for(threads, divide_up(rows, block_rows), [&](int64_t index, int number) {
    const int64_t first = index * block_rows, last = std::min(first + block_rows, rows);
    const Block block = {first, last - first, blocks + number * block_floats, number};
    make(block);
    Worker& worker = workers_[static_cast<size_t>(number)];
    worker.block = &block;
    for (int64_t tile = first / row_tile; tile * row_tile < last; ++tile) call.finish(tile, worker, false);
    worker.block = nullptr;
  });
}

void Int8Activations::describe(Int8Task& task) const {
  task.activations = reinterpret_cast<const uint8_t*>(bytes_.data());
  task.row_stride = row_stride_;
  task.block_stride = block_stride_;
  Int8Epilogue& epilogue = task.epilogue;
  epilogue.row_scale = scale_.data();
  epilogue.row_zero = zero_.data();
  epilogue.row_sum = sum_.empty() ? nullptr : sum_.data();
  digits_.describe(epilogue);
  const bool any = std::any_of(tile_views_.begin(), tile_views_.end(), [](const auto& tile) { return tile.count > 0; });
  epilogue.outliers = any ? tile_views_.data() : nullptr;
}

}  // namespace octoformer
