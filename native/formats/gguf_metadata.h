// The key-value pairs of a GGUF header.
#pragma once
#include "formats/gguf_cursor.h"
#include "formats/metadata.h"

namespace octoformer {

/// A pair takes at least: 8 bytes of key length, 4 of type, 1 of value.
inline constexpr uint64_t kLeastGgufPairBytes = 13;

/// Reads `count` pairs. Throws INVALID_CHECKPOINT for unknown types, duplicate keys and arrays nested too deeply.
Metadata read_gguf_metadata(GgufCursor& cursor, uint64_t count);

}  // namespace octoformer
