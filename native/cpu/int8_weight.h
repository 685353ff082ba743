// The CPU backend's LinearWeight of the form int8: panels in the layout of gemm_int8_kernels.h, with what the epilogue
// needs of every output feature. One packing serves prefill, decoding and the lookup of embeddings.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "backend/linear_weight.h"
#include "cpu/gemm_int8_kernels.h"
#include "cpu/weight_storage.h"

namespace octoformer {

class Int8Weight final : public LinearWeight {
 public:
  /// Quantizes description.out_features x in_features weights from `rows` (or takes them as they are where rows are
  /// int8 already), on up to `threads` threads. Extra memory: one panel of float32 rows a thread. One scale for the
  /// tensor reads the rows twice. Throws INVALID_CHECKPOINT naming the first value found that is not finite;
  /// INVALID_ARGUMENT for an in_features beyond kLargestInt8Depth or settings that don't fit; UNSUPPORTED_OPTION;
  /// ABORTED when `abort` (may be null) becomes true.
  static std::unique_ptr<Int8Weight> pack(const Int8Kernels& kernels, int threads, LinearWeightDescription description,
                                          const RowSource& rows, const std::atomic<bool>* abort);
  /// The weight whose sections() these are; null where they don't fit. Throws INVALID_ARGUMENT and UNSUPPORTED_OPTION
  /// as pack() does.
  static std::unique_ptr<Int8Weight> adopt(const Int8Kernels& kernels, LinearWeightDescription description,
                                           WeightStorage storage);

  uint64_t bytes() const override { return storage_.bytes(); }
  std::vector<std::span<const std::byte>> sections() const override { return storage_.sections(); }
  Int8Rows int8_rows(int64_t first, int64_t count) const override;
  OutlierCounts outlier_counts() const override;
  std::span<const int64_t> kept_features() const override { return kept_features_; }

  const Int8Settings& settings() const { return description().int8; }
  const Int8Kernel& kernel() const { return *kernel_; }
  int64_t panels() const { return panels_; }
  int64_t panel_stride() const { return depth_ * panel_; }
  /// in_features filled up as the kernels want.
  int64_t depth() const { return depth_; }

  const int8_t* values() const { return values_.data(); }
  const PackedPanels& layout() const { return layout_; }
  /// Input features that share a scale: all of them unless the settings say otherwise.
  int64_t group() const { return group_; }
  int64_t groups() const { return groups_; }
  int64_t scales_stride() const { return groups_ * panel_; }
  /// [panel][groups][panel columns].
  const float* scales() const { return scales_.data(); }
  // Of every output feature, filled up to whole panels; zero_points() is null where all are 0.
  const int32_t* sums() const { return sums_.data(); }
  const int32_t* zero_points() const { return zero_points_.empty() ? nullptr : zero_points_.data(); }
  /// All weights as float32, [panel][in_features][panel columns]; null unless the settings say so.
  const float* float_weights() const { return floats_.data(); }
  /// Those of kept_features() as bfloat16, [panel][feature][panel columns].
  const uint16_t* kept_weights() const { return kept_.data(); }

  /// out [in_features] = row `index` of W, dequantized, times `scale`; added to `out` if `accumulate`.
  void read_row(const Int8Kernels& kernels, int64_t index, float scale, bool accumulate, float* out) const;

  /// Called by the linear op where settings().count_outliers: a tile's rows, and in how many of them each feature was
  /// multiplied in float.
  void count(int64_t rows, std::span<const int32_t> features, std::span<const int32_t> entries) const;

 private:
  struct Packer;
  Int8Weight(LinearWeightDescription description, const Int8Kernels& kernels, WeightStorage storage);
  void choose_kernel(const Int8Kernels& kernels);
  float& scale(int64_t row, int64_t group) const {
    return scales_[static_cast<size_t>(row / panel_ * scales_stride() + group * panel_ + row % panel_)];
  }
  bool keep_chosen();
  /// Where row `row` has its weights of a run of kByteRun features from k on: four beside each other, then the next
  /// four layout_.group_stride() further on.
  int64_t place_of_run(int64_t row, int64_t k) const {
    return row / panel_ * panel_stride() + layout_.place(row % panel_, k);
  }
  /// out [count] = weights of a row from `first`, a multiple of kByteRun, on.
  void copy_weights(int64_t row, int64_t first, int64_t count, int8_t* out) const;

  const Int8Kernel* kernel_ = nullptr;
  int panel_ = 0;
  PackedPanels layout_;
  int64_t panels_ = 0;
  int64_t depth_ = 0;
  int64_t group_ = 0, groups_ = 0;
  WeightStorage storage_;
  std::span<int8_t> values_;
  std::span<float> floats_;
  std::span<int64_t> chosen_;  // of settings().wide_features
  std::vector<int64_t> kept_features_;
  std::span<uint16_t> kept_;
  std::span<float> scales_;
  std::span<int32_t> sums_;
  std::span<int32_t> zero_points_;
  std::span<uint8_t> general_;  // one flag: there is a weight of -128
  mutable std::mutex counts_mutex_;
  mutable OutlierCounts counts_;
};

}  // namespace octoformer
