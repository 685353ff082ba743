#include "cpu/int8_weight_checks.h"

#include "backend/error.h"
#include "backend/int8_settings.h"

namespace octoformer {

void check_int8_settings(const LinearWeightDescription& description) {
  const Int8Settings& settings = description.int8;
  const bool both_affine = settings.weights == Int8Mapping::zeropoint && settings.activations == Int8Mapping::zeropoint;
  const int64_t largest = both_affine ? kLargestAffineInt8Depth : kLargestInt8Depth;
  if (description.in_features > largest) {
    fail(ErrorCode::invalid_argument, description.name, ": in_features ", description.in_features, " exceeds ", largest,
         ", beyond which the int32 sums of int8 products could overflow; keep this weight in float");
  }
  if (!(settings.threshold >= 0.0f)) {
    fail(ErrorCode::invalid_argument, description.name, ": the int8 outlier threshold is ", settings.threshold,
         "; it must be 0 (none) or more");
  }
  int64_t last = -1;
  for (const int64_t feature : settings.outlier_features) {
    if (feature <= last || feature >= description.in_features) {
      fail(ErrorCode::invalid_argument, description.name,
           ": int8 outlier_features must increase and lie below in_features ", description.in_features, ", found ",
           feature, " after ", last);
    }
    last = feature;
  }
  if (settings.weight_only && settings.weights != Int8Mapping::absmax) {
    fail(ErrorCode::unsupported_option, description.name,
         ": int8 weights with zero points need int8 activations; take weights 'absmax' with weight_only");
  }
  if (settings.group_size < 0 || settings.group_size % kInt8GroupGranule != 0) {
    fail(ErrorCode::invalid_argument, description.name, ": the int8 group_size is ", settings.group_size,
         "; it must be 0 (a scale a row) or a multiple of ", kInt8GroupGranule);
  }
  if (settings.group_size > 0 && (!settings.weight_only || settings.weight_scales != Int8Granularity::row)) {
    fail(ErrorCode::unsupported_option, description.name, ": int8 weights with a scale for every ", settings.group_size,
         " inputs need float32 activations; take group_size with weight_only and weight_scales 'row'");
  }
  if (settings.weight_only && (settings.float_outlier_weights || !settings.outlier_features.empty())) {
    fail(ErrorCode::invalid_argument, description.name,
         ": weight_only int8 has no outliers; leave out float_outlier_weights and outlier_features");
  }
  if (settings.wide_features > 0 && (settings.weight_only || settings.weights != Int8Mapping::absmax ||
                                     settings.weight_scales != Int8Granularity::row)) {
    fail(ErrorCode::unsupported_option, description.name,
         ": wide_features need absmax weights with a scale a row and int8 activations; leave them out");
  }
}

void check_int8_rows(const LinearWeightDescription& description, const RowSource& rows) {
  const Int8Settings& settings = description.int8;
  if (rows.int8_rows() == nullptr) return;
  if (settings.weights != Int8Mapping::absmax || settings.weight_scales != Int8Granularity::row ||
      settings.group_size > 0) {
    fail(ErrorCode::unsupported_option, description.name,
         ": the checkpoint has this weight in int8 with one absmax scale a row; weights of another mapping need the "
         "unquantized checkpoint");
  }
  if (settings.float_outlier_weights) {
    fail(ErrorCode::unsupported_option, description.name,
         ": the checkpoint has this weight in int8 only; outliers can't meet weights in float, use the unquantized "
         "checkpoint or dequantized outlier weights");
  }
  if (settings.wide_features > 0) {
    fail(ErrorCode::unsupported_option, description.name,
         ": the checkpoint has this weight in int8 only, with scales that no feature is left out of; leave out "
         "wide_features, or use the unquantized checkpoint");
  }
}

}  // namespace octoformer
