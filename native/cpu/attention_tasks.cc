#include "cpu/attention_tasks.h"

#include <algorithm>

namespace octoformer {
namespace {

/// For each head blocks [head_dim][block] of the matrix's rows, the last one filled up with zeros.
std::vector<float> pack_heads(const ConstMatrixView& matrix, int64_t head_dim, int64_t block) {
  if (matrix.data == nullptr) return {};
  const int64_t blocks = (matrix.rows + block - 1) / block;
  std::vector<float> packed(static_cast<size_t>(blocks * block * matrix.columns));
  for (int64_t row = 0; row < matrix.rows; ++row) {
    for (int64_t column = 0; column < matrix.columns; ++column) {
      const int64_t head = column / head_dim, d = column % head_dim;
      const int64_t at = ((head * blocks + row / block) * head_dim + d) * block + row % block;
      packed[static_cast<size_t>(at)] = matrix.row(row)[column];
    }
  }
  return packed;
}

}  // namespace

// Sparse patterns and terms of positions are rare: their layers widen what pages keep and go on in float32.
AttentionTasks::AttentionTasks(const AttentionKernels& kernels, const AttentionArguments& arguments)
    : arguments_(arguments),
      on_units_(kernels.unit_rows > 0 && arguments.layer.form == KeyValueForm::bfloat16 && !arguments.sparse.any() &&
                arguments.positions.index == nullptr),
      tile_rows_(on_units_ ? kernels.unit_rows : kMaximumTileRows) {
  const int64_t heads_per_kv = arguments.heads / arguments.layer.kv_heads;
  ends_.reserve(arguments.sequences.size());
  int64_t tiles = 0;
  for (const SequenceSlice& sequence : arguments.sequences) {
    const int64_t rows = sequence.count * heads_per_kv;
    tiles += (rows + tile_rows_ - 1) / tile_rows_ * arguments.layer.kv_heads;
    ends_.push_back(tiles);
    int64_t keys = arguments.keys(sequence);
    if (arguments.window > 0 && !arguments.sparse.any()) keys = std::min(keys, 2 * arguments.window);
    products_ += 2.0 * static_cast<double>(sequence.count * arguments.heads) *
                 static_cast<double>(keys * arguments.layer.head_dim);
  }
  if (arguments.positions.index != nullptr) pack_positions();
}

int64_t AttentionTasks::workspace_floats() const {
  const int64_t head_dim = arguments_.layer.head_dim;
  const int64_t floats = on_units_ ? unit_workspace_floats(head_dim)
                                   : attention_workspace_floats(head_dim, arguments_.positions.index != nullptr);
  return (floats + kHeadDimMultiple - 1) / kHeadDimMultiple * kHeadDimMultiple;
}

void AttentionTasks::pack_positions() {
  const PositionTerms& positions = arguments_.positions;
  position_keys_ = pack_heads(positions.keys, arguments_.layer.head_dim, kPageKeys);
  position_queries_ = pack_heads(positions.queries, arguments_.layer.head_dim, kMaximumTileRows);
}

TilePositions AttentionTasks::positions_of(int64_t head) const {
  const PositionTerms& positions = arguments_.positions;
  if (positions.index == nullptr) return {};
  const auto share = [&](const std::vector<float>& packed) {
    return packed.empty() ? nullptr : packed.data() + static_cast<int64_t>(packed.size()) / arguments_.heads * head;
  };
  return {positions.index + positions.reach, positions.reach, share(position_keys_), share(position_queries_)};
}

AttentionTask AttentionTasks::task(int64_t index) const {
  const size_t number = static_cast<size_t>(std::upper_bound(ends_.begin(), ends_.end(), index) - ends_.begin());
  const SequenceSlice& sequence = arguments_.sequences[number];
  index -= number == 0 ? 0 : ends_[number - 1];

  const KeyValueLayer& layer = arguments_.layer;
  const int64_t heads_per_kv = arguments_.heads / layer.kv_heads;
  const int64_t rows = sequence.count * heads_per_kv;
  const int64_t tiles = (rows + tile_rows_ - 1) / tile_rows_;
  const int64_t kv_head = index / tiles;
  const int64_t first_row = (tiles - 1 - index % tiles) * tile_rows_;
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
              .rows = std::min(tile_rows_, rows - first_row),
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
              .sparse = arguments_.sparse,
              .positions = positions_of(first_head),
              .on_units = on_units_,
          },
      .sequence = &sequence,
      .first_head = first_head,
  };
}

}  // namespace octoformer
