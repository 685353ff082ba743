// Which ops of a Program hand rows to int8 layers in quantized form: a norm or an activation that only int8 layers read
// quantizes its rows as it makes them, and layers that read the same value share what the first of them has quantized.
#pragma once
#include <cstdint>
#include <functional>
#include <vector>

#include "runtime/compiler.h"

namespace octoformer {

/// What one op has to do with it.
struct RowQuantization {
  int32_t slot = -1;   // index of the QuantizedRows that it fills or reads; -1: none
  bool fills = false;  // quantizes into the slot: a linear op before it multiplies, others instead of writing their out
  int32_t reader = -1;  // of an op that fills it without reading it: a weight that does
  // Of a linear op whose results only linear ops read in this form: the slot that they go to, and one of their weights.
  int32_t out_slot = -1, out_reader = -1;
  // Of a linear op whose results only the next op reads, a gated activation that fills a slot: both can be one call. Of
  // that gated activation.
  bool gates_next = false, gated_before = false;
};

/// One entry an op. `share(left, right)`: whether the rows quantized for one weight (an index of the Program) serve the
/// other; for a weight with itself, whether it reads quantized rows at all. Slots in use at a time are different ones.
std::vector<RowQuantization> plan_row_quantization(const CompiledProgram& compiled,
                                                   const std::function<bool(int32_t, int32_t)>& share);

}  // namespace octoformer
