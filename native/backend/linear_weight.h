// A matrix of weights W [out_features, in_features] in the form and packing that a backend's kernels read.
#pragma once
#include <cstdint>
#include <string>
#include <utility>

namespace octoformer {

/// How the numbers are stored. int8 forms join here (docs/design.md section 3).
enum class WeightForm { float32, bfloat16, float16 };

/// How a product is computed. `float32`: activations stay float32 and stored weights are widened exactly.
/// `bfloat16`: activations are rounded to bfloat16 (nearest even) first, sums are float32; the units for it are used
/// where the machine has them.
enum class ComputeType { float32, bfloat16 };

/// Gives rows of W as float32, already in the order and orientation that the model wants. Called from several threads
/// at once.
class RowSource {
 public:
  virtual ~RowSource() = default;
  /// Writes rows [first, first + count) of W, each `in_features` long, one after another.
  virtual void read_rows(int64_t first, int64_t count, float* out) const = 0;
};

struct LinearWeightDescription {
  std::string name;  // for messages: the first tensor it is made of
  int64_t out_features = 0;
  int64_t in_features = 0;
  WeightForm form = WeightForm::float32;
  ComputeType compute = ComputeType::float32;
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

 private:
  LinearWeightDescription description_;
};

}  // namespace octoformer
