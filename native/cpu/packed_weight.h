// The CPU backend's LinearWeight: panels in the layout of gemm_kernels.h. One packing serves prefill, decoding and the
// lookup of embeddings, so a tied embedding is stored once. Of a table that is only looked up a panel is one row, which
// then lies in one piece.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>

#include "backend/linear_weight.h"
#include "cpu/gemm_kernels.h"
#include "cpu/weight_storage.h"

namespace octoformer {

class PackedWeight final : public LinearWeight {
 public:
  /// Takes description.out_features x in_features weights from `rows`, on up to `threads` threads. Extra memory while
  /// packing: one panel of float32 rows a thread. Throws INVALID_CHECKPOINT naming the first value found that is not
  /// finite or does not fit the form; ABORTED when `abort` (may be null) becomes true.
  static std::unique_ptr<PackedWeight> pack(const GemmKernels& kernels, int threads,
                                            LinearWeightDescription description, const RowSource& rows,
                                            const std::atomic<bool>* abort);
  /// The weight whose sections() these are; null where they don't fit.
  static std::unique_ptr<PackedWeight> adopt(const GemmKernels& kernels, LinearWeightDescription description,
                                             WeightStorage storage);

  uint64_t bytes() const override { return storage_.bytes(); }
  std::vector<std::span<const std::byte>> sections() const override { return storage_.sections(); }

  /// Whether products run on the machine's bfloat16 units.
  bool uses_bfloat16_units() const { return uses_bfloat16_units_; }
  int64_t panels() const { return panels_; }
  int64_t panel_stride() const { return depth_ * panel_; }
  /// in_features filled up as the form's layout wants.
  int64_t depth() const { return depth_; }

  /// The packed elements: float32 or the 16 bits of a half.
  const float* floats() const { return reinterpret_cast<const float*>(memory_.data()); }
  const uint16_t* halves() const { return reinterpret_cast<const uint16_t*>(memory_.data()); }

  /// out [in_features] = row `index` of W, widened, times `scale`; added to `out` if `accumulate`.
  void read_row(const TableRowKernels& kernels, int64_t index, float scale, bool accumulate, float* out) const;

 private:
  PackedWeight(LinearWeightDescription description, const GemmKernels& kernels, WeightStorage storage);
  void pack_panel(int64_t panel, const float* rows, int64_t count);

  bool uses_bfloat16_units_ = false;
  int panel_ = 0;
  PackedPanels pairs_;  // of bfloat16
  int64_t panels_ = 0;
  int64_t depth_ = 0;
  WeightStorage storage_;
  std::span<std::byte> memory_;
};

}  // namespace octoformer
