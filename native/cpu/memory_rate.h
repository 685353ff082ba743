// What the memory gives: the limit of decoding, which reads every weight once for each token.
#pragma once
#include <cstdint>

namespace octoformer {

/// Bytes a second that `threads` (0: default_threads()) read together from memory that no cache holds, each its own
/// part, in one, four or eight runs of addresses at a time, whichever gives most: medians of passes over `bytes` of
/// memory for about `seconds` (at least three passes of each). Takes `bytes` of memory for that time. Throws
/// INVALID_ARGUMENT, OUT_OF_MEMORY.
double measure_memory_rate(int threads, double seconds, int64_t bytes = int64_t{512} << 20);

}  // namespace octoformer
