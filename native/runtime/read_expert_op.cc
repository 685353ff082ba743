#include "runtime/read_op.h"

namespace octoformer {

void read_op(OpReader& reader, ExpertRoutingOp& op) {
  op.logits = reader.value("logits");
  if (const Json* normalize = reader.optional("normalize")) op.normalize = normalize->as_bool();
  op.experts = reader.value("experts");
  op.weights = reader.value("weights");
}

void read_op(OpReader& reader, GroupedLinearOp& op) {
  op.input = reader.value("input");
  op.experts = reader.value("experts");
  const Json& weights = reader.required("weights");
  for (const Json& weight : weights.as_array()) op.weights.push_back(reader.as_matrix(weight));
  if (op.weights.empty()) weights.fail("there must be a weight for each expert");
  op.out = reader.value("out");
}

void read_op(OpReader& reader, WeightedSumOp& op) {
  op.input = reader.value("input");
  op.weights = reader.value("weights");
  op.residual = reader.optional_value("residual");
  op.out = reader.value("out");
}

}  // namespace octoformer
