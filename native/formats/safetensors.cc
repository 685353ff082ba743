#include "formats/safetensors.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <string_view>
#include <utility>

#include "backend/error.h"
#include "formats/json.h"
#include "formats/quoted.h"

namespace octoformer {

namespace {

constexpr uint64_t kLengthBytes = 8;

/// The reference implementation's limit (MAX_HEADER_SIZE): far above the header of any model (100,000 tensors take 10
/// MB), low enough that parsing a hostile one does not exhaust memory.
constexpr uint64_t kMaxHeaderBytes = 100'000'000;

/// A tensor's entry takes about 8 values in 60 bytes or more; short texts get some on top.
constexpr size_t kHeaderBytesPerValue = 4;
constexpr size_t kSpareValues = 1024;

/// header -> tensor -> data_offsets -> number, and room for keys that later versions may add.
constexpr int kMaxHeaderDepth = 16;

template <class... Parts>
[[noreturn]] void refuse(const std::string& file, const Parts&... parts) {
  fail(ErrorCode::invalid_checkpoint, file, ": ", parts...);
}

/// What the file seems to be, for files that don't begin as safetensors do.
const char* guess(std::string_view content) {
  if (content.starts_with("PK\x03\x04")) {
    return "; it looks like a PyTorch checkpoint: convert it to safetensors (save_pretrained with safe_serialization)";
  }
  if (content.starts_with("version https://git-lfs")) {
    return "; it is a Git LFS pointer, not the weights: run `git lfs pull`";
  }
  if (content.starts_with("<")) return "; it looks like a web page: download the file itself";
  return "; the file is truncated or no safetensors file";
}

/// Length of the JSON header.
uint64_t header_length(const std::string& file, std::span<const std::byte> bytes) {
  const std::string_view content(reinterpret_cast<const char*>(bytes.data()), std::min<size_t>(bytes.size(), 64));
  if (bytes.size() < kLengthBytes) {
    refuse(file, "has ", bytes.size(), " bytes, too few for the header length of safetensors", guess(content));
  }
  uint64_t length;
  std::memcpy(&length, bytes.data(), sizeof length);
  if (length > bytes.size() - kLengthBytes) {
    refuse(file, "the header's length is given as ", length, " bytes, but the file has only ",
           bytes.size() - kLengthBytes, " after it", guess(content));
  }
  if (length > kMaxHeaderBytes) {
    refuse(file, "the header has ", length, " bytes; the limit is ", kMaxHeaderBytes,
           " (that of the safetensors reference, which keeps a hostile file from exhausting memory)");
  }
  if (length == 0 || content[kLengthBytes] != '{') {
    refuse(file, "the header does not begin with \"{\"", guess(content));
  }
  return length;
}

TensorEncoding encoding_of(std::string_view dtype) {
  for (const TensorEncodingInfo& info : kTensorEncodingTable) {
    if (info.in_safetensors && info.name == dtype) return info.encoding;
  }
  return TensorEncoding::unsupported;
}

/// One entry of the header; `data_bytes` is the size of the file's data. Offsets stay relative to the data.
TensorInfo read_entry(const std::string& file, std::string_view name, const Json& entry, uint64_t data_bytes) {
  TensorInfo tensor;
  tensor.name = name;
  tensor.dtype = entry.at("dtype").as_string();
  tensor.encoding = encoding_of(tensor.dtype);
  tensor.shape = entry.at("shape").as_int64_array(0);
  const std::optional<int64_t> elements = element_count(tensor.shape);
  if (!elements) refuse(file, "tensor ", quoted(name), ": the number of elements of its shape overflows 64 bits");

  const Json& offsets = entry.at("data_offsets");
  if (offsets.as_array().size() != 2) offsets.fail("expected [begin, end]");
  const uint64_t begin = offsets.as_array()[0].as_uint64();
  const uint64_t end = offsets.as_array()[1].as_uint64();
  if (begin > end) refuse(file, "tensor ", quoted(name), ": its data end at ", end, ", before they begin at ", begin);
  if (end > data_bytes) {
    refuse(file, "tensor ", quoted(name), ": its data end at ", end, ", but the file has only ", data_bytes,
           " bytes of data; it is truncated: download it again");
  }
  if (tensor.encoding != TensorEncoding::unsupported) {
    const std::optional<int64_t> size = checked_multiply(*elements, encoding_info(tensor.encoding).block_bytes);
    if (!size || static_cast<uint64_t>(*size) != end - begin) {
      refuse(file, "tensor ", quoted(name), ": ", *elements, " elements of ", tensor.dtype, " don't take the ",
             end - begin, " bytes of its data_offsets");
    }
  }
  tensor.offset = begin;
  tensor.bytes = end - begin;
  return tensor;
}

/// The data must follow one another from 0 to `data_bytes`.
void check_layout(const std::string& file, const std::vector<TensorInfo>& tensors, uint64_t data_bytes) {
  std::vector<size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return std::pair(tensors[a].offset, tensors[a].bytes) < std::pair(tensors[b].offset, tensors[b].bytes);
  });
  uint64_t end = 0;
  for (const size_t index : order) {
    const TensorInfo& tensor = tensors[index];
    if (tensor.offset < end) {
      refuse(file, "tensor ", quoted(tensor.name), ": its data begin at ", tensor.offset,
             " and overlap those of another tensor, which end at ", end);
    }
    if (tensor.offset > end) {
      refuse(file, "tensor ", quoted(tensor.name), ": its data begin at ", tensor.offset,
             ", which leaves a hole after ", end);
    }
    end = tensor.offset + tensor.bytes;
  }
  if (end != data_bytes) {
    refuse(file, "the tensors' data end at ", end, ", but the file has ", data_bytes,
           " bytes of data; header and data don't belong together");
  }
}

}  // namespace

FileHeader read_safetensors_header(const std::string& file, std::span<const std::byte> bytes) {
  const uint64_t length = header_length(file, bytes);
  JsonOptions options;
  options.source = file + ": header";
  options.code = ErrorCode::invalid_checkpoint;
  options.max_depth = kMaxHeaderDepth;
  options.max_bytes = kMaxHeaderBytes;
  options.max_values = length / kHeaderBytesPerValue + kSpareValues;
  const JsonDocument document = JsonDocument::parse(
      std::string(reinterpret_cast<const char*>(bytes.data()) + kLengthBytes, length), std::move(options));

  const uint64_t data_begin = kLengthBytes + length;
  const uint64_t data_bytes = bytes.size() - data_begin;
  FileHeader header;
  for (const JsonMember& member : document.root().members()) {
    if (member.key == "__metadata__") {
      if (member.value.is_null()) continue;
      for (const JsonMember& entry : member.value.members()) {
        header.metadata.push_back({std::string(entry.key), {std::string(entry.value.as_string())}});
      }
    } else {
      header.tensors.push_back(read_entry(file, member.key, member.value, data_bytes));
    }
  }
  check_layout(file, header.tensors, data_bytes);
  for (TensorInfo& tensor : header.tensors) tensor.offset += data_begin;
  return header;
}

}  // namespace octoformer
