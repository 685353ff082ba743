#include "runtime/find_tables.h"

#include <variant>
#include <vector>

namespace octoformer {

void find_tables(CompiledModel& model) {
  std::vector<WeightDescription>& weights = model.main.program.weights;
  std::vector<bool> multiplied(weights.size());
  const auto visit = [&](const Op& op) {
    if (const auto* linear = std::get_if<LinearOp>(&op)) multiplied[static_cast<size_t>(linear->weight)] = true;
    if (const auto* experts = std::get_if<GroupedLinearOp>(&op)) {
      for (const int32_t weight : experts->weights) multiplied[static_cast<size_t>(weight)] = true;
    }
  };
  for (const Op& op : model.main.program.ops) visit(op);
  if (model.encoder) {
    for (const Op& op : model.encoder->program.ops) visit(op);
  }
  for (size_t i = 0; i < weights.size(); ++i) {
    weights[i].table = weights[i].role == WeightRole::linear && !multiplied[i];
  }
}

}  // namespace octoformer
