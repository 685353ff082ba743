// The weights of a model as they lie on disk: safetensors (one file or several shards) or GGUF, memory-mapped, every
// header entry checked before it is used. Rows of a tensor come out as float32 whatever they are stored as.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "formats/metadata.h"
#include "formats/tensor_encoding.h"

namespace octoformer {

class MappedFile;

struct TensorInfo {
  std::string name;
  TensorEncoding encoding = TensorEncoding::unsupported;
  /// The encoding's name, also of an unsupported one ("F8_E4M3", "IQ2_XS").
  std::string dtype;
  /// Row-major, outermost first (GGUF's order is reversed). Empty for a scalar.
  std::vector<int64_t> shape;
  /// Index into Checkpoint::files().
  size_t file = 0;
  /// Where the data lie in the file. For an unsupported GGUF type `bytes` is the room up to the next tensor.
  uint64_t offset = 0;
  uint64_t bytes = 0;

  /// A tensor is read as a matrix: the last dimension is a row, the others count rows. A vector is one row, a scalar 1
  /// x 1.
  int64_t columns() const { return shape.empty() ? 1 : shape.back(); }
  int64_t rows() const {
    int64_t rows = 1;
    for (size_t i = 0; i + 1 < shape.size(); ++i) rows *= shape[i];
    return rows;
  }
};

class Checkpoint {
 public:
  enum class Format { safetensors, gguf };

  /// Maps the files and checks their headers. The format is decided by content (GGUF's magic). Several files are the
  /// shards of one checkpoint: all safetensors, or all GGUF. The files must not be changed while they are mapped.
  /// Throws NOT_FOUND for a file that is missing or can't be read, INVALID_CHECKPOINT naming file and tensor for a bad
  /// one, INVALID_ARGUMENT for an empty list.
  static std::shared_ptr<Checkpoint> open(std::span<const std::string> files);
  ~Checkpoint();

  Format format() const { return format_; }
  /// As given to open().
  std::span<const std::string> files() const { return files_; }
  /// In the order of the headers, file by file. Names are unique.
  std::span<const TensorInfo> tensors() const { return tensors_; }
  /// Of all files; the first file that has a key decides.
  const Metadata& metadata() const { return metadata_; }

  /// The tensor of that name, or null.
  const TensorInfo* find(std::string_view name) const;
  /// The tensor of that name; throws MISSING_WEIGHT naming it.
  const TensorInfo& at(std::string_view name) const;

  /// The file `index` of files(), as it is mapped.
  const MappedFile& mapped(size_t index) const { return *mapped_[index]; }
  /// The file that holds a tensor of this checkpoint.
  const std::string& file_of(const TensorInfo& tensor) const { return files_[tensor.file]; }
  /// The tensor's stored bytes; not aligned.
  std::span<const std::byte> bytes(const TensorInfo& tensor) const;
  /// Takes what was read of a tensor out of this process's memory.
  void release(const TensorInfo& tensor) const;
  /// Writes rows [first, first + count) as float32, `columns()` each, one after another: halves are widened, blocks
  /// dequantized, doubles and integers converted (to nearest), true is 1. Any number of threads may read at once.
  /// Throws INVALID_ARGUMENT for rows outside the tensor, INVALID_CHECKPOINT naming the dtype of an unsupported
  /// encoding, or a double that is beyond float32.
  void read_rows(const TensorInfo& tensor, int64_t first, int64_t count, float* out) const;
  /// Whether numbers lie by themselves, not in blocks that are decoded together: then read_numbers can be used.
  bool has_single_numbers(const TensorInfo& tensor) const;
  /// Writes numbers [first, first + count) of a tensor, in the order that they are stored in, as read_rows does.
  void read_numbers(const TensorInfo& tensor, int64_t first, int64_t count, float* out) const;

 private:
  Checkpoint() = default;
  /// `elements` whole blocks from the byte `offset` of a tensor's data on.
  void read(const TensorInfo& tensor, int64_t offset, int64_t elements, float* out) const;

  Format format_ = Format::safetensors;
  std::vector<std::string> files_;
  std::vector<std::unique_ptr<MappedFile>> mapped_;
  std::vector<TensorInfo> tensors_;
  std::unordered_map<std::string_view, size_t> by_name_;  // keys are views of tensors_' names
  Metadata metadata_;
};

}  // namespace octoformer
