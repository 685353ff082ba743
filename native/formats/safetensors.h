// The safetensors format: 8 bytes of header length (little-endian), a JSON header, the data.
// https://github.com/huggingface/safetensors#format
#pragma once
#include <cstddef>
#include <span>
#include <string>

#include "formats/file_header.h"

namespace octoformer {

/// Reads and checks the header of `file`, whose content is `bytes`, as strictly as the reference implementation: the
/// data of the tensors follow one another without overlap and without holes up to the end of the file. A tensor of a
/// dtype that we can't read is listed as `unsupported`. Throws INVALID_CHECKPOINT naming the file and the tensor.
FileHeader read_safetensors_header(const std::string& file, std::span<const std::byte> bytes);

}  // namespace octoformer
