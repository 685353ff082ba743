// The GGUF format, versions 2 and 3, little-endian: counts, key-value pairs, tensor descriptions, aligned data.
// https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
#pragma once
#include <cstddef>
#include <span>
#include <string>

#include "formats/file_header.h"

namespace octoformer {

/// Whether the content begins with GGUF's magic.
bool is_gguf(std::span<const std::byte> bytes);

/// Reads and checks the header of `file`, whose content is `bytes`. A tensor of a type that we can't read is listed as
/// `unsupported`. Throws INVALID_CHECKPOINT naming the file and the key or tensor.
FileHeader read_gguf_header(const std::string& file, std::span<const std::byte> bytes);

}  // namespace octoformer
