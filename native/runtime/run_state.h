// What all parts of a run read, however it is cut.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "runtime/encoded_sequence.h"
#include "runtime/run_request.h"

namespace octoformer {

struct RunState {
  struct Sequence {
    int64_t first_token = 0;
    int64_t count = 0;
    int64_t past = 0;
    size_t first_page = 0;  // in page_addresses
    size_t pages = 0;
  };
  const RunRequest* request = nullptr;
  std::span<const EncodedSequence* const> encoded;
  std::vector<Sequence> sequences;
  std::vector<std::byte*> page_addresses;
  /// Whether sequences have pages of all layers. Else each chunk has whole sequences, whose keys and values are wanted
  /// until the next layer only: the chunk keeps those of one layer in its own memory.
  bool keeps_pages = true;
  std::vector<int32_t> positions;
  std::vector<int32_t> token_types;
};

/// Throws ABORTED.
void refuse_aborted(const RunRequest& request);

}  // namespace octoformer
