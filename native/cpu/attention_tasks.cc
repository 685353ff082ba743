#include "cpu/attention_tasks.h"

#include <algorithm>

namespace octoformer {

GroupRange attended_groups(const AttentionTile& tile) {
  // Ranges move up with the token, so the first row has the first key and the last row the last one.
  const KeyRange first = attended_keys(tile, tile.first_row / tile.heads_per_kv);
  const KeyRange last = attended_keys(tile, (tile.first_row + tile.rows - 1) / tile.heads_per_kv);
  return {first.first / kGroupKeys, (last.end + kGroupKeys - 1) / kGroupKeys};
}

AttentionTasks::AttentionTasks(const AttentionArguments& arguments) : arguments_(arguments) {
  const int64_t heads_per_kv = arguments.heads / arguments.layer.kv_heads;
  ends_.reserve(arguments.sequences.size());
  int64_t tiles = 0;
  for (const SequenceSlice& sequence : arguments.sequences) {
    const int64_t rows = sequence.count * heads_per_kv;
    tiles += (rows + kMaximumTileRows - 1) / kMaximumTileRows * arguments.layer.kv_heads;
    ends_.push_back(tiles);
    int64_t keys = arguments.keys(sequence);
    if (arguments.window > 0) keys = std::min(keys, 2 * arguments.window);
    products_ += 2.0 * static_cast<double>(sequence.count * arguments.heads) *
                 static_cast<double>(keys * arguments.layer.head_dim);
  }
}

AttentionTask AttentionTasks::task(int64_t index) const {
  const size_t number = static_cast<size_t>(std::upper_bound(ends_.begin(), ends_.end(), index) - ends_.begin());
  const SequenceSlice& sequence = arguments_.sequences[number];
  index -= number == 0 ? 0 : ends_[number - 1];

  const KeyValueLayer& layer = arguments_.layer;
  const int64_t heads_per_kv = arguments_.heads / layer.kv_heads;
  const int64_t rows = sequence.count * heads_per_kv;
  const int64_t tiles = (rows + kMaximumTileRows - 1) / kMaximumTileRows;
  const int64_t kv_head = index / tiles;
  const int64_t first_row = (tiles - 1 - index % tiles) * kMaximumTileRows;
  const int64_t first_head = kv_head * heads_per_kv;
  const DistanceBias& bias = arguments_.distance_bias;
  return {
      .tile =
          {
              .query = arguments_.query.row(sequence.first_row) + first_head * layer.head_dim,
              .query_stride = arguments_.query.stride,
              .out = arguments_.out.row(sequence.first_row) + first_head * layer.head_dim,
              .out_stride = arguments_.out.stride,
              .pages = sequence.pages.data(),
              .form = layer.form,
              .head_offset = layer.page_offset + head_offset(layer.form, kv_head, layer.head_dim),
              .slopes = arguments_.alibi_slopes == nullptr ? nullptr : arguments_.alibi_slopes + first_head,
              .first_row = first_row,
              .rows = std::min(kMaximumTileRows, rows - first_row),
              .heads_per_kv = heads_per_kv,
              .head_dim = layer.head_dim,
              .past = sequence.past,
              .keys = arguments_.keys(sequence),
              .window = arguments_.window,
              .scale = arguments_.scale,
              .softcap = arguments_.softcap,
              .causal = arguments_.causal,
              .bfloat16_slopes = arguments_.alibi_bfloat16,
              .distance_bias = bias.values == nullptr ? nullptr : bias.values + first_head * bias.stride + bias.zero,
              .distance_stride = bias.stride,
          },
      .sequence = &sequence,
      .first_head = first_head,
  };
}

}  // namespace octoformer
