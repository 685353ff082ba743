// The attention kernels of an ISA as their table.
#pragma once
#include "cpu/attention_kernels.h"
#include "cpu/kernels/attention.h"
#if defined(OCTOFORMER_TILES)
#include "cpu/kernels/attention_amx.h"
#elif defined(OCTOFORMER_BFLOAT16_ATTENTION)
#include "cpu/kernels/attention_dots.h"
#endif

namespace octoformer {
namespace {

#if defined(OCTOFORMER_TILES) || defined(OCTOFORMER_BFLOAT16_ATTENTION)
void attend(const AttentionTile& tile, int64_t first_group, int64_t group_end, float* state, float* workspace) {
  const auto kernel = tile.on_units ? attend_on_units : attend_tile;
  kernel(tile, first_group, group_end, state, workspace);
}
void score_group(const AttentionTile& tile, int64_t group, float* scores, float* workspace) {
  const auto kernel = tile.on_units ? score_on_units : score_tile;
  kernel(tile, group, scores, workspace);
}
void attend_whole(const AttentionTile* tiles, int64_t count, float* workspace) {
  const auto kernel = tiles->on_units ? attend_whole_on_units : attend_whole_tiles;
  kernel(tiles, count, workspace);
}
constexpr AttentionKernels kAttentionKernels = {attend,           attend_whole, merge_states,
                                                finish_attention, score_group,  kUnitRows};
#else
constexpr AttentionKernels kAttentionKernels = {attend_tile,      attend_whole_tiles, merge_states,
                                                finish_attention, score_tile,         0};
#endif

}  // namespace
}  // namespace octoformer
