// A weight of the Program as a view of the checkpoint: which rows of which tensors, in which order (WeightPart in
// ts/graph/program.ts), checked once and then read row by row.
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "backend/linear_weight.h"
#include "formats/checkpoint.h"
#include "runtime/program.h"

namespace octoformer {

/// Bytes of the checkpoint read since the last call, in about: called from several threads at once.
using BytesRead = std::function<void(uint64_t bytes)>;

/// A vector is seen as a matrix of one column.
class WeightSource : public RowSource, public Int8RowSource {
 public:
  /// Throws MISSING_WEIGHT or SHAPE_MISMATCH (naming file, tensor and both shapes), INVALID_CHECKPOINT for a tensor
  /// that holds no floating-point numbers, INVALID_ARGUMENT for a recipe that doesn't fit its own shapes. Reads no
  /// data. The checkpoint must outlive it.
  WeightSource(const WeightDescription& description, const Checkpoint& checkpoint);
  ~WeightSource() override;

  int64_t rows() const { return rows_; }
  int64_t columns() const { return columns_; }
  /// Rows that part `index` of the description gives.
  int64_t part_rows(size_t index) const;
  /// The description's form; for `auto` what all parts are stored as (float32 for blocks and mixtures).
  WeightForm form() const { return form_; }
  /// Bytes of the checkpoint that the weight is made of.
  uint64_t stored_bytes() const { return stored_bytes_; }
  /// "FILE: tensor NAME", for messages; all tensors of it.
  std::string origin() const;

  void on_read(BytesRead callback) { on_read_ = std::move(callback); }
  void read_rows(int64_t first, int64_t count, float* out) const override;
  /// This, when every part is int8 with its scales.
  const Int8RowSource* int8_rows() const override { return all_int8_ ? this : nullptr; }
  void read_int8_rows(int64_t first, int64_t count, int8_t* out, float* absmax) const override;

 private:
  class Part;
  /// Calls read(part, first row in it, count, rows before) for the parts that hold rows [first, first + count).
  template <class Read>
  void for_parts(int64_t first, int64_t count, const Read& read) const;

  const Checkpoint& checkpoint_;
  std::vector<std::unique_ptr<Part>> parts_;
  int64_t rows_ = 0;
  int64_t columns_ = 0;
  WeightForm form_ = WeightForm::float32;
  bool all_int8_ = true;
  uint64_t stored_bytes_ = 0;
  BytesRead on_read_;
};

}  // namespace octoformer
