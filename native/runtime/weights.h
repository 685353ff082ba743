// The weights of a Program, loaded: linear ones packed by the backend, vectors as float32.
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "backend/backend.h"
#include "formats/checkpoint.h"
#include "runtime/program.h"

namespace octoformer {

struct LoadedWeight {
  std::unique_ptr<LinearWeight> linear;  // of a linear weight
  std::vector<float> vector;             // of a vector

  WeightForm form() const { return linear ? linear->description().form : WeightForm::float32; }
  uint64_t bytes() const { return linear ? linear->bytes() : vector.size() * sizeof(float); }
};

/// "float32", "bfloat16", "float16", "int8".
std::string_view weight_form_name(WeightForm form);

class PackedCache;

struct LoadOptions {
  /// Polled while loading; null: never aborted.
  const std::atomic<bool>* abort = nullptr;
  /// Bytes of the checkpoint read so far and in all; called from several threads at once, `loaded` never falls. Empty:
  /// none.
  std::function<void(uint64_t loaded, uint64_t total)> progress;
  /// Where packed weights may lie; null: nowhere.
  PackedCache* packed = nullptr;
};

/// Checks all weights against the checkpoint before it reads the first one. Throws what WeightSource does;
/// INVALID_CHECKPOINT naming file and tensor for a number that is not finite; ABORTED.
std::vector<LoadedWeight> load_weights(std::span<const WeightDescription> weights, const Checkpoint& checkpoint,
                                       Backend& backend, const LoadOptions& options);

}  // namespace octoformer
