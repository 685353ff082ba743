#include "cpu/int8_activations.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "cpu/gemm_blocking.h"
#include "cpu/row_ops.h"
#include "cpu/thread_pool.h"

namespace octoformer {
namespace {

/// Values that are worth a thread of their own: they take longer than handing work to one that waits.
constexpr int64_t kValuesPerThread = 4 * 1024;
/// So few outliers hide behind the products of tiled kernels, however they are taken.
constexpr int64_t kSharedOutliers = 16;

}  // namespace

/// The state of one quantize(): tiles of rows are independent of each other but where the settings look across rows.
class Int8Activations::Call {
 public:
  Call(Int8Activations& owner, const Int8Kernels& kernels, const Int8Weight& weight, const Source& source,
       const Int8Task& task)
      : owner_(owner),
        kernels_(kernels),
        weight_(weight),
        settings_(weight.settings()),
        source_(source),
        input_(source.input),
        task_(task),
        bytes_(reinterpret_cast<uint8_t*>(owner.bytes_.data())),
        row_tile_(weight.kernel().row_tile),
        tile_depth_(weight.kernel().depth_granule),
        tiled_(weight.kernel().tiled),
        flip_(weight.kernel().flip),
        decomposed_(settings_.threshold > 0.0f),
        by_column_(decomposed_ && settings_.outliers != OutlierRule::token) {}

  /// Before a tile's rows are looked at.
  void open(int64_t tile, Worker& worker) const {
    if (source_.norm == nullptr) return;
    worker.rows.resize(static_cast<size_t>(row_tile_ * input_.columns));
    for (int64_t row = tile * row_tile_; row < last_row(tile); ++row) {
      norm_row(*source_.row_kernels, *source_.norm, row, worker.rows.data() + row % row_tile_ * input_.columns);
    }
  }

  void scan(int64_t tile, Worker& worker) {
    if (!by_column_) clear(worker);
    for (int64_t row = tile * row_tile_; row < last_row(tile); ++row) {
      const float* x = row_of(row, worker);
      const float below = below_limit(x);
      owner_.below_[static_cast<size_t>(row)] = below;
      owner_.ranges_[static_cast<size_t>(row)] = scan_row(x, below, worker);
    }
  }

  /// The outlier features of one tile alone, leaving the ranges as they are.
  void scan_bits(int64_t tile, Worker& worker) const {
    clear(worker);
    for (int64_t row = tile * row_tile_; row < last_row(tile); ++row) {
      scan_row(row_of(row, worker), owner_.below_[static_cast<size_t>(row)], worker);
    }
  }

  /// The ranges of one tile's rows without the outlier columns of all rows.
  void scan_rest(int64_t tile, Worker& worker) const {
    for (int64_t row = tile * row_tile_; row < last_row(tile); ++row) {
      const float* x = row_of(row, worker);
      if (x != worker.row.data()) worker.row.assign(x, x + input_.columns);
      for_each_bit(worker.bits, [&](int64_t k) { worker.row[static_cast<size_t>(k)] = 0.0f; });
      owner_.ranges_[static_cast<size_t>(row)] = scan_row(worker.row.data(), -1.0f, worker);
    }
  }

  void clear(Worker& worker) const { worker.bits.assign(static_cast<size_t>(divide_up(input_.columns, 64)), 0); }

  /// All workers' bits are those of all rows then.
  static void share_bits(std::vector<Worker>& workers) {
    std::vector<uint64_t>& all = workers.front().bits;
    for (const Worker& worker : workers) {
      for (size_t i = 0; i < worker.bits.size(); ++i) all[i] |= worker.bits[i];
    }
    for (Worker& worker : workers) worker.bits = all;
  }

  void share_range() const {
    if (settings_.activation_scales == Int8Granularity::tensor) {
      ValueRange whole;
      for (const ValueRange& range : owner_.ranges_) {
        whole.include(range.low);
        whole.include(range.high);
        whole.finite = whole.finite && range.finite;
      }
      std::fill(owner_.ranges_.begin(), owner_.ranges_.end(), whole);
    }
  }

  void finish(int64_t tile, Worker& worker) {
    list_outliers(tile, worker);
    for (int64_t row = tile * row_tile_; row < last_row(tile); ++row) quantize(tile, row, worker);
  }

 private:
  int64_t last_row(int64_t tile) const { return std::min((tile + 1) * row_tile_, input_.rows); }

  /// Outliers of a row are |x| > this; < 0: it has none.
  float below_limit(const float* x) const {
    if (!decomposed_) return -1.0f;
    const float limit =
        settings_.threshold_unit == ThresholdUnit::absolute
            ? settings_.threshold
            : row_rms_limit(settings_.threshold, kernels_.sum_squares(x, input_.columns), input_.columns);
    // |x| >= limit is |x| > the float below it, a comparison that is false for NaN.
    return limit > 0.0f ? std::nextafter(limit, 0.0f) : -1.0f;
  }

  ValueRange scan_row(const float* x, float below, Worker& worker) const {
    RowScan found;
    kernels_.scan_row(x, input_.columns, below, worker.bits.data(), &found);
    return {found.low, found.high, found.finite};
  }

  static void for_each_bit(const std::vector<uint64_t>& words, const auto& visit) {
    for (size_t word = 0; word < words.size(); ++word) {
      for (uint64_t bits = words[word]; bits != 0; bits &= bits - 1) {
        visit(static_cast<int64_t>(word) * 64 + std::countr_zero(bits));
      }
    }
  }

  /// Whether an entry is multiplied in float for its own sake.
  bool is_outlier(int64_t row, float value) const {
    const float below = owner_.below_[static_cast<size_t>(row)];
    return below >= 0.0f && std::fabs(value) > below;
  }

  /// Of the tile that is open.
  const float* float_row(int64_t row, const Worker& worker) const {
    return source_.norm == nullptr ? input_.row(row) : worker.rows.data() + row % row_tile_ * input_.columns;
  }

  /// Row `row` with 0 where a feature is always multiplied in float.
  const float* row_of(int64_t row, Worker& worker) const {
    const float* floats = float_row(row, worker);
    if (settings_.outlier_features.empty()) return floats;
    worker.row.assign(floats, floats + input_.columns);
    for (const int64_t k : settings_.outlier_features) worker.row[static_cast<size_t>(k)] = 0.0f;
    return worker.row.data();
  }

  void list_outliers(int64_t index, Worker& worker) {
    Tile& tile = owner_.tiles_[static_cast<size_t>(index)];
    tile.features.clear();
    tile.kept.clear();
    tile.values.clear();
    const std::vector<int64_t>& kept = settings_.outlier_features;
    size_t next_kept = 0;
    const auto add = [&](int64_t k, int32_t kept_index) {
      tile.features.push_back(static_cast<int32_t>(k));
      if (!kept.empty()) tile.kept.push_back(kept_index);
      for (int64_t r = 0; r < row_tile_; ++r) {
        const int64_t row = index * row_tile_ + r;
        float value = row < input_.rows ? float_row(row, worker)[k] : 0.0f;
        if (kept_index < 0 && !by_column_ && row < input_.rows && !is_outlier(row, value)) value = 0.0f;
        tile.values.push_back(value);
      }
    };
    const auto add_kept_before = [&](int64_t end) {
      for (; next_kept < kept.size() && kept[next_kept] < end; ++next_kept) {
        add(kept[next_kept], static_cast<int32_t>(next_kept));
      }
    };
    if (decomposed_) {
      for_each_bit(worker.bits, [&](int64_t k) {
        add_kept_before(k);
        add(k, -1);
      });
    }
    add_kept_before(input_.columns);
    Int8OutlierTile& view = owner_.tile_views_[static_cast<size_t>(index)];
    view = {static_cast<int64_t>(tile.features.size()), tile.features.data(), kept.empty() ? nullptr : tile.kept.data(),
            tile.values.data()};
    if (tiled_) list_by_row(index, tile, view);
    if (settings_.count_outliers) {
      worker.entries.clear();
      for (size_t i = 0; i < tile.features.size(); ++i) {
        const float* values = tile.values.data() + static_cast<int64_t>(i) * row_tile_;
        worker.entries.push_back(
            static_cast<int32_t>(std::count_if(values, values + row_tile_, [](float v) { return v != 0.0f; })));
      }
      weight_.count(last_row(index) - index * row_tile_, tile.features, worker.entries);
    }
  }

  void list_by_row(int64_t index, Tile& tile, Int8OutlierTile& view) const {
    const auto count = static_cast<int32_t>(tile.features.size());
    tile.row_begin.assign(1, 0);
    tile.entries.clear();
    for (int64_t r = 0; r < row_tile_; ++r) {
      for (int32_t i = 0; i < count; ++i) {
        if (tile.values[static_cast<size_t>(i * row_tile_ + r)] != 0.0f) tile.entries.push_back(i);
      }
      tile.row_begin.push_back(static_cast<int32_t>(tile.entries.size()));
    }
    view.row_begin = tile.row_begin.data();
    view.entries = tile.entries.data();
    // Taken together, each feature's weights are dequantized once, which is about 3 / 4 of the work for a row of them.
    const int64_t rows = last_row(index) - index * row_tile_;
    view.shared = count > kSharedOutliers && static_cast<int64_t>(tile.entries.size()) > count * rows / 4;
  }

  void quantize(int64_t tile, int64_t row, Worker& worker) {
    const Int8Grid grid = int8_grid(owner_.ranges_[static_cast<size_t>(row)], settings_.activations);
    const auto at = static_cast<size_t>(row);
    owner_.scale_[at] = grid.scale;
    owner_.zero_[at] = grid.zero_point + (flip_ != 0 ? 128 : 0);
    const float* x = row_of(row, worker);
    const auto zero = static_cast<uint8_t>(static_cast<uint8_t>(grid.zero_point) ^ flip_);
    const std::vector<int32_t>& features = owner_.tiles_[static_cast<size_t>(tile)].features;
    auto feature = features.begin();
    int32_t sum = 0;
    for (int64_t first = 0; first < task_.depth; first += task_.depth_block) {
      const int64_t filled = std::min(task_.depth_block, task_.depth - first);
      const int64_t count = std::clamp<int64_t>(input_.columns - first, 0, filled);
      uint8_t* place = bytes_ + first / task_.depth_block * owner_.block_stride_;
      if (tiled_) {
        worker.bytes.resize(static_cast<size_t>(filled));
        place += activation_offset(row, 0, row_tile_, tile_depth_, owner_.row_stride_, owner_.block_stride_,
                                   task_.depth_block);
      } else {
        place += row * owner_.row_stride_;
      }
      uint8_t* out = tiled_ ? worker.bytes.data() : place;
      if (grid.scale > 0.0f) {
        kernels_.quantize_row(x + first, count,
                              {grid.multiplier, grid.step, grid.zero_point, grid.least, owner_.below_[at], flip_}, out);
      } else {
        std::memset(out, zero, static_cast<size_t>(count));  // zeros, or poisoned
      }
      std::memset(out + count, 0, static_cast<size_t>(filled - count));
      if (by_column_) {
        for (; feature != features.end() && *feature < first + count; ++feature) out[*feature - first] = zero;
      }
      if (!owner_.sum_.empty()) {
        for (int64_t k = 0; k < count; ++k) sum += static_cast<int8_t>(out[k] ^ flip_) - grid.zero_point;
      }
      if (tiled_) {
        for (int64_t k = 0; k < filled; k += tile_depth_, place += row_tile_ * tile_depth_) {
          std::memcpy(place, out + k, static_cast<size_t>(tile_depth_));
        }
      }
    }
    if (!owner_.sum_.empty()) owner_.sum_[at] = sum;
  }

  Int8Activations& owner_;
  const Int8Kernels& kernels_;
  const Int8Weight& weight_;
  const Int8Settings& settings_;
  const Source& source_;
  const ConstMatrixView input_;
  const Int8Task& task_;
  uint8_t* const bytes_;
  const int64_t row_tile_, tile_depth_;
  const bool tiled_;
  const uint8_t flip_;
  const bool decomposed_;
  const bool by_column_;
};

bool Int8Activations::shared_by(const Int8Weight& left, const Int8Weight& right) {
  if (&left == &right) return true;
  const Int8Settings& a = left.settings();
  const Int8Settings& b = right.settings();
  if (a.count_outliers || b.count_outliers) return false;  // each counts its own
  return &left.kernel() == &right.kernel() && left.depth() == right.depth() &&
         (left.zero_points() == nullptr) == (right.zero_points() == nullptr) && a.activations == b.activations &&
         a.activation_scales == b.activation_scales && a.threshold == b.threshold &&
         a.threshold_unit == b.threshold_unit && a.outliers == b.outliers && a.outlier_features == b.outlier_features;
}

void Int8Activations::quantize(const Int8Kernels& kernels, int threads, const Int8Weight& weight, const Source& source,
                               const Int8Task& task) {
  const ConstMatrixView& input = source.input;
  const Int8Settings& settings = weight.settings();
  const Int8Kernel& kernel = weight.kernel();
  const int64_t tiles = divide_up(input.rows, kernel.row_tile), rows = round_up(input.rows, kernel.row_granule);
  const int64_t blocks = divide_up(task.depth, task.depth_block);
  row_stride_ = task.depth_block;
  block_stride_ = rows * row_stride_;
  bytes_.reserve(static_cast<size_t>(blocks * block_stride_), "activations of an int8 linear layer");
  // Rows that fill up the last tile. Tiled ones lie among those of the input, which are written later. A tile that is
  // alone has as many rows as there are.
  const int64_t first_filled = kernel.tiled ? input.rows / kernel.row_tile * kernel.row_tile : input.rows;
  for (int64_t block = 0; block < blocks && input.rows > kernel.row_tile; ++block) {
    std::memset(bytes_.data() + block * block_stride_ + first_filled * row_stride_, 0,
                static_cast<size_t>((rows - first_filled) * row_stride_));
  }
  ranges_.resize(static_cast<size_t>(input.rows));
  below_.resize(static_cast<size_t>(input.rows));
  scale_.resize(static_cast<size_t>(input.rows));
  zero_.resize(static_cast<size_t>(input.rows));
  sum_.resize(weight.zero_points() != nullptr ? static_cast<size_t>(input.rows) : 0);
  if (tiles_.size() < static_cast<size_t>(tiles)) tiles_.resize(static_cast<size_t>(tiles));
  tile_views_.resize(static_cast<size_t>(tiles));
  workers_.resize(static_cast<size_t>(threads));

  Call call(*this, kernels, weight, source, task);
  const int used = usable_threads(threads, input.rows * input.columns, kValuesPerThread);
  for (Worker& worker : workers_) call.clear(worker);
  if (settings.looks_across_rows()) {
    ThreadPool::shared().parallel_for(used, tiles, [&](int64_t tile, int worker) {
      Worker& own = workers_[static_cast<size_t>(worker)];
      call.open(tile, own);
      call.scan(tile, own);
    });
    if (settings.threshold > 0.0f && settings.outliers != OutlierRule::token) call.share_bits(workers_);
    if (settings.threshold > 0.0f && settings.outliers == OutlierRule::whole_column) {
      ThreadPool::shared().parallel_for(used, tiles, [&](int64_t tile, int worker) {
        Worker& own = workers_[static_cast<size_t>(worker)];
        call.open(tile, own);
        call.scan_rest(tile, own);
      });
    }
    call.share_range();
    ThreadPool::shared().parallel_for(used, tiles, [&](int64_t tile, int worker) {
      Worker& own = workers_[static_cast<size_t>(worker)];
      call.open(tile, own);
      // One scale for all rows, but outliers by token: a tile's own were forgotten.
      if (settings.threshold > 0.0f && settings.outliers == OutlierRule::token) call.scan_bits(tile, own);
      call.finish(tile, own);
    });
  } else {
    ThreadPool::shared().parallel_for(used, tiles, [&](int64_t tile, int worker) {
      Worker& own = workers_[static_cast<size_t>(worker)];
      call.open(tile, own);
      call.scan(tile, own);
      call.finish(tile, own);
    });
  }
}

void Int8Activations::describe(Int8Task& task) const {
  task.activations = reinterpret_cast<const uint8_t*>(bytes_.data());
  task.row_stride = row_stride_;
  task.block_stride = block_stride_;
  Int8Epilogue& epilogue = task.epilogue;
  epilogue.row_scale = scale_.data();
  epilogue.row_zero = zero_.data();
  epilogue.row_sum = sum_.empty() ? nullptr : sum_.data();
  const bool any = std::any_of(tile_views_.begin(), tile_views_.end(), [](const auto& tile) { return tile.count > 0; });
  epilogue.outliers = any ? tile_views_.data() : nullptr;
}

}  // namespace octoformer
