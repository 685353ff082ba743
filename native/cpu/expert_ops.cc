#include "cpu/expert_ops.h"

#include <algorithm>
#include <cstring>

#include "cpu/parallel_rows.h"

namespace octoformer {

void run_expert_routing(const RowKernels& kernels, int threads, const ExpertRoutingArguments& arguments) {
  const int64_t count = arguments.logits.columns, chosen = arguments.experts.columns;
  parallel_rows(threads, arguments.logits.rows, count * chosen, [&](int64_t row) {
    thread_local std::vector<float> probabilities;
    thread_local std::vector<int64_t> order;
    probabilities.resize(static_cast<size_t>(count));
    kernels.softmax(arguments.logits.row(row), probabilities.data(), count);
    // One after another the largest of what is left. A comparison with NaN is false, so broken logits still choose
    // experts that exist.
    order.clear();
    for (int64_t slot = 0; slot < chosen; ++slot) {
      int64_t best = -1;
      for (int64_t expert = 0; expert < count; ++expert) {
        if (std::find(order.begin(), order.end(), expert) != order.end()) continue;
        const auto probability = [&](int64_t index) { return probabilities[static_cast<size_t>(index)]; };
        if (best < 0 || probability(expert) > probability(best)) best = expert;
      }
      order.push_back(best);
    }
    float total = 0.0f;
    for (const int64_t expert : order) total += probabilities[static_cast<size_t>(expert)];
    std::sort(order.begin(), order.end());
    for (int64_t slot = 0; slot < chosen; ++slot) {
      const int64_t expert = order[static_cast<size_t>(slot)];
      const float probability = probabilities[static_cast<size_t>(expert)];
      arguments.experts.row(row)[slot] = static_cast<float>(expert);
      arguments.weights.row(row)[slot] = arguments.normalize ? probability / total : probability;
    }
  });
}

void run_weighted_sum(const RowKernels& kernels, int threads, const WeightedSumArguments& arguments) {
  const int64_t pieces = arguments.weights.columns, columns = arguments.out.columns;
  parallel_rows(threads, arguments.out.rows, pieces * columns, [&](int64_t row) {
    const float* residual = arguments.residual.data == nullptr ? nullptr : arguments.residual.row(row);
    kernels.weighted_sum(arguments.input.row(row), arguments.weights.row(row), pieces, residual, arguments.out.row(row),
                         columns);
  });
}

/// A counting sort: stable, so that an expert's rows stay in order.
void ExpertGroups::sort(const GroupedLinearArguments& arguments) {
  const int64_t slots = arguments.experts.columns;
  const auto expert_of = [&](int64_t place) {
    return static_cast<size_t>(arguments.experts.row(place / slots)[place % slots]);
  };
  const int64_t places = arguments.experts.rows * slots;
  starts_.assign(arguments.weights.size() + 1, 0);
  for (int64_t place = 0; place < places; ++place) ++starts_[expert_of(place) + 1];
  for (size_t expert = 1; expert < starts_.size(); ++expert) starts_[expert] += starts_[expert - 1];
  places_.resize(static_cast<size_t>(places));
  std::vector<int64_t> next = starts_;
  for (int64_t place = 0; place < places; ++place) places_[static_cast<size_t>(next[expert_of(place)]++)] = place;
}

LinearArguments ExpertGroups::gather(int threads, const GroupedLinearArguments& arguments, size_t expert) {
  const int64_t* places = places_.data() + starts_[expert];
  const int64_t rows = starts_[expert + 1] - starts_[expert];
  const LinearWeightDescription& shape = arguments.weights[expert]->description();
  const int64_t slots = arguments.experts.columns;
  // All slots of a row read the same columns, unless each has its own.
  const int64_t step = arguments.input.columns == shape.in_features ? 0 : shape.in_features;
  const auto input_of = [&](int64_t row) {
    return arguments.input.row(places[row] / slots) + places[row] % slots * step;
  };
  LinearArguments call;
  call.weight = arguments.weights[expert];
  if (rows == 1) {  // a step of decoding: nothing to bring together
    call.input = {input_of(0), 1, shape.in_features, shape.in_features};
    float* out = arguments.out.row(places[0] / slots) + places[0] % slots * shape.out_features;
    call.out = {out, 1, shape.out_features, shape.out_features};
    return call;
  }
  inputs_.reserve(static_cast<size_t>(rows * shape.in_features) * sizeof(float), "rows of an expert");
  results_.reserve(static_cast<size_t>(rows * shape.out_features) * sizeof(float), "results of an expert");
  auto* inputs = reinterpret_cast<float*>(inputs_.data());
  parallel_rows(threads, rows, shape.in_features, [&](int64_t row) {
    std::memcpy(inputs + row * shape.in_features, input_of(row),
                static_cast<size_t>(shape.in_features) * sizeof(float));
  });
  call.input = {inputs, rows, shape.in_features, shape.in_features};
  call.out = {reinterpret_cast<float*>(results_.data()), rows, shape.out_features, shape.out_features};
  return call;
}

void ExpertGroups::scatter(int threads, const GroupedLinearArguments& arguments, size_t expert,
                           const MatrixView& results) const {
  if (results.rows == 1) return;  // written where it belongs
  const int64_t* places = places_.data() + starts_[expert];
  const int64_t slots = arguments.experts.columns;
  parallel_rows(threads, results.rows, results.columns, [&](int64_t row) {
    float* out = arguments.out.row(places[row] / slots) + places[row] % slots * results.columns;
    std::memcpy(out, results.row(row), static_cast<size_t>(results.columns) * sizeof(float));
  });
}

}  // namespace octoformer
