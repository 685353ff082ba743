// From stored numbers to float32: widening of halves, conversion of doubles and integers, and ggml's block formats.
#pragma once
#include <cstddef>
#include <cstdint>

#include "formats/tensor_encoding.h"

namespace octoformer {

/// Writes `elements` floats (a multiple of the encoding's block_elements) from the blocks at `blocks`, which need not
/// be aligned. `encoding` is one of the table's. Block values are computed in float32, in the order of ggml's reference
/// (dequantize_row_* of ggml-quants.c): the same bits.
void dequantize(TensorEncoding encoding, const std::byte* blocks, int64_t elements, float* out);

}  // namespace octoformer
