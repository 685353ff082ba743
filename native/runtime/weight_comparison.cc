#include "runtime/weight_comparison.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "backend/error.h"
#include "runtime/weight_source.h"

namespace octoformer {

namespace {

/// Numbers in a block: large enough that the pool's threads are worth waking, small beside any weight that matters.
constexpr int64_t kBlockNumbers = 1 << 18;

}  // namespace

std::vector<WeightDifference> compare_weight(Model& model, size_t index, const Checkpoint& checkpoint,
                                             const std::atomic<bool>* abort) {
  if (index >= model.weights().size()) fail(ErrorCode::invalid_argument, "there is no weight ", index);
  const WeightDescription& description = model.weight_descriptions()[index];
  const WeightSource source(description, checkpoint);
  const int64_t columns = source.columns();
  const int64_t block = std::max<int64_t>(kBlockNumbers / std::max<int64_t>(columns, 1), 1);
  std::vector<WeightDifference> differences;
  std::vector<float> stored, kept;
  std::vector<int32_t> rows;
  int64_t first = 0;
  for (size_t part = 0; part < description.parts.size(); ++part) {
    WeightDifference& difference = differences.emplace_back();
    const int64_t end = first + source.part_rows(part);
    for (; first < end; first = std::min(first + block, end)) {
      if (abort != nullptr && abort->load(std::memory_order_relaxed)) {
        fail(ErrorCode::aborted, "the comparison was aborted at ", description.name);
      }
      rows.resize(static_cast<size_t>(std::min(block, end - first)));
      std::iota(rows.begin(), rows.end(), static_cast<int32_t>(first));
      stored.resize(rows.size() * static_cast<size_t>(columns));
      kept.resize(stored.size());
      source.read_rows(first, static_cast<int64_t>(rows.size()), stored.data());
      model.read_weight(index, rows, kept.data());
      for (size_t i = 0; i < stored.size(); ++i) {
        const double value = stored[i], error = kept[i] - value;
        difference.squared_error += error * error;
        difference.squared_norm += value * value;
        difference.largest_error = std::max(difference.largest_error, std::fabs(error));
        difference.largest_stored = std::max(difference.largest_stored, std::fabs(value));
      }
    }
  }
  return differences;
}

}  // namespace octoformer
