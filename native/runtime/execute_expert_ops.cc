// The ops of a mixture of experts as calls of the backend.
#include "backend/error.h"
#include "runtime/chunk_executor.h"

namespace octoformer {

void ChunkExecutor::execute(const ExpertRoutingOp& op, RunResult&) {
  backend_.expert_routing({view(op.logits), op.normalize, view(op.experts), view(op.weights)});
}

void ChunkExecutor::execute(const GroupedLinearOp& op, RunResult&) {
  const ConstMatrixView experts = view(op.experts);
  const auto count = static_cast<float>(op.weights.size());
  for (int64_t row = 0; row < experts.rows; ++row) {
    for (int64_t slot = 0; slot < experts.columns; ++slot) {
      const float expert = experts.row(row)[slot];
      if (expert >= 0.0f && expert < count && expert == static_cast<float>(static_cast<int32_t>(expert))) continue;
      fail(ErrorCode::internal, "grouped_linear: token row ", first_token_ + row, " chose expert ", expert, " of ",
           op.weights.size());
    }
  }
  expert_weights_.clear();
  for (const int32_t weight : op.weights) expert_weights_.push_back(linear(weight));
  backend_.grouped_linear({view(op.input), experts, expert_weights_, view(op.out)});
}

void ChunkExecutor::execute(const WeightedSumOp& op, RunResult&) {
  WeightedSumArguments arguments;
  arguments.input = view(op.input);
  arguments.weights = view(op.weights);
  if (op.residual) arguments.residual = view(*op.residual);
  arguments.out = view(op.out);
  backend_.weighted_sum(arguments);
}

}  // namespace octoformer
