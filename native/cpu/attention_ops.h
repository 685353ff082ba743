// The ops over paged keys and values: cuts them into tasks for the pool and calls AttentionKernels.
#pragma once
#include "backend/backend.h"
#include "cpu/aligned_memory.h"
#include "cpu/kernel_table.h"

namespace octoformer {

size_t key_value_layer_bytes(int64_t kv_heads, int64_t head_dim, KeyValueForm form);
void run_store_key_value(const KernelTable& kernels, int threads, const StoreKeyValueArguments& arguments);
/// `workspace` serves one call at a time, and is kept between them: a step of decoding allocates nothing.
void run_attention(const AttentionKernels& kernels, int threads, AlignedMemory& workspace,
                   const AttentionArguments& arguments);
/// Fills arguments.probabilities: the plain way, scores first, then a softmax of each row.
void run_attention_probabilities(const AttentionKernels& kernels, const RowKernels& rows, int threads,
                                 const AttentionArguments& arguments);

}  // namespace octoformer
