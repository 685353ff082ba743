// The attention kernels of an ISA as their table.
#pragma once
#include "cpu/attention_kernels.h"
#include "cpu/kernels/attention.h"

namespace octoformer {
namespace {

constexpr AttentionKernels kAttentionKernels = {attend_tile, merge_states, finish_attention, score_group};

}  // namespace
}  // namespace octoformer
