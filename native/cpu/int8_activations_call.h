// How rows become activations of an int8 linear layer, step by step: ranges, outliers, bytes, lists. Part of
// int8_activations.cc.
#pragma once
#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "cpu/gemm_blocking.h"
#include "cpu/int8_activations.h"
#include "cpu/row_ops.h"

namespace octoformer {

/// The state of one quantize(): rows are independent of each other but where the settings look across them.
class Int8Activations::Call {
 public:
  Call(Int8Activations& owner, const Int8Kernels& kernels, const Int8Weight& weight, const Source& source,
       const Int8Task& task)
      : owner_(owner),
        kernels_(kernels),
        weight_(weight),
        settings_(weight.settings()),
        kept_(weight.kept_features()),
        source_(source),
        rows_(first_input(source.rows).rows),
        columns_(first_input(source.rows).columns),
        task_(task),
        bytes_(reinterpret_cast<uint8_t*>(owner.bytes_.data())),
        row_tile_(weight.kernel().row_tile),
        tile_depth_(weight.kernel().depth_granule),
        tiled_(weight.kernel().tiled),
        rows_at_once_(std::clamp<int64_t>(kValuesAtOnce / std::max<int64_t>(columns_, 1), 1, row_tile_)),
        flip_(weight.kernel().flip),
        decomposed_(settings_.threshold > 0.0f),
        by_column_(decomposed_ && settings_.outliers != OutlierRule::token),
        digits_(outliers_are_integers(settings_)) {}

  bool by_column() const { return by_column_; }

  /// Before a worker's first tile.
  void start(Worker& worker) const {
    const auto columns = static_cast<size_t>(columns_), at_once = static_cast<size_t>(rows_at_once_);
    worker.x.resize(at_once);
    worker.scans.resize(at_once);
    worker.grids.resize(at_once);
    worker.rows.resize(at_once * columns);
    worker.kept.resize(at_once * kept_.size());
    worker.place.resize(columns, -1);
    worker.outlier_counts.resize(at_once);
    if (decomposed_) {
      worker.parts.resize(at_once * static_cast<size_t>(row_parts(columns_)));
      worker.outliers.resize(at_once * columns);
    }
    if (by_column_) worker.outlier_in.assign(columns, 0);
  }

  /// Ranges and outlier features of a tile's rows.
  void scan(int64_t tile, Worker& worker) const {
    for (int64_t row = tile * row_tile_; row < last_row(tile); ++row) {
      const float* x = row_of(row, 0, worker);
      const auto at = static_cast<size_t>(row);
      RowScan found;
      kernels_.scan_row(x, columns_, parts_of(0, worker), &found);
      const float below = below_limit(found);
      owner_.below_[at] = has_outliers(found, below) ? below : -1.0f;
      if (owner_.below_[at] >= 0.0f) {
        find_outliers(at, 0, x, worker, found);
        if (by_column_) {
          for (const int32_t k : outliers_of(0, worker)) worker.outlier_in[static_cast<size_t>(k)] = 1;
        }
      }
      owner_.ranges_[at] = {found.low, found.high, found.finite};
    }
  }

  /// The ranges of one tile's rows without the outlier columns of all rows.
  void scan_rest(int64_t tile, Worker& worker) const {
    for (int64_t row = tile * row_tile_; row < last_row(tile); ++row) {
      const float* x = row_of(row, 0, worker);
      float* rest = worker.rows.data();
      if (x != rest) std::copy_n(x, columns_, rest);
      for (const int32_t k : owner_.outlier_columns_) rest[k] = 0.0f;
      RowScan found;
      kernels_.scan_row(rest, columns_, nullptr, &found);
      owner_.ranges_[static_cast<size_t>(row)] = {found.low, found.high, found.finite};
    }
  }

  /// The outlier columns of all rows, after scan().
  void list_columns() const {
    owner_.outlier_columns_.clear();
    for (size_t k = 0; k < static_cast<size_t>(columns_); ++k) {
      const auto in = [k](const Worker& worker) { return worker.outlier_in[k] != 0; };
      if (std::ranges::any_of(owner_.workers_, in)) owner_.outlier_columns_.push_back(static_cast<int32_t>(k));
    }
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

  /// `scanned`: the ranges of the rows are known.
  void finish(int64_t tile, Worker& worker, bool scanned) {
    worker.found.clear();
    finish_rows(tile * row_tile_, last_row(tile), worker, worker.found, scanned);
    list_outliers(tile, worker);
  }

  /// The same in two steps, for tiles that are shared out in `parts` parts of `part_rows` rows: what one worker does of
  /// a part, and then of the tile.
  void finish_part(int64_t index, int64_t parts, int64_t part_rows, Worker& worker) {
    const int64_t tile = index / parts, first = tile * row_tile_ + index % parts * part_rows;
    Int8Entries& found = owner_.parts_[static_cast<size_t>(index)];
    found.clear();
    finish_rows(first, std::min(first + part_rows, last_row(tile)), worker, found, false);
  }
  void join_parts(int64_t tile, int64_t parts, Worker& worker) {
    worker.found.clear();
    for (int64_t part = tile * parts; part < (tile + 1) * parts; ++part) {
      worker.found.append(owner_.parts_[static_cast<size_t>(part)]);
    }
    list_outliers(tile, worker);
  }

 private:
  static constexpr int64_t kFloatsPerLine = 16;
  /// Values of the rows that go through the steps side by side, so that a processor that waits for the range of one row
  /// has the others to work on: half of the smallest first-level cache.
  static constexpr int64_t kValuesAtOnce = 4 * 1024;

  int64_t last_row(int64_t tile) const { return std::min((tile + 1) * row_tile_, rows_); }

  /// Rows [first_row, end), which may be none.
  void finish_rows(int64_t first_row, int64_t end, Worker& worker, Int8Entries& found, bool scanned) {
    for (int64_t row = first_row; row < end; row += rows_at_once_) {
      finish_some(row, std::min(rows_at_once_, end - row), worker, found, scanned);
    }
  }

  /// At most rows_at_once_ rows of a tile, each step of all of them before the next one.
  void finish_some(int64_t first_row, int64_t count, Worker& worker, Int8Entries& found, bool scanned) {
    const auto first = static_cast<size_t>(first_row), rows = static_cast<size_t>(count);
    for (size_t i = 0; i < rows; ++i) {
      worker.x[i] = row_of(first_row + static_cast<int64_t>(i), static_cast<int64_t>(i), worker);
      if (scanned && !lists_outliers(first + i)) continue;
      kernels_.scan_row(worker.x[i], columns_, parts_of(i, worker), &worker.scans[i]);
    }
    for (size_t i = 0; i < rows && !scanned; ++i) owner_.below_[first + i] = below_limit(worker.scans[i]);
    for (size_t i = 0; i < rows; ++i) {
      RowScan& scan = worker.scans[i];
      if (!scanned && !has_outliers(scan, owner_.below_[first + i])) owner_.below_[first + i] = -1.0f;
      worker.outlier_counts[i] = 0;
      if (lists_outliers(first + i)) find_outliers(first + i, i, worker.x[i], worker, scan);
      if (!scanned) owner_.ranges_[first + i] = {scan.low, scan.high, scan.finite};
      if (digits_ && owner_.below_[first + i] >= 0.0f) {
        owner_.ranges_[first + i] = range_beside_integers(owner_.ranges_[first + i], scan.squares, columns_);
      }
    }
    const size_t first_listed = found.rows();
    for (size_t i = 0; i < rows; ++i) {
      std::span<const int32_t> features;  // that are multiplied in float
      if (by_column_) {
        features = owner_.outlier_columns_;
      } else if (!digits_) {
        features = outliers_of(i, worker);
      }
      found.add_row(worker.x[i], features, kept_, worker.kept.data() + i * kept_.size());
    }
    const AbsmaxFactor factor = absmax_factor(settings_.outliers, settings_.threshold);
    for (size_t i = 0; i < rows; ++i) {
      worker.grids[i] = int8_grid(owner_.ranges_[first + i], settings_.activations, factor);
    }
    uint8_t* bytes = bytes_ + (tiled_ ? activation_offset(first_row, 0, row_tile_, tile_depth_, owner_.row_stride_,
                                                          owner_.block_stride_, task_.depth_block)
                                      : first_row * owner_.row_stride_);
    for (size_t i = 0; i < rows; ++i, bytes += tiled_ ? tile_depth_ : owner_.row_stride_) {
      quantize(first + i, worker.x[i], row_after(first_row + static_cast<int64_t>(i)), worker.grids[i],
               found.of_row(first_listed + i), bytes);
      if (digits_) take_digits(first + i, worker.x[i], worker.grids[i], outliers_of(i, worker), bytes);
    }
  }

  /// Outliers of a row are |x| > this; < 0: none are.
  float below_limit(const RowScan& found) const {
    if (!decomposed_) return -1.0f;
    const float limit = settings_.threshold_unit == ThresholdUnit::absolute
                            ? settings_.threshold
                            : row_rms_limit(settings_.threshold, found.squares, columns_);
    // |x| >= limit is |x| > the float below it, a comparison that is false for NaN.
    return limit > 0.0f ? std::bit_cast<float>(std::bit_cast<uint32_t>(limit) - 1) : -1.0f;
  }

  static bool has_outliers(const RowScan& found, float below) {
    return below >= 0.0f && std::max(found.high, -found.low) > below;
  }

  /// Whether finish_some() has to find the outliers of a row: where there is one scale for all rows, where they are was
  /// forgotten.
  bool lists_outliers(size_t row) const { return !by_column_ && owner_.below_[row] >= 0.0f; }

  RowPart* parts_of(size_t i, Worker& worker) const {
    return decomposed_ ? worker.parts.data() + i * static_cast<size_t>(row_parts(columns_)) : nullptr;
  }
  /// Those of row `row`, the i-th of those at hand, x, which is without them then.
  void find_outliers(size_t row, size_t i, const float* x, Worker& worker, RowScan& scan) const {
    int32_t* outliers = worker.outliers.data() + i * static_cast<size_t>(columns_);
    worker.outlier_counts[i] = static_cast<size_t>(
        kernels_.scan_outliers(x, columns_, owner_.below_[row], parts_of(i, worker), outliers, &scan));
  }
  std::span<const int32_t> outliers_of(size_t i, const Worker& worker) const {
    return std::span(worker.outliers).subspan(i * static_cast<size_t>(columns_), worker.outlier_counts[i]);
  }

  /// Row `row`, the i-th of those at hand, with 0 where a feature is always multiplied in float: those go to
  /// worker.kept.
  const float* row_of(int64_t row, int64_t i, Worker& worker) const {
    const auto* floats = std::get_if<ConstMatrixView>(&source_.rows);
    float* own = worker.rows.data() + i * columns_;
    const float* given = floats == nullptr         ? nullptr
                         : worker.block == nullptr ? floats->row(row)
                                                   : worker.block->out + (row - worker.block->first_row) * columns_;
    if (given == nullptr) {
      std::visit(
          [&](const auto& op) {
            if constexpr (!std::is_same_v<std::decay_t<decltype(op)>, ConstMatrixView>) {
              make_row(*source_.row_kernels, op, row, own);
            }
          },
          source_.rows);
    } else if (kept_.empty()) {
      return given;
    } else {
      std::copy_n(given, columns_, own);
    }
    float* kept = worker.kept.data() + i * static_cast<int64_t>(kept_.size());
    for (const int64_t k : kept_) *kept++ = std::exchange(own[k], 0.0f);
    return own;
  }

  /// The row that follows, if it has to be read from far away: where K is in blocks, rows of floats are longer than
  /// what the first-level cache holds, and most likely all of them longer than the second-level cache.
  const float* row_after(int64_t row) const {
    const auto* floats = std::get_if<ConstMatrixView>(&source_.rows);
    const bool far = task_.depth_block < task_.depth && floats != nullptr && row + 1 < rows_;
    return far ? floats->row(row + 1) : nullptr;
  }

  void list_outliers(int64_t index, Worker& worker) {
    if (digits_) owner_.digits_.fill_up(static_cast<size_t>(index * row_tile_), static_cast<size_t>(last_row(index)));
    Int8OutlierTile& view = owner_.tile_views_[static_cast<size_t>(index)];
    view = {};
    const int64_t rows = last_row(index) - index * row_tile_;
    if (worker.found.empty()) {
      if (settings_.count_outliers) weight_.count(rows, {}, {});
      return;
    }
    Int8OutlierList& list = owner_.outliers_[static_cast<size_t>(index)];
    list.make(worker.found.all(), worker.found.row_end(), kept_, worker.place);
    if (settings_.count_outliers) {
      list.count(worker.counts);
      weight_.count(rows, list.features(), worker.counts);
    }
    view = list.view();
  }

  /// `next`: a row to fetch meanwhile, or null. `entries`: what counts as 0. `block`: where the row's bytes of the
  /// first block of k lie.
  void quantize(size_t row, const float* x, const float* next, const Int8Grid& grid, std::span<const Int8Entry> entries,
                uint8_t* block) const {
    owner_.scale_[row] = grid.scale;
    owner_.zero_[row] = grid.zero_point + (flip_ != 0 ? 128 : 0);
    const auto zero = static_cast<uint8_t>(static_cast<uint8_t>(grid.zero_point) ^ flip_);
    // Runs of bytes beside each other are one stride apart within a block.
    const int64_t stride = tiled_ ? row_tile_ * tile_depth_ : kByteRun;
    const auto runs = [&](int64_t first, int64_t end, const auto& body) {  // of columns within a block
      for (int64_t k = first; k < end;) {
        const int64_t count = std::min(end - k, kByteRun - k % kByteRun);
        body(block + k / kByteRun * stride + k % kByteRun, static_cast<size_t>(count));
        k += count;
      }
    };
    auto entry = entries.begin();
    int32_t sum = 0;
    for (int64_t first = 0; first < task_.depth; first += task_.depth_block, block += owner_.block_stride_) {
      const int64_t count = std::min(task_.depth_block, task_.depth - first);
      const int64_t given = std::clamp<int64_t>(columns_ - first, 0, count);
      for (int64_t k = 0; next != nullptr && k < given; k += kFloatsPerLine) __builtin_prefetch(next + first + k, 0, 2);
      if (grid.scale > 0.0f) {
        kernels_.quantize_row(x + first, given, {grid.multiplier, grid.step, grid.zero_point, grid.least, flip_}, block,
                              stride);
      } else {  // zeros, or poisoned
        runs(0, given, [zero](uint8_t* run, size_t size) { std::memset(run, zero, size); });
      }
      runs(given, count, [](uint8_t* run, size_t size) { std::memset(run, 0, size); });
      for (; entry != entries.end() && entry->feature < first + count; ++entry) {
        const int64_t k = entry->feature - first;
        block[k / kByteRun * stride + k % kByteRun] = zero;
      }
      if (owner_.sum_.empty()) continue;
      runs(0, given, [&](const uint8_t* run, size_t size) {
        for (size_t i = 0; i < size; ++i) sum += static_cast<int8_t>(run[i] ^ flip_) - grid.zero_point;
      });
    }
    if (!owner_.sum_.empty()) owner_.sum_[row] = sum;
  }

  /// Outliers that stay integers: their bytes, and what is beyond these.
  void take_digits(size_t row, const float* x, const Int8Grid& grid, std::span<const int32_t> outliers,
                   uint8_t* bytes) const {
    owner_.digits_.begin_row(row);
    if (!(grid.scale > 0.0f)) return;
    const int64_t stride = tiled_ ? row_tile_ * tile_depth_ : kByteRun;
    for (const int32_t k : outliers) {
      const int32_t integer = grid.integer(x[k]), last = static_cast<int8_t>(integer & 255);
      const int64_t in_block = k % task_.depth_block;
      uint8_t* block = bytes + k / task_.depth_block * owner_.block_stride_;
      block[in_block / kByteRun * stride + in_block % kByteRun] = static_cast<uint8_t>(last) ^ flip_;
      if (integer != last) owner_.digits_.add(row, k, (integer - last) / 256);
      if (!owner_.sum_.empty()) owner_.sum_[row] += integer - std::clamp(integer, grid.least, 127);
      if (settings_.count_outliers) count_one(k);
    }
  }

  void count_one(int64_t feature) const {
    const int32_t features[] = {static_cast<int32_t>(feature)}, entries[] = {1};
    weight_.count(0, features, entries);  // its rows are counted by tiles
  }

  Int8Activations& owner_;
  const Int8Kernels& kernels_;
  const Int8Weight& weight_;
  const Int8Settings& settings_;
  const std::span<const int64_t> kept_;
  const Source& source_;
  const int64_t rows_, columns_;
  const Int8Task& task_;
  uint8_t* const bytes_;
  const int64_t row_tile_, tile_depth_;
  const bool tiled_;
  const int64_t rows_at_once_;
  const uint8_t flip_;
  const bool decomposed_;
  const bool by_column_;
  const bool digits_;
};

}  // namespace octoformer
