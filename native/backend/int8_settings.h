// How one linear layer computes in int8: every scheme of docs/design.md section 3 as data. The arithmetic is defined by
// native/quantization.
#pragma once
#include <cstdint>
#include <vector>

namespace octoformer {

/// How numbers become int8. `absmax` is symmetric, range [-127, 127]; `zeropoint` affine, range [-128, 127].
enum class Int8Mapping { absmax, zeropoint };

/// What shares a scale (and zero point): the whole matrix, or each row.
enum class Int8Granularity { tensor, row };

/// What is taken out of the int8 product where |a| >= threshold.
enum class OutlierRule {
  column,        // the whole column k, for every row of this call; ranges leave out outlier values only (bitsandbytes)
  whole_column,  // the same, and ranges leave out the whole columns (the paper)
  token,         // that entry alone: a row's result does not depend on the other rows
};

/// What the threshold of outliers counts in.
enum class ThresholdUnit {
  absolute,  // activations as they are
  row_rms,   // root mean squares of the row: at most 1 / threshold^2 of a row's entries can reach it
};

struct Int8Settings {
  Int8Mapping weights = Int8Mapping::absmax;
  Int8Granularity weight_scales = Int8Granularity::row;
  /// So many input features of a row share a scale, the last of a row may be fewer; 0: all of them. Of weight_only, a
  /// multiple of kInt8GroupGranule.
  int64_t group_size = 0;

  /// Activations stay float32 and meet the weights dequantized; what follows does not apply then.
  bool weight_only = false;

  Int8Mapping activations = Int8Mapping::absmax;
  /// `tensor`: one scale for all rows of the call.
  Int8Granularity activation_scales = Int8Granularity::row;
  /// Activations of at least this magnitude are outliers, in float32 unless outliers_are_integers(); 0: none.
  float threshold = 0.0f;
  ThresholdUnit threshold_unit = ThresholdUnit::absolute;
  OutlierRule outliers = OutlierRule::token;
  /// Outliers meet the weights as they were (float32, the paper) instead of dequantized int8 (bitsandbytes). Keeps all
  /// of them beside the int8 ones.
  bool float_outlier_weights = false;
  /// Input features, increasing, that calibration found to be outliers: multiplied in float32 in every row, by weights
  /// kept in bfloat16. They take no part in a row's range.
  std::vector<int64_t> outlier_features;

  /// So many input features, those with the largest weights (but one in kFeaturesPerWideOne at most), are multiplied in
  /// float32 in every row, by weights kept in bfloat16 that take no part in the scales of W's rows: where rows of W
  /// have their largest numbers in the same few features. outlier_features, where given, are taken for them. Absmax
  /// weights with a scale a row only, from float rows.
  int64_t wide_features = 0;

  /// Counts outliers and kept features' entries, by feature, while the model runs.
  bool count_outliers = false;

  bool operator==(const Int8Settings&) const = default;

  /// Whether a row's result depends on the other rows of the call.
  bool looks_across_rows() const {
    if (weight_only) return false;
    return activation_scales == Int8Granularity::tensor || (threshold > 0.0f && outliers != OutlierRule::token);
  }
};

/// Kernels take the weights of so many input features at a time.
inline constexpr int64_t kInt8GroupGranule = 4;

/// Beyond that share of the features bfloat16 weights would be most of what an int8 matrix takes.
inline constexpr int64_t kFeaturesPerWideOne = 32;

/// With u8 activations and s8 weights |sum| <= K * 255 * 128 must stay within int32: the largest K that can never
/// overflow.
inline constexpr int64_t kLargestInt8Depth = 65793;

/// Where both sides have zero points, centered factors reach 255 each: K * 255 * 255 must stay within int32.
inline constexpr int64_t kLargestAffineInt8Depth = 33025;

}  // namespace octoformer
