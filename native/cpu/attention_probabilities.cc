#include <algorithm>
#include <limits>
#include <vector>

#include "cpu/aligned_memory.h"
#include "cpu/attention_ops.h"
#include "cpu/attention_pattern.h"
#include "cpu/attention_tasks.h"
#include "cpu/thread_pool.h"

namespace octoformer {

void run_attention_probabilities(const AttentionKernels& kernels, const RowKernels& rows, int threads,
                                 const AttentionArguments& arguments) {
  const AttentionTasks tasks(kernels, arguments);
  // Where each sequence's [heads, count, keys] begins.
  std::vector<float*> begins;
  float* next = arguments.probabilities;
  for (const SequenceSlice& sequence : arguments.sequences) {
    begins.push_back(next);
    next += arguments.heads * sequence.count * arguments.keys(sequence);
  }
  ThreadPool::shared().parallel_for(threads, tasks.size(), [&](int64_t index, int) {
    thread_local AlignedMemory scratch;
    const AttentionTask task = tasks.task(index);
    const AttentionTile& tile = task.tile;
    float* begin = begins[static_cast<size_t>(task.sequence - arguments.sequences.data())];
    const auto out_row = [&](int64_t row) {
      const int64_t token = (tile.first_row + row) / tile.heads_per_kv;
      const int64_t head = task.first_head + (tile.first_row + row) % tile.heads_per_kv;
      return begin + (head * task.sequence->count + token) * tile.keys;
    };
    const auto range_of = [&](int64_t row) { return attended_keys(tile, (tile.first_row + row) / tile.heads_per_kv); };

    const int64_t score_floats = tasks.tile_rows() * kScoreStride;
    scratch.reserve(static_cast<size_t>(score_floats + tasks.workspace_floats()) * sizeof(float),
                    "attention workspace");
    float* scores = reinterpret_cast<float*>(scratch.data());
    const GroupRange groups = attended_groups(tile);
    if (tile.sparse.any()) {  // what is passed over below counts as not attended to
      for (int64_t row = 0; row < tile.rows; ++row) {
        std::fill(out_row(row), out_row(row) + tile.keys, -std::numeric_limits<float>::infinity());
      }
    }
    for (int64_t group = groups.first; group < groups.end; ++group) {
      if (!attends_to_group(tile, group)) continue;
      kernels.scores(tile, group, scores, scores + score_floats);
      for (int64_t row = 0; row < tile.rows; ++row) {
        const KeyRange range = range_of(row);
        const int64_t start = group * kGroupKeys;
        const int64_t first = std::max(range.first, start), end = std::min(range.end, start + kGroupKeys);
        const float* from = scores + row * kScoreStride - start;
        if (first < end && !tile.sparse.any()) std::copy(from + first, from + end, out_row(row) + first);
        if (!tile.sparse.any()) continue;
        const int64_t token = (tile.first_row + row) / tile.heads_per_kv;
        for (int64_t page = first / kPageKeys; page * kPageKeys < end; ++page) {
          const int64_t page_end = std::min((page + 1) * kPageKeys, end);
          if (attended_mask(tile, token, page) == 0) continue;
          std::copy(from + page * kPageKeys, from + page_end, out_row(row) + page * kPageKeys);
        }
      }
    }
    for (int64_t row = 0; row < tile.rows; ++row) {
      const KeyRange range = range_of(row);
      float* out = out_row(row);
      rows.softmax(out + range.first, out + range.first, range.end - range.first);
      std::fill(out, out + range.first, 0.0f);
      std::fill(out + range.end, out + tile.keys, 0.0f);
    }
  });
}

}  // namespace octoformer
