// A Llama of two layers with awkward sizes, as a Program with a checkpoint, and the same model computed
// straightforwardly.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "formats/checkpoint.h"
#include "formats/checkpoint_files.h"

namespace octoformer {

struct TinyTensor {
  std::vector<int64_t> shape;
  std::vector<float> values;
};

/// A safetensors file of F32 tensors.
std::string safetensors_of(const std::map<std::string, TinyTensor>& tensors);

class TinyLlama {
 public:
  static constexpr int64_t kLayers = 2;
  static constexpr int64_t kHidden = 12;
  static constexpr int64_t kHeads = 3;
  static constexpr int64_t kHeadDim = 4;
  static constexpr int64_t kIntermediate = 20;
  static constexpr int64_t kVocabulary = 29;
  static constexpr float kEpsilon = 1e-5f;

  TinyLlama();
  const std::string& program() const { return program_; }
  const Checkpoint& checkpoint() const { return *checkpoint_; }
  /// Logits [tokens][vocabulary] of a sequence, in double precision, no cache, no batch.
  std::vector<std::vector<double>> logits(const std::vector<int32_t>& ids) const;

 private:
  std::vector<std::vector<double>> layer(int64_t index, std::vector<std::vector<double>> x) const;
  std::vector<double> norm(const std::vector<double>& x, const std::string& weight) const;
  std::vector<double> multiply(const std::vector<double>& x, const std::string& weight) const;

  std::map<std::string, TinyTensor> tensors_;
  std::string program_;
  std::unique_ptr<TemporaryFile> file_;
  std::shared_ptr<Checkpoint> checkpoint_;
};

/// inv_freq of the tiny model: base 100, head_dim 4.
inline constexpr float kTinyInverseFrequencies[] = {1.0f, 0.1f};

}  // namespace octoformer
