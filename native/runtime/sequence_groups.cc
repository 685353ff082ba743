#include "runtime/sequence_groups.h"

#include <algorithm>
#include <numeric>

namespace octoformer {
namespace {

/// Groups that a thread gets, so that the last ones even out what threads have to do.
constexpr int64_t kGroupsPerThread = 8;

/// Tokens of the thread that has the most to do, if each takes the next group when it is done with one.
int64_t longest_share(std::span<const SequenceGroup> groups, int threads) {
  std::vector<int64_t> shares(static_cast<size_t>(threads));
  for (const SequenceGroup& group : groups) *std::min_element(shares.begin(), shares.end()) += group.tokens;
  return *std::max_element(shares.begin(), shares.end());
}

}  // namespace

std::vector<SequenceGroup> group_sequences(std::span<const int32_t> lengths, int threads, int64_t most_tokens) {
  const int64_t total = std::accumulate(lengths.begin(), lengths.end(), int64_t{0});
  const int64_t least_tokens = std::max<int64_t>(most_tokens / 4, 1);
  if (total < threads * least_tokens) return {};
  const int64_t wanted = std::clamp(total / (threads * kGroupsPerThread), least_tokens, most_tokens);
  std::vector<SequenceGroup> groups;
  int64_t first_token = 0;
  for (const int32_t length : lengths) {
    if (groups.empty() || groups.back().tokens + length > wanted) groups.push_back({first_token, 0});
    groups.back().tokens += length;
    first_token += length;
  }
  std::stable_sort(groups.begin(), groups.end(),
                   [](const SequenceGroup& a, const SequenceGroup& b) { return a.tokens > b.tokens; });
  if (groups.size() < 2 || longest_share(groups, threads) * threads * 10 > total * 11) return {};
  return groups;
}

}  // namespace octoformer
