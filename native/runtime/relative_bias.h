// Biases of attention by bucket of distance, as T5 and MPNet have them (RelativeBias in ts/graph/attention_ops.ts).
#pragma once
#include <cstdint>
#include <deque>
#include <vector>

#include "backend/backend.h"
#include "runtime/program.h"

namespace octoformer {

/// The bucket of a key at `distance` (its position less the query's), of `buckets` in all. The logarithm is taken in
/// float32, as PyTorch takes it: at the edges of buckets its rounding decides.
int64_t relative_bucket(int64_t distance, int64_t buckets, const RelativeBias& rule);

/// The rows of tables of buckets spread out by distance. Layers that share a table share its spread, which is kept
/// between runs: a step of decoding computes none.
class RelativeBiasSpreads {
 public:
  /// Distances of sequences of up to `longest` tokens. Valid until the next call.
  DistanceBias find(const RelativeBias& rule, const LinearWeight& table, int64_t longest, Backend& backend);

 private:
  struct Spread {
    RelativeBias rule;
    int64_t longest = 0;
    std::vector<float> values;  // [heads][2 * longest - 1 and padding]
  };

  std::deque<Spread> spreads_;  // one a rule: a model has one or two
};

}  // namespace octoformer
