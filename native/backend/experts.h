// What the ops of a mixture of experts take (Shazeer et al., arXiv:1701.06538; Jiang et al., arXiv:2401.04088, section
// 2).
#pragma once
#include <cstdint>
#include <span>

#include "backend/linear_weight.h"
#include "backend/matrix.h"

namespace octoformer {

/// For each row the `experts.columns` largest of its softmaxed logits; of equal ones the expert with the lower number.
/// They are given in the order of their numbers, whatever their weights: that is the order in which their results are
/// summed.
struct ExpertRoutingArguments {
  ConstMatrixView logits;  // [rows, number of experts]
  bool normalize = false;  // divide the chosen probabilities by their sum
  MatrixView experts;      // [rows, chosen]: numbers of experts, as floats
  MatrixView weights;      // [rows, chosen]: their probabilities
};

/// A linear layer whose weight each row chooses: slot j of a row is multiplied with the weight of expert experts(row,
/// j). A weight that no row chose is not read.
struct GroupedLinearArguments {
  /// [rows, in_features], which all slots of a row read, or [rows, slots * in_features].
  ConstMatrixView input;
  ConstMatrixView experts;  // [rows, slots]: whole numbers from 0 to below weights.size(), checked by the caller
  std::span<const LinearWeight* const> weights;  // one an expert, all of the same shape
  MatrixView out;                                // [rows, slots * out_features]
};

/// out = residual + weights(row, 0) * input(row)[piece 0] + weights(row, 1) * input(row)[piece 1] + ..., the products
/// summed in this order, and added to the residual at last.
struct WeightedSumArguments {
  ConstMatrixView input;     // [rows, pieces * out.columns]
  ConstMatrixView weights;   // [rows, pieces], at least one
  ConstMatrixView residual;  // data null: none. May be the same memory as `out`.
  MatrixView out;
};

}  // namespace octoformer
