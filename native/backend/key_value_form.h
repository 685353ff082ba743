// How a page keeps keys and values. Plain C++ without library includes: the kernels of every ISA may include it.
#pragma once

namespace octoformer {

/// `bfloat16`: rounded to nearest even. `int8`: absmax (docs/design.md, section 3), with a scale of its own for the key
/// and one for the value of each token and kv head; what attention computes with is q * scale in float32.
enum class KeyValueForm { float32, bfloat16, int8 };

}  // namespace octoformer
