#include "runtime/weights.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "backend/error.h"
#include "runtime/packed_cache.h"
#include "runtime/weight_source.h"

namespace octoformer {

namespace {

/// Names of missing tensors in one message: enough to see the pattern.
constexpr size_t kNamedMissing = 5;

void refuse_missing(std::span<const WeightDescription> weights, const Checkpoint& checkpoint) {
  std::vector<std::string_view> missing;
  for (const WeightDescription& weight : weights) {
    for (const WeightPart& part : weight.parts) {
      const bool counted = std::find(missing.begin(), missing.end(), part.tensor) != missing.end();
      if (!counted && checkpoint.find(part.tensor) == nullptr) missing.push_back(part.tensor);
      if (!part.scale.empty() && checkpoint.find(part.scale) == nullptr) missing.push_back(part.scale);
    }
  }
  if (missing.empty()) return;
  std::string names;
  for (size_t i = 0; i < std::min(missing.size(), kNamedMissing); ++i) {
    names += (i == 0 ? "" : ", ") + std::string(missing[i]);
  }
  if (missing.size() > kNamedMissing) names += ", and " + std::to_string(missing.size() - kNamedMissing) + " more";
  std::string files;
  for (const std::string& file : checkpoint.files()) files += (files.empty() ? "" : ", ") + file;
  fail(ErrorCode::missing_weight, "the checkpoint (", files, ") has no tensor ", names,
       "; is a shard missing, or is config.json of another model?");
}

std::vector<float> load_vector(const WeightSource& source) {
  std::vector<float> vector(static_cast<size_t>(source.rows()));
  source.read_rows(0, source.rows(), vector.data());
  for (size_t i = 0; i < vector.size(); ++i) {
    if (!std::isfinite(vector[i])) {
      fail(ErrorCode::invalid_checkpoint, source.origin(), " has a value that is not finite at index ", i,
           "; the file is damaged or the training diverged");
    }
  }
  return vector;
}

/// Adds up what several threads read; never more than what a weight has, even if a backend reads a row twice.
class ProgressMeter {
 public:
  ProgressMeter(const LoadOptions& options, uint64_t total) : progress_(options.progress), total_(total) {}

  void begin_weight(uint64_t bytes) {
    weight_bytes_ = bytes;
    weight_read_ = 0;
  }
  void read(uint64_t bytes) {
    if (!progress_) return;
    const uint64_t read = weight_read_.fetch_add(bytes) + bytes;
    progress_(done_ + std::min(read, weight_bytes_), total_);
  }
  void end_weight() {
    done_ += weight_bytes_;
    if (progress_) progress_(done_, total_);
  }

 private:
  const std::function<void(uint64_t, uint64_t)>& progress_;
  const uint64_t total_;
  uint64_t done_ = 0;
  uint64_t weight_bytes_ = 0;
  std::atomic<uint64_t> weight_read_ = 0;
};

}  // namespace

std::string_view weight_form_name(WeightForm form) {
  switch (form) {
    case WeightForm::float32:
      return "float32";
    case WeightForm::bfloat16:
      return "bfloat16";
    case WeightForm::float16:
      return "float16";
    case WeightForm::int8:
      return "int8";
  }
  fail(ErrorCode::internal, "a weight form without a name: ", static_cast<int>(form));
}

std::vector<LoadedWeight> load_weights(std::span<const WeightDescription> weights, const Checkpoint& checkpoint,
                                       Backend& backend, const LoadOptions& options) {
  refuse_missing(weights, checkpoint);
  std::vector<std::unique_ptr<WeightSource>> sources;
  uint64_t total = 0;
  for (const WeightDescription& weight : weights) {
    sources.push_back(std::make_unique<WeightSource>(weight, checkpoint));
    total += sources.back()->stored_bytes();
  }

  std::vector<LinearWeightDescription> linear;
  for (size_t i = 0; i < weights.size(); ++i) {
    if (weights[i].role != WeightRole::linear) continue;
    const WeightSource& source = *sources[i];
    linear.push_back({source.origin(), source.rows(), source.columns(), source.form(), weights[i].compute,
                      weights[i].int8, weights[i].table});
  }
  std::vector<std::unique_ptr<LinearWeight>> packed;
  if (options.packed != nullptr) packed = options.packed->find(linear, checkpoint, backend, options.abort);

  ProgressMeter meter(options, total);
  std::vector<LoadedWeight> loaded(weights.size());
  size_t next = 0;  // of the linear weights
  for (size_t i = 0; i < weights.size(); ++i) {
    if (options.abort != nullptr && options.abort->load()) fail(ErrorCode::aborted, "loading was aborted");
    WeightSource& source = *sources[i];
    meter.begin_weight(source.stored_bytes());
    source.on_read([&meter](uint64_t bytes) { meter.read(bytes); });
    if (weights[i].role == WeightRole::linear) {
      loaded[i].linear =
          packed.empty() ? backend.pack_linear(linear[next], source, options.abort) : std::move(packed[next]);
      ++next;
    } else {
      loaded[i].vector = load_vector(source);
    }
    meter.end_weight();
    // Or the whole checkpoint would stay in memory beside what is made of it, until the last weight.
    for (const WeightPart& part : weights[i].parts) checkpoint.release(checkpoint.at(part.tensor));
    sources[i].reset();  // and what it decoded
  }
  return loaded;
}

}  // namespace octoformer
