#include "formats/gguf.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "formats/gguf_cursor.h"
#include "formats/gguf_metadata.h"
#include "formats/quoted.h"

namespace octoformer {

namespace {

constexpr std::string_view kMagic = "GGUF";
constexpr uint32_t kOldestVersion = 2;  // version 1 had 32-bit counts and was in use for a few weeks of 2023
constexpr uint32_t kNewestVersion = 3;
constexpr uint64_t kDefaultAlignment = 32;
constexpr uint32_t kMaxDimensions = 4;  // GGML_MAX_DIMS

/// A description takes at least: 8 bytes of name length, 4 of dimension count, 4 of type, 8 of offset.
constexpr uint64_t kLeastTensorBytes = 24;

/// Names of ggml's types that are not in kTensorEncodingTable, for messages (enum ggml_type of ggml.h).
struct UnsupportedType {
  int32_t ggml_type;
  std::string_view name;
};
constexpr std::array<UnsupportedType, 13> kUnsupportedTypes = {{{9, "Q8_1"},
                                                                {15, "Q8_K"},
                                                                {16, "IQ2_XXS"},
                                                                {17, "IQ2_XS"},
                                                                {18, "IQ3_XXS"},
                                                                {19, "IQ1_S"},
                                                                {21, "IQ3_S"},
                                                                {22, "IQ2_S"},
                                                                {25, "I16"},
                                                                {29, "IQ1_M"},
                                                                {34, "TQ1_0"},
                                                                {35, "TQ2_0"},
                                                                {40, "NVFP4"}}};

void set_encoding(TensorInfo& tensor, uint32_t ggml_type) {
  for (const TensorEncodingInfo& info : kTensorEncodingTable) {
    if (info.ggml_type >= 0 && static_cast<uint32_t>(info.ggml_type) == ggml_type) {
      tensor.encoding = info.encoding;
      tensor.dtype = info.name;
      return;
    }
  }
  for (const UnsupportedType& type : kUnsupportedTypes) {
    if (static_cast<uint32_t>(type.ggml_type) == ggml_type) tensor.dtype = type.name;
  }
  if (tensor.dtype.empty()) tensor.dtype = "GGML type " + std::to_string(ggml_type);
}

void check_version(GgufCursor& cursor) {
  const auto version = cursor.read<uint32_t>();
  if (version >= kOldestVersion && version <= kNewestVersion) return;
  if (version != 0 && (version & 0xffffu) == 0) {
    cursor.refuse("is a big-endian GGUF file; only little-endian ones can be read");
  }
  cursor.refuse("has GGUF version ", version, "; versions ", kOldestVersion, " and ", kNewestVersion, " can be read");
}

uint64_t alignment_of(GgufCursor& cursor, const Metadata& metadata) {
  const MetadataValue* value = find_metadata(metadata, "general.alignment");
  if (value == nullptr) return kDefaultAlignment;
  const int64_t* alignment = std::get_if<int64_t>(&value->value);
  if (alignment == nullptr || *alignment <= 0 || !std::has_single_bit(static_cast<uint64_t>(*alignment))) {
    cursor.refuse("metadata key \"general.alignment\": must be a power of two, a 32-bit integer");
  }
  return static_cast<uint64_t>(*alignment);
}

/// One description; `offset` stays relative to the data, `bytes` of an unsupported type 0.
TensorInfo read_description(GgufCursor& cursor, uint64_t alignment) {
  TensorInfo tensor;
  tensor.name = cursor.read_string();
  cursor.set_context("tensor " + quoted(tensor.name) + ": ");
  const auto dimensions = cursor.read<uint32_t>();
  if (dimensions > kMaxDimensions) cursor.refuse("has ", dimensions, " dimensions, the limit is ", kMaxDimensions);
  tensor.shape.resize(dimensions);
  for (uint32_t i = 0; i < dimensions; ++i) {
    const auto length = cursor.read<uint64_t>();
    if (length > INT64_MAX) cursor.refuse("dimension ", i, " has length ", length, "; the file is damaged");
    tensor.shape[dimensions - 1 - i] = static_cast<int64_t>(length);  // GGUF stores the innermost first
  }
  set_encoding(tensor, cursor.read<uint32_t>());
  tensor.offset = cursor.read<uint64_t>();
  const std::optional<int64_t> elements = element_count(tensor.shape);
  if (!elements) cursor.refuse("the number of elements of its shape overflows 64 bits");
  if (tensor.offset % alignment != 0) {
    cursor.refuse("its offset ", tensor.offset, " is no multiple of the alignment ", alignment);
  }
  if (tensor.encoding == TensorEncoding::unsupported) return tensor;
  const TensorEncodingInfo& encoding = encoding_info(tensor.encoding);
  if (tensor.columns() % encoding.block_elements != 0) {
    cursor.refuse("its rows have ", tensor.columns(), " elements, no multiple of the ", encoding.block_elements,
                  " elements of a block of ", encoding.name);
  }
  const std::optional<int64_t> bytes = checked_multiply(*elements / encoding.block_elements, encoding.block_bytes);
  if (!bytes) cursor.refuse("the number of bytes of its data overflows 64 bits");
  tensor.bytes = static_cast<uint64_t>(*bytes);
  return tensor;
}

/// Checks that data lie in the file and don't overlap, gives tensors of unsupported types the room up to the next
/// tensor, and makes offsets count from the file's begin.
void place_data(GgufCursor& cursor, std::vector<TensorInfo>& tensors, uint64_t data_begin, uint64_t file_bytes) {
  const uint64_t data_bytes = file_bytes - data_begin;
  std::vector<size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return std::pair(tensors[a].offset, tensors[a].bytes) < std::pair(tensors[b].offset, tensors[b].bytes);
  });
  uint64_t end = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    TensorInfo& tensor = tensors[order[i]];
    cursor.set_context("tensor " + quoted(tensor.name) + ": ");
    if (tensor.offset > data_bytes || tensor.bytes > data_bytes - tensor.offset) {
      cursor.refuse("its ", tensor.bytes, " bytes of data at offset ", tensor.offset, " exceed the ", data_bytes,
                    " bytes of data of the file; it is truncated: download it again");
    }
    if (tensor.offset < end && tensor.bytes != 0) {
      cursor.refuse("its data at offset ", tensor.offset, " overlap those of another tensor, which end at ", end);
    }
    if (tensor.encoding == TensorEncoding::unsupported) {
      const uint64_t next = i + 1 < order.size() ? tensors[order[i + 1]].offset : data_bytes;
      tensor.bytes = std::min(next, data_bytes) - tensor.offset;
    }
    end = std::max(end, tensor.offset + tensor.bytes);
  }
  for (TensorInfo& tensor : tensors) tensor.offset += data_begin;
}

}  // namespace

bool is_gguf(std::span<const std::byte> bytes) {
  return bytes.size() >= kMagic.size() && std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) == 0;
}

FileHeader read_gguf_header(const std::string& file, std::span<const std::byte> bytes) {
  GgufCursor cursor(file, bytes);
  cursor.read<uint32_t>();  // the magic
  check_version(cursor);
  const uint64_t tensor_count = cursor.read_count("tensors", kLeastTensorBytes);
  const uint64_t pair_count = cursor.read_count("key-value pairs", kLeastGgufPairBytes);

  FileHeader header;
  header.metadata = read_gguf_metadata(cursor, pair_count);
  const uint64_t alignment = alignment_of(cursor, header.metadata);
  for (uint64_t i = 0; i < tensor_count; ++i) {
    cursor.set_context("tensor " + std::to_string(i) + ": ");
    header.tensors.push_back(read_description(cursor, alignment));
  }
  std::unordered_set<std::string_view> names;
  for (const TensorInfo& tensor : header.tensors) {
    if (!names.insert(tensor.name).second) {
      cursor.set_context("");
      cursor.refuse("tensor ", quoted(tensor.name), ": occurs twice");
    }
  }
  cursor.set_context("");
  const uint64_t padding = (alignment - cursor.position() % alignment) % alignment;
  if (!header.tensors.empty() && padding > cursor.remaining()) {
    cursor.refuse("the data are missing: the file ends with its header; download it again");
  }
  place_data(cursor, header.tensors, std::min<uint64_t>(cursor.position() + padding, bytes.size()), bytes.size());
  return header;
}

}  // namespace octoformer
