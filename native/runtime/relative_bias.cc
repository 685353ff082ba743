#include "runtime/relative_bias.h"

#include <algorithm>
#include <cmath>

namespace octoformer {

namespace {
/// Spreads grow in steps: a sequence that grows by a token a run has them computed anew every so many tokens only.
constexpr int64_t kLeastTokens = 128;
}  // namespace

int64_t relative_bucket(int64_t distance, int64_t buckets, const RelativeBias& rule) {
  int64_t first = 0;
  if (rule.bidirectional) {
    buckets /= 2;
    if (distance > 0) first = buckets;
    distance = std::abs(distance);
  } else {
    distance = std::max<int64_t>(-distance, 0);
  }
  const int64_t single = buckets / 2;
  if (distance < single) return first + distance;
  const float ratio = std::log(static_cast<float>(distance) / static_cast<float>(single));
  const auto whole = static_cast<float>(std::log(static_cast<double>(rule.max_distance) / static_cast<double>(single)));
  const auto wider = static_cast<int64_t>(ratio / whole * static_cast<float>(buckets - single));
  return first + std::min(single + wider, buckets - 1);
}

DistanceBias RelativeBiasSpreads::find(const RelativeBias& rule, const LinearWeight& table, int64_t longest,
                                       Backend& backend) {
  auto spread =
      std::find_if(spreads_.begin(), spreads_.end(), [&](const Spread& candidate) { return candidate.rule == rule; });
  if (spread == spreads_.end()) spread = spreads_.insert(spread, Spread{rule, 0, {}});
  const int64_t heads = table.description().in_features;
  if (spread->longest < longest) {
    spread->longest = std::max({longest, 2 * spread->longest, kLeastTokens});
    const int64_t distances = 2 * spread->longest - 1;
    std::vector<int32_t> buckets;
    for (int64_t distance = 1 - spread->longest; distance < spread->longest; ++distance) {
      buckets.push_back(static_cast<int32_t>(relative_bucket(distance, table.description().out_features, rule)));
    }
    std::vector<float> rows(static_cast<size_t>(distances * heads));
    backend.embedding({buckets, &table, 1.0f, false, {rows.data(), distances, heads, heads}});
    spread->values.assign(static_cast<size_t>(heads * (distances + kDistancePadding)), 0.0f);
    for (int64_t head = 0; head < heads; ++head) {
      float* values = spread->values.data() + head * (distances + kDistancePadding);
      for (int64_t i = 0; i < distances; ++i) values[i] = rows[static_cast<size_t>(i * heads + head)];
    }
  }
  return {spread->values.data(), 2 * spread->longest - 1 + kDistancePadding, spread->longest - 1};
}

}  // namespace octoformer
