// How the sequences of a batch are shared out where each thread takes some of them through the whole Program by itself.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace octoformer {

/// Token rows [first_token, first_token + tokens) of whole sequences.
struct SequenceGroup {
  int64_t first_token = 0;
  int64_t tokens = 0;
};

/// Groups of neighbours with `most_tokens` in all at most, unless one sequence alone has more; those with the most
/// tokens first, to be taken in this order. None where all threads had better work on the same ops: where groups would
/// be a quarter as large or smaller (each reads all weights), or one thread would have a tenth more to do than its
/// share.
std::vector<SequenceGroup> group_sequences(std::span<const int32_t> lengths, int threads, int64_t most_tokens);

}  // namespace octoformer
