#include "runtime/packed_cache.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "backend/error.h"
#include "formats/checksum.h"
#include "formats/mapped_file.h"

namespace octoformer {

namespace {

/// To be raised when the same checkpoint becomes other numbers (reading or quantizing changes) in a way that the
/// samples below don't show.
constexpr uint64_t kPackingVersion = 1;

/// A hash of what was added, in that order.
class KeyMaker {
 public:
  void add(std::span<const std::byte> bytes) {
    for (size_t i = 0; i < key_.size(); ++i) key_[i] = checksum(bytes, key_[i] + i);
  }
  void add(std::string_view text) { add(std::as_bytes(std::span(text.data(), text.size()))); }
  void add(uint64_t number) { add(std::as_bytes(std::span(&number, 1))); }
  const PackedKey& key() const { return key_; }

 private:
  PackedKey key_{};
};

/// A matrix whose packed bytes stand for the layout, the rounding and the form: large enough for several panels and an
/// end of each kind, with rows of zeros, of equal numbers and with outliers.
class SampleRows : public RowSource {
 public:
  static constexpr int64_t kRows = 131;
  static constexpr int64_t kColumns = 1030;

  void read_rows(int64_t first, int64_t count, float* out) const override {
    for (int64_t row = first; row < first + count; ++row) {
      uint32_t state = static_cast<uint32_t>(row) * 2654435761u + 1;
      for (int64_t k = 0; k < kColumns; ++k) {
        state = state * 1664525u + 1013904223u;  // Numerical Recipes' generator
        const float uniform = static_cast<float>(static_cast<int32_t>(state)) * 0x1p-31f;
        *out++ = row % 7 == 3 ? 0.0f : row % 7 == 5 ? 0.25f : k % 257 == 11 ? 8.0f * uniform : uniform;
      }
    }
  }
};

/// What two weights must share to be packed alike.
LinearWeightDescription sample_description(const LinearWeightDescription& given) {
  LinearWeightDescription sample = given;
  sample.name = "a sample of the layout";
  sample.out_features = SampleRows::kRows;
  sample.in_features = SampleRows::kColumns;
  if (!sample.int8.outlier_features.empty()) sample.int8.outlier_features = {2, 1027};
  return sample;
}

/// Adds the packed bytes of a sample in each way that the weights are packed in.
void add_samples(std::span<const LinearWeightDescription> descriptions, Backend& backend, KeyMaker& key) {
  std::vector<LinearWeightDescription> seen;
  for (const LinearWeightDescription& description : descriptions) {
    LinearWeightDescription sample = sample_description(description);
    if (std::find(seen.begin(), seen.end(), sample) != seen.end()) continue;
    const std::unique_ptr<LinearWeight> packed = backend.pack_linear(sample, SampleRows(), nullptr);
    for (const std::span<const std::byte> section : packed->sections()) key.add(section);
    seen.push_back(std::move(sample));
  }
}

/// A checkpoint is known by sizes, times of change and headers of its files, and by kKnownBytes from the middle of each
/// tensor: training changes every tensor, and reading all of a large file would take as long as packing it.
void add_checkpoint(const Checkpoint& checkpoint, KeyMaker& key) {
  constexpr size_t kKnownBytes = 1024;
  for (size_t i = 0; i < checkpoint.files().size(); ++i) {
    const MappedFile& file = checkpoint.mapped(i);
    uint64_t header = file.bytes().size();
    for (const TensorInfo& tensor : checkpoint.tensors()) {
      if (tensor.file == i) header = std::min(header, tensor.offset);
    }
    key.add(file.bytes().size());
    key.add(static_cast<uint64_t>(file.modified()));
    key.add(file.bytes().first(header));
  }
  for (const TensorInfo& tensor : checkpoint.tensors()) {
    const std::span<const std::byte> bytes = checkpoint.bytes(tensor);
    const size_t known = std::min(bytes.size(), kKnownBytes);
    key.add(bytes.subspan((bytes.size() - known) / 2, known));
  }
}

uint64_t estimated_bytes(std::span<const LinearWeightDescription> descriptions) {
  uint64_t bytes = 0;
  for (const LinearWeightDescription& weight : descriptions) {
    const uint64_t number = weight.form == WeightForm::int8 ? 1 : weight.form == WeightForm::float32 ? 4 : 2;
    bytes += number * static_cast<uint64_t>(weight.out_features) * static_cast<uint64_t>(weight.in_features);
  }
  return bytes;
}

std::string file_name(const PackedKey& key) {
  std::string text;
  for (const uint64_t word : key) {
    for (int shift = 60; shift >= 0; shift -= 4) text += "0123456789abcdef"[word >> shift & 15];
  }
  return text.append(".packed");
}

}  // namespace

std::vector<std::unique_ptr<LinearWeight>> PackedCache::find(std::span<const LinearWeightDescription> descriptions,
                                                             const Checkpoint& checkpoint, Backend& backend,
                                                             const std::atomic<bool>* abort) {
  if (descriptions.empty() || estimated_bytes(descriptions) < options_.least_bytes) return {};
  KeyMaker key;
  key.add(kPackingVersion);
  key.add(backend.name());
  key.add(backend.isa());
  key.add(options_.weights);
  try {
    add_samples(descriptions, backend, key);
  } catch (const Error&) {
    return {};  // packing the weights themselves says what is wrong, and with which
  }
  add_checkpoint(checkpoint, key);
  key_ = key.key();
  path_ = options_.folder;
  path_.append("/").append(file_name(key_));

  const std::shared_ptr<const PackedFile> file = PackedFile::open(path_, key_, descriptions.size(), backend, abort);
  if (!file) return {};
  std::vector<std::unique_ptr<LinearWeight>> weights;
  for (size_t i = 0; i < descriptions.size(); ++i) {
    weights.push_back(backend.adopt_linear(descriptions[i], file->sections(i), file));
    if (!weights.back()) return {};
  }
  found_ = true;
  return weights;
}

void PackedCache::write(std::span<const LinearWeight* const> weights) const {
  std::vector<std::vector<std::span<const std::byte>>> sections;
  for (const LinearWeight* weight : weights) sections.push_back(weight->sections());
  PackedFile::write(path_, key_, sections);
}

}  // namespace octoformer
