#include <algorithm>
#include <cmath>
#include <numeric>

#include "reference/reference_backend.h"

namespace octoformer {

void ReferenceBackend::expert_routing(const ExpertRoutingArguments& arguments) {
  const auto count = static_cast<size_t>(arguments.logits.columns);
  const auto chosen = static_cast<size_t>(arguments.experts.columns);
  for (int64_t row = 0; row < arguments.logits.rows; ++row) {
    const float* logits = arguments.logits.row(row);
    double total = 0;
    for (size_t expert = 0; expert < count; ++expert) total += std::exp(static_cast<double>(logits[expert]));
    std::vector<size_t> order(count);
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return logits[a] > logits[b]; });
    std::sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(chosen));
    double share = 0;
    for (size_t slot = 0; slot < chosen; ++slot) share += std::exp(static_cast<double>(logits[order[slot]]));
    for (size_t slot = 0; slot < chosen; ++slot) {
      const double probability = std::exp(static_cast<double>(logits[order[slot]]));
      arguments.experts.row(row)[slot] = static_cast<float>(order[slot]);
      arguments.weights.row(row)[slot] = static_cast<float>(probability / (arguments.normalize ? share : total));
    }
  }
}

/// Every slot of every row by itself.
void ReferenceBackend::grouped_linear(const GroupedLinearArguments& arguments) {
  for (int64_t row = 0; row < arguments.experts.rows; ++row) {
    for (int64_t slot = 0; slot < arguments.experts.columns; ++slot) {
      const LinearWeight& weight = *arguments.weights[static_cast<size_t>(arguments.experts.row(row)[slot])];
      const LinearWeightDescription& shape = weight.description();
      const bool shared = arguments.input.columns == shape.in_features;
      LinearArguments call;
      call.input = {arguments.input.row(row) + (shared ? 0 : slot * shape.in_features), 1, shape.in_features,
                    shape.in_features};
      call.weight = &weight;
      call.out = {arguments.out.row(row) + slot * shape.out_features, 1, shape.out_features, shape.out_features};
      linear(call);
    }
  }
}

void ReferenceBackend::weighted_sum(const WeightedSumArguments& arguments) {
  const int64_t columns = arguments.out.columns;
  for (int64_t row = 0; row < arguments.out.rows; ++row) {
    for (int64_t column = 0; column < columns; ++column) {
      double sum = arguments.residual.data == nullptr ? 0.0 : static_cast<double>(arguments.residual.row(row)[column]);
      for (int64_t piece = 0; piece < arguments.weights.columns; ++piece) {
        sum +=
            static_cast<double>(arguments.weights.row(row)[piece]) * arguments.input.row(row)[piece * columns + column];
      }
      arguments.out.row(row)[column] = static_cast<float>(sum);
    }
  }
}

}  // namespace octoformer
