#include "formats/checkpoint.h"

#include <cmath>
#include <cstring>
#include <unordered_set>
#include <utility>

#include "backend/error.h"
#include "formats/dequantize.h"
#include "formats/gguf.h"
#include "formats/mapped_file.h"
#include "formats/quoted.h"
#include "formats/safetensors.h"

namespace octoformer {

namespace {

const char* format_name(Checkpoint::Format format) {
  return format == Checkpoint::Format::gguf ? "GGUF" : "safetensors";
}

/// A GGUF that was split says in how many parts (llama.cpp's gguf-split); its tensors are spread over all of them.
void check_gguf_parts(const Metadata& metadata, std::span<const std::string> files) {
  const MetadataValue* value = find_metadata(metadata, "split.count");
  const int64_t* parts = value != nullptr ? std::get_if<int64_t>(&value->value) : nullptr;
  if (parts != nullptr && *parts > static_cast<int64_t>(files.size())) {
    fail(ErrorCode::invalid_checkpoint, files[0], ": is one of ", *parts, " parts of a GGUF, but ", files.size(),
         " of them were given; open all of them together");
  }
}

}  // namespace

Checkpoint::~Checkpoint() = default;

std::shared_ptr<Checkpoint> Checkpoint::open(std::span<const std::string> files) {
  if (files.empty()) fail(ErrorCode::invalid_argument, "a checkpoint needs at least one file, the list is empty");
  const std::shared_ptr<Checkpoint> checkpoint(new Checkpoint);
  checkpoint->files_.assign(files.begin(), files.end());
  std::unordered_set<std::string> keys;
  for (size_t i = 0; i < files.size(); ++i) {
    auto mapped = std::make_unique<MappedFile>(files[i]);
    const Format format = is_gguf(mapped->bytes()) ? Format::gguf : Format::safetensors;
    if (i == 0) checkpoint->format_ = format;
    if (format != checkpoint->format_) {
      fail(ErrorCode::invalid_checkpoint, files[i], ": is a ", format_name(format), " file, but ", files[0], " is ",
           format_name(checkpoint->format_), "; the files of a checkpoint must be of one format");
    }
    FileHeader header = format == Format::gguf ? read_gguf_header(files[i], mapped->bytes())
                                               : read_safetensors_header(files[i], mapped->bytes());
    for (TensorInfo& tensor : header.tensors) {
      tensor.file = i;
      checkpoint->tensors_.push_back(std::move(tensor));
    }
    for (MetadataEntry& entry : header.metadata) {
      if (keys.insert(entry.key).second) checkpoint->metadata_.push_back(std::move(entry));
    }
    checkpoint->mapped_.push_back(std::move(mapped));
  }
  if (checkpoint->format_ == Format::gguf) check_gguf_parts(checkpoint->metadata_, files);

  checkpoint->by_name_.reserve(checkpoint->tensors_.size());
  for (size_t i = 0; i < checkpoint->tensors_.size(); ++i) {
    const TensorInfo& tensor = checkpoint->tensors_[i];
    const auto [first, is_new] = checkpoint->by_name_.emplace(tensor.name, i);
    if (!is_new) {
      fail(ErrorCode::invalid_checkpoint, checkpoint->file_of(tensor), ": tensor ", quoted(tensor.name), ": is in ",
           checkpoint->file_of(checkpoint->tensors_[first->second]),
           " too; remove the file that does not belong to the checkpoint");
    }
  }
  return checkpoint;
}

const TensorInfo* Checkpoint::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &tensors_[found->second];
}

const TensorInfo& Checkpoint::at(std::string_view name) const {
  const TensorInfo* tensor = find(name);
  if (tensor == nullptr) {
    fail(ErrorCode::missing_weight, files_[0], files_.size() > 1 ? " and its other shards" : "",
         ": there is no tensor ", quoted(name), " among the ", tensors_.size(),
         " tensors; does the checkpoint belong to this model?");
  }
  return *tensor;
}

std::span<const std::byte> Checkpoint::bytes(const TensorInfo& tensor) const {
  return mapped_[tensor.file]->bytes().subspan(tensor.offset, tensor.bytes);
}

void Checkpoint::release(const TensorInfo& tensor) const { mapped(tensor.file).release(bytes(tensor)); }

void Checkpoint::read_rows(const TensorInfo& tensor, int64_t first, int64_t count, float* out) const {
  if (tensor.encoding == TensorEncoding::unsupported) {
    fail(ErrorCode::invalid_checkpoint, file_of(tensor), ": tensor ", quoted(tensor.name), ": dtype ", tensor.dtype,
         " can't be read; convert the checkpoint to F32, F16, BF16 or a supported GGUF type (Q8_0, Q4_0 ... Q6_K, "
         "IQ4_NL, IQ4_XS, "
         "MXFP4)");
  }
  const int64_t rows = tensor.rows();
  if (first < 0 || count < 0 || count > rows - first) {
    fail(ErrorCode::invalid_argument, file_of(tensor), ": tensor ", quoted(tensor.name), ": rows ", first, " to ",
         first, " + ", count, " were asked for, it has ", rows);
  }
  const TensorEncodingInfo& encoding = encoding_info(tensor.encoding);
  const int64_t row_bytes = tensor.columns() / encoding.block_elements * encoding.block_bytes;
  if (row_bytes == 0 || count == 0) return;
  read(tensor, first * row_bytes, count * tensor.columns(), out);
}

bool Checkpoint::has_single_numbers(const TensorInfo& tensor) const {
  return tensor.encoding != TensorEncoding::unsupported && encoding_info(tensor.encoding).block_elements == 1;
}

void Checkpoint::read_numbers(const TensorInfo& tensor, int64_t first, int64_t count, float* out) const {
  const int64_t all = tensor.rows() * tensor.columns();
  if (!has_single_numbers(tensor) || first < 0 || count < 0 || count > all - first) {
    fail(ErrorCode::invalid_argument, file_of(tensor), ": tensor ", quoted(tensor.name), ": numbers ", first, " to ",
         first, " + ", count, " were asked for, it has ", all, " of type ", tensor.dtype);
  }
  if (count == 0) return;
  read(tensor, first * encoding_info(tensor.encoding).block_bytes, count, out);
}

void Checkpoint::read(const TensorInfo& tensor, int64_t offset, int64_t elements, float* out) const {
  const std::byte* const stored = bytes(tensor).data() + offset;
  dequantize(tensor.encoding, stored, elements, out);
  if (tensor.encoding != TensorEncoding::f64) return;
  for (int64_t i = 0; i < elements; ++i) {
    if (!std::isinf(out[i])) continue;
    double value;
    std::memcpy(&value, stored + i * static_cast<int64_t>(sizeof value), sizeof value);
    if (std::isinf(value)) continue;
    fail(ErrorCode::invalid_checkpoint, file_of(tensor), ": tensor ", quoted(tensor.name), ": ", value,
         " is beyond the numbers of float32, in which weights are computed");
  }
}

}  // namespace octoformer
