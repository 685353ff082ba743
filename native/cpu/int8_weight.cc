#include "cpu/int8_weight.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "backend/error.h"
#include "backend/half.h"
#include "cpu/gemm_blocking.h"
#include "cpu/int8_weight_checks.h"
#include "cpu/thread_pool.h"
#include "quantization/row_range.h"

namespace octoformer {
namespace {

/// How many features wide_features chooses.
size_t count_wide(const LinearWeightDescription& description) {
  const Int8Settings& settings = description.int8;
  if (settings.wide_features == 0 || !settings.outlier_features.empty()) return 0;
  return static_cast<size_t>(std::min(settings.wide_features, description.in_features / kFeaturesPerWideOne));
}

[[noreturn]] void fail_not_finite(const LinearWeightDescription& description, int64_t row, const float* values) {
  int64_t k = 0;
  while (std::isfinite(values[k])) ++k;
  fail(ErrorCode::invalid_checkpoint, description.name, ": the weight at [", row, ", ", k, "] is ", values[k],
       ", not a finite number; the checkpoint is damaged, fetch it again");
}

}  // namespace

/// What packing needs for a while. A panel is packed by one thread.
struct Int8Weight::Packer {
  Int8Weight& weight;
  const Int8Kernels& kernels;
  const RowSource& rows;
  const LinearWeightDescription& shape;
  Int8Grid tensor_grid;              // where all rows share it
  std::atomic<bool> general{false};  // a weight of -128 was seen

  struct Buffer {
    std::vector<float> floats;
    std::vector<int8_t> bytes;
    std::vector<float> absmax;
  };

  /// Of `size` weights of a row, of which all are at `row_values`.
  ValueRange scan(int64_t row, const float* row_values, const float* values, int64_t size) const {
    RowScan found;
    kernels.scan_row(values, size, nullptr, &found);
    if (!found.finite) fail_not_finite(shape, row, row_values);
    return {found.low, found.high, true};
  }

  void read(int64_t first, int64_t count, Buffer& buffer) const {
    buffer.floats.resize(static_cast<size_t>(count * shape.in_features));
    rows.read_rows(first, count, buffer.floats.data());
  }

  void find_tensor_grid(std::vector<Buffer>& buffers, int threads, const auto& poll) {
    std::vector<ValueRange> ranges(buffers.size());
    ThreadPool::shared().parallel_for(threads, weight.panels_, [&](int64_t panel, int worker) {
      poll();
      Buffer& buffer = buffers[static_cast<size_t>(worker)];
      ValueRange& range = ranges[static_cast<size_t>(worker)];
      const int64_t first = panel * weight.panel_;
      const int64_t count = std::min<int64_t>(weight.panel_, shape.out_features - first);
      read(first, count, buffer);
      for (int64_t n = 0; n < count; ++n) {
        const float* values = buffer.floats.data() + n * shape.in_features;
        const ValueRange row = scan(first + n, values, values, shape.in_features);
        range.include(row.low);
        range.include(row.high);
      }
    });
    ValueRange whole;
    for (const ValueRange& range : ranges) {
      whole.include(range.low);
      whole.include(range.high);
    }
    tensor_grid = int8_grid(whole, shape.int8.weights);
  }

  /// `size` weights of a row, of which all are at `row_values`.
  void quantize_group(int64_t row, int64_t group, const float* row_values, const float* values, int64_t size,
                      int8_t* bytes) const {
    const bool by_row = shape.int8.weight_scales == Int8Granularity::row;
    const ValueRange range = scan(row, row_values, values, size);
    const Int8Grid grid = by_row ? int8_grid(range, shape.int8.weights) : tensor_grid;
    if (std::isnan(grid.scale)) {
      fail(ErrorCode::invalid_checkpoint, shape.name, ": the range of row ", row,
           " overflows float32; the checkpoint is damaged, fetch it again");
    }
    weight.scale(row, group) = grid.scale;
    if (!weight.zero_points_.empty()) weight.zero_points_[static_cast<size_t>(row)] = grid.zero_point;
    if (grid.scale > 0.0f) {
      kernels.quantize_row(values, size, {grid.multiplier, grid.step, grid.zero_point, grid.least, 0},
                           reinterpret_cast<uint8_t*>(bytes), kByteRun);
    } else {
      std::fill_n(bytes, size, int8_t{0});
    }
  }

  /// The features with the largest sums of squares, the earlier of equal ones; for all ISAs and any number of threads
  /// the same, since rows are summed in so many runs.
  void choose_wide(std::vector<Buffer>& buffers, int threads, const auto& poll) const {
    constexpr int64_t kRuns = 64, kRowsAtOnce = 64;
    const auto columns = static_cast<size_t>(shape.in_features);
    std::vector<double> sums(kRuns * columns);
    ThreadPool::shared().parallel_for(threads, kRuns, [&](int64_t run, int worker) {
      Buffer& buffer = buffers[static_cast<size_t>(worker)];
      double* const sum = sums.data() + static_cast<size_t>(run) * columns;
      const int64_t end = (run + 1) * shape.out_features / kRuns;
      for (int64_t first = run * shape.out_features / kRuns; first < end; first += kRowsAtOnce) {
        poll();
        const int64_t count = std::min(kRowsAtOnce, end - first);
        read(first, count, buffer);
        const float* value = buffer.floats.data();
        for (int64_t n = 0; n < count; ++n) {
          for (size_t k = 0; k < columns; ++k, ++value) sum[k] += static_cast<double>(*value) * *value;
        }
      }
    });
    for (size_t i = columns; i < sums.size(); ++i) sums[i % columns] += sums[i];
    std::vector<int64_t> order(columns);
    std::iota(order.begin(), order.end(), int64_t{0});
    std::ranges::stable_sort(order, [&](int64_t a, int64_t b) {
      return sums[static_cast<size_t>(a)] > sums[static_cast<size_t>(b)];  // NaN: refused when its row is packed
    });
    order.resize(weight.chosen_.size());
    std::ranges::sort(order);
    std::ranges::copy(order, weight.chosen_.begin());
  }

  void quantize(int64_t first, int64_t count, Buffer& buffer) const {
    buffer.bytes.resize(static_cast<size_t>(count * shape.in_features));
    for (int64_t n = 0; n < count; ++n) {
      float* values = buffer.floats.data() + n * shape.in_features;
      if (shape.int8.wide_features > 0) {
        scan(first + n, values, values, shape.in_features);
        for (const int64_t k : weight.kept_features_) values[k] = 0.0f;
      }
      int8_t* bytes = buffer.bytes.data() + n * shape.in_features;
      for (int64_t group = 0; group < weight.groups_; ++group) {
        const int64_t start = group * weight.group_, size = std::min(weight.group_, shape.in_features - start);
        quantize_group(first + n, group, values, values + start, size, bytes + start);
      }
    }
  }

  void take_quantized(int64_t first, int64_t count, Buffer& buffer) const {
    buffer.bytes.resize(static_cast<size_t>(count * shape.in_features));
    buffer.absmax.resize(static_cast<size_t>(count));
    rows.int8_rows()->read_int8_rows(first, count, buffer.bytes.data(), buffer.absmax.data());
    for (int64_t n = 0; n < count; ++n) {
      const float absmax = buffer.absmax[static_cast<size_t>(n)];
      if (!(std::isfinite(absmax) && absmax >= 0.0f)) {
        fail(ErrorCode::invalid_checkpoint, shape.name, ": the scale of row ", first + n, " is ", absmax,
             "; it must be a finite number of 0 or more; the checkpoint is damaged, fetch it again");
      }
      weight.scale(first + n, 0) = absmax / 127.0f;
    }
    if (!weight.kept_features_.empty()) read(first, count, buffer);
  }

  void pack(int64_t panel, Buffer& buffer) {
    const int64_t first = panel * weight.panel_, in_features = shape.in_features;
    const int64_t count = std::min<int64_t>(weight.panel_, shape.out_features - first);
    if (rows.int8_rows() != nullptr) {
      take_quantized(first, count, buffer);
      keep_floats(panel, count, buffer);
    } else {
      read(first, count, buffer);
      keep_floats(panel, count, buffer);
      quantize(first, count, buffer);
    }
    // Rows of no features take no memory.
    const size_t panel_bytes = static_cast<size_t>(weight.panel_stride());
    if (panel_bytes > 0 && (count < weight.panel_ || weight.depth_ > in_features)) {
      std::memset(weight.values_.data() + panel * weight.panel_stride(), 0, panel_bytes);
    }
    bool least = false;
    for (int64_t n = 0; n < count; ++n) {
      const int8_t* bytes = buffer.bytes.data() + n * in_features;
      // Two loops, and the least number as an unsigned byte: compilers make vector code of these.
      int32_t sum = 0;
      for (int64_t k = 0; k < in_features; ++k) sum += bytes[k];
      weight.sums_[static_cast<size_t>(first + n)] = sum;
      uint8_t lowest = 255;  // above -128
      for (int64_t k = 0; k < in_features; ++k) {
        lowest = std::min(lowest, static_cast<uint8_t>(static_cast<uint8_t>(bytes[k]) ^ 0x80u));
      }
      least |= lowest == 0;
    }
    if (least) general = true;
    // Strips of 64 k (a tile's at most): the bytes of a strip of all rows and the lines that they go to stay in the
    // first-level cache.
    for (int64_t strip = 0; strip < in_features; strip += kByteRun) {
      const int64_t end = std::min<int64_t>(strip + kByteRun, in_features);
      for (int64_t n = 0; n < count; ++n) {
        const int8_t* bytes = buffer.bytes.data() + n * in_features;
        int8_t* out = weight.values_.data() + weight.place_of_run(first + n, strip);
        int64_t k = strip;
        for (; k + 4 <= end; k += 4, out += weight.layout_.group_stride()) std::memcpy(out, bytes + k, 4);
        for (; k < end; ++k) *out++ = bytes[k];
      }
    }
  }

  void keep_floats(int64_t panel, int64_t count, const Buffer& buffer) const {
    const int64_t in_features = shape.in_features, width = weight.panel_;
    if (shape.int8.float_outlier_weights) {
      float* out = weight.floats_.data() + panel * in_features * width;
      for (int64_t k = 0; k < in_features; ++k) {
        for (int64_t n = 0; n < width; ++n) {
          out[k * width + n] = n < count ? buffer.floats[static_cast<size_t>(n * in_features + k)] : 0.0f;
        }
      }
    }
    const std::vector<int64_t>& features = weight.kept_features_;
    uint16_t* out = weight.kept_.data() + panel * static_cast<int64_t>(features.size()) * width;
    for (const int64_t k : features) {
      for (int64_t n = 0; n < width; ++n) {
        *out++ = n < count ? float_to_bfloat16(buffer.floats[static_cast<size_t>(n * in_features + k)]) : uint16_t{0};
      }
    }
  }
};

Int8Weight::Int8Weight(LinearWeightDescription given, const Int8Kernels& kernels, WeightStorage storage)
    : LinearWeight(std::move(given)), storage_(std::move(storage)) {
  const LinearWeightDescription& shape = description();
  panel_ = settings().weight_only ? kernels.weight_only_panel : kernels.symmetric.panel;
  layout_ = {panel_, settings().weight_only ? panel_ : kernels.symmetric.packed_columns,
             kernels.symmetric.depth_granule, 4};
  panels_ = divide_up(shape.out_features, panel_);
  depth_ = round_up(shape.in_features, kernels.symmetric.depth_granule);
  const auto columns = static_cast<size_t>(panels_ * panel_);
  values_ = storage_.array<int8_t>(columns * static_cast<size_t>(depth_));
  group_ = settings().group_size > 0 ? settings().group_size : std::max<int64_t>(shape.in_features, 1);
  groups_ = std::max<int64_t>(divide_up(shape.in_features, group_), 1);
  scales_ = storage_.zeros<float>(columns * static_cast<size_t>(groups_));
  sums_ = storage_.zeros<int32_t>(columns);
  if (shape.int8.weights == Int8Mapping::zeropoint) zero_points_ = storage_.zeros<int32_t>(columns);
  if (shape.int8.float_outlier_weights) {
    floats_ = storage_.array<float>(columns * static_cast<size_t>(shape.in_features));
  }
  kept_features_ = shape.int8.outlier_features;
  if (const size_t wide = count_wide(shape); wide > 0) chosen_ = storage_.array<int64_t>(wide);
  if (const size_t kept = kept_features_.size() + chosen_.size(); kept > 0) {
    kept_ = storage_.array<uint16_t>(columns * kept);
  }
  general_ = storage_.zeros<uint8_t>(1);
  if (shape.int8.count_outliers) counts_.entries_by_feature.assign(static_cast<size_t>(shape.in_features), 0);
}

/// Whether what wide_features chose can be kept.
bool Int8Weight::keep_chosen() {
  int64_t last = -1;
  for (const int64_t feature : chosen_) {
    if (feature <= last || feature >= description().in_features) return false;
    last = feature;
  }
  if (!chosen_.empty()) kept_features_.assign(chosen_.begin(), chosen_.end());
  return true;
}

void Int8Weight::choose_kernel(const Int8Kernels& kernels) {
  kernel_ = general_[0] != 0 ? &kernels.general : &kernels.symmetric;
}

std::unique_ptr<Int8Weight> Int8Weight::adopt(const Int8Kernels& kernels, LinearWeightDescription description,
                                              WeightStorage storage) {
  check_int8_settings(description);
  std::unique_ptr<Int8Weight> weight(new Int8Weight(std::move(description), kernels, std::move(storage)));
  if (!weight->storage_.fits() || !weight->keep_chosen()) return nullptr;
  weight->choose_kernel(kernels);
  return weight;
}

std::unique_ptr<Int8Weight> Int8Weight::pack(const Int8Kernels& kernels, int threads,
                                             LinearWeightDescription description, const RowSource& rows,
                                             const std::atomic<bool>* abort) {
  check_int8_settings(description);
  check_int8_rows(description, rows);
  WeightStorage storage(description.name);
  std::unique_ptr<Int8Weight> weight(new Int8Weight(std::move(description), kernels, std::move(storage)));
  const LinearWeightDescription& shape = weight->description();
  const auto poll = [&] {
    if (abort != nullptr && abort->load(std::memory_order_relaxed)) {
      fail(ErrorCode::aborted, "loading was aborted at ", shape.name);
    }
  };
  Packer packer{*weight, kernels, rows, shape, {}};
  std::vector<Packer::Buffer> buffers(static_cast<size_t>(std::max(threads, 1)));
  if (!weight->chosen_.empty()) {
    packer.choose_wide(buffers, threads, poll);
    weight->keep_chosen();
  }
  if (shape.int8.weight_scales == Int8Granularity::tensor) packer.find_tensor_grid(buffers, threads, poll);
  ThreadPool::shared().parallel_for(threads, weight->panels_, [&](int64_t panel, int worker) {
    poll();
    packer.pack(panel, buffers[static_cast<size_t>(worker)]);
  });
  weight->general_[0] = packer.general ? 1 : 0;
  weight->choose_kernel(kernels);
  return weight;
}

void Int8Weight::copy_weights(int64_t row, int64_t first, int64_t count, int8_t* out) const {
  const int64_t group_stride = layout_.group_stride(), end = first + count;
  for (int64_t start = first; start < end; start += kByteRun) {
    const int8_t* from = values() + place_of_run(row, start);
    const int64_t run_end = std::min(start + kByteRun, end);
    int64_t k = start;
    for (; k + 4 <= run_end; k += 4, from += group_stride, out += 4) std::memcpy(out, from, 4);
    for (; k < run_end; ++k) *out++ = *from++;
  }
}

Int8Rows Int8Weight::int8_rows(int64_t first, int64_t count) const {
  const int64_t in_features = description().in_features;
  if (first < 0 || count < 0 || first > description().out_features - count) {
    fail(ErrorCode::invalid_argument, description().name, ": rows [", first, ", ", first + count, ") lie outside its ",
         description().out_features);
  }
  Int8Rows rows;
  rows.values.resize(static_cast<size_t>(count * in_features));
  for (int64_t n = 0; n < count; ++n) {
    copy_weights(first + n, 0, in_features, rows.values.data() + n * in_features);
    for (int64_t group = 0; group < groups_; ++group) rows.scale.push_back(scale(first + n, group));
  }
  if (!zero_points_.empty()) {
    const auto zero_points = zero_points_.subspan(static_cast<size_t>(first), static_cast<size_t>(count));
    rows.zero_point.assign(zero_points.begin(), zero_points.end());
  }
  return rows;
}

void Int8Weight::read_row(const Int8Kernels& kernels, int64_t index, float scale, bool accumulate, float* out) const {
  constexpr int64_t kAtOnce = 16 * kByteRun;
  int8_t values[kAtOnce];
  const int32_t zero_point = zero_points_.empty() ? 0 : zero_points_[static_cast<size_t>(index)];
  const int64_t in_features = description().in_features;
  for (int64_t first = 0; first < in_features; first += kAtOnce) {
    const int64_t end = std::min(first + kAtOnce, in_features);
    copy_weights(index, first, end - first, values);
    for (int64_t k = first; k < end;) {
      const int64_t group = k / group_, count = std::min((group + 1) * group_, end) - k;
      kernels.table_row({values + (k - first), zero_point, this->scale(index, group), scale, accumulate}, count,
                        out + k);
      k += count;
    }
  }
  if (settings().wide_features == 0) return;
  // Their int8 weights are 0.
  const uint16_t* kept = kept_.data() + index / panel_ * static_cast<int64_t>(kept_features_.size()) * panel_;
  for (const int64_t k : kept_features_) {
    out[k] += bfloat16_to_float(kept[index % panel_]) * scale;
    kept += panel_;
  }
}

OutlierCounts Int8Weight::outlier_counts() const {
  const std::lock_guard lock(counts_mutex_);
  return counts_;
}

void Int8Weight::count(int64_t rows, std::span<const int32_t> features, std::span<const int32_t> entries) const {
  const std::lock_guard lock(counts_mutex_);
  counts_.rows += static_cast<uint64_t>(rows);
  for (size_t i = 0; i < features.size(); ++i) {
    counts_.entries_by_feature[static_cast<size_t>(features[i])] += static_cast<uint64_t>(entries[i]);
  }
}

}  // namespace octoformer
