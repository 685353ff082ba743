// A matrix of weights W [out_features, in_features] in the form and packing that a backend's kernels read.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "backend/int8_settings.h"

namespace octoformer {

/// How the numbers are stored.
enum class WeightForm { float32, bfloat16, float16, int8 };

/// How a product is computed. `float32`: activations stay float32 and stored weights are widened exactly.
/// `bfloat16`: activations are rounded to bfloat16 (nearest even) first, sums are float32; the units for it are used
/// where the machine has them.
enum class ComputeType { float32, bfloat16 };

/// W as a checkpoint has it in int8 with one scale a row (bitsandbytes' `weight` and `SCB`): w = q * (absmax / 127).
class Int8RowSource {
 public:
  virtual ~Int8RowSource() = default;
  /// Writes rows [first, first + count), each `in_features` long, and their largest magnitudes.
  virtual void read_int8_rows(int64_t first, int64_t count, int8_t* out, float* absmax) const = 0;
};

/// Gives rows of W as float32, already in the order and orientation that the model wants. Called from several threads
/// at once.
class RowSource {
 public:
  virtual ~RowSource() = default;
  /// Writes rows [first, first + count) of W, each `in_features` long, one after another.
  virtual void read_rows(int64_t first, int64_t count, float* out) const = 0;
  /// The same rows where they are int8 with one scale a row already, else null.
  virtual const Int8RowSource* int8_rows() const { return nullptr; }
};

/// Rows of W as the int8 form keeps them: w = (q - zero_point) * scale. A row has as many scales as groups
/// (Int8Settings::group_size).
struct Int8Rows {
  std::vector<int8_t> values;       // [rows, in_features]
  std::vector<float> scale;         // [rows, groups]
  std::vector<int32_t> zero_point;  // [rows], or empty: all 0
};

/// What a linear weight that counts (Int8Settings::count_outliers) has seen since it was loaded.
struct OutlierCounts {
  uint64_t rows = 0;                         // of activations
  std::vector<uint64_t> entries_by_feature;  // [in_features]: entries multiplied in float
};

struct LinearWeightDescription {
  std::string name;  // for messages: the first tensor it is made of
  int64_t out_features = 0;
  int64_t in_features = 0;
  WeightForm form = WeightForm::float32;
  ComputeType compute = ComputeType::float32;
  Int8Settings int8{};  // of the form int8
  /// Nothing is multiplied with it: a table whose rows are looked up (Backend::embedding).
  bool table = false;

  bool operator==(const LinearWeightDescription&) const = default;
};

/// Opaque to the runtime; each backend derives its own.
class LinearWeight {
 public:
  explicit LinearWeight(LinearWeightDescription description) : description_(std::move(description)) {}
  virtual ~LinearWeight() = default;
  LinearWeight(const LinearWeight&) = delete;
  LinearWeight& operator=(const LinearWeight&) = delete;

  const LinearWeightDescription& description() const { return description_; }
  virtual uint64_t bytes() const = 0;
  /// Rows [first, first + count), exactly as quantized. Throws INVALID_ARGUMENT for a weight of another form.
  virtual Int8Rows int8_rows(int64_t first, int64_t count) const;
  /// Input features, increasing, that are multiplied in float32 in every row (Int8Settings::outlier_features, or those
  /// that wide_features chose); empty for weights of other forms.
  virtual std::span<const int64_t> kept_features() const { return {}; }
  /// All memory that packing filled, in the order that Backend::adopt_linear wants it back; empty where the backend
  /// can't do that. As long as the weight.
  virtual std::vector<std::span<const std::byte>> sections() const { return {}; }
  /// Empty for a weight that does not count.
  virtual OutlierCounts outlier_counts() const { return {}; }

 private:
  LinearWeightDescription description_;
};

}  // namespace octoformer
