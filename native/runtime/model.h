// A model that can run: a compiled Program, its weights, a backend, and the pages of its caches.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backend/backend.h"
#include "formats/checkpoint.h"
#include "runtime/compiler.h"
#include "runtime/executor.h"
#include "runtime/key_value_cache.h"
#include "runtime/packed_cache.h"
#include "runtime/run_request.h"
#include "runtime/weights.h"

namespace octoformer {

struct MemoryUse {
  uint64_t weights = 0;
  std::map<std::string_view, uint64_t> weights_by_form;
  uint64_t cache = 0;
  uint64_t arena = 0;
};

class Model {
 public:
  /// Parses and compiles the Program (JSON), checks all weights, packs them or finds them packed in `packed` (may be
  /// null). Nothing of the checkpoint is needed afterwards. Throws what parse_program, compile_program and load_weights
  /// do.
  static std::unique_ptr<Model> load(std::string program, const Checkpoint& checkpoint,
                                     std::unique_ptr<Backend> backend, LoadOptions options,
                                     std::unique_ptr<PackedCache> packed = nullptr);

  const Backend& backend() const { return *backend_; }
  std::span<const LoadedWeight> weights() const { return weights_; }
  /// How the Program describes them.
  std::span<const WeightDescription> weight_descriptions() const { return compiled_.main.program.weights; }
  /// What load() was given.
  const PackedCache* packed() const { return packed_.get(); }
  /// Keeps the packed weights for the next start, in packed()->path(). Throws what PackedFile::write does.
  void write_packed() const;
  std::shared_ptr<KeyValueCache> create_cache() const { return std::make_shared<KeyValueCache>(pool_); }
  /// To be called when the model is disposed: pages that caches give back from now on are freed at once.
  void close();
  /// Bytes now; may be asked during a run.
  MemoryUse memory() const;
  /// See Executor::run. Ids for the encoder are encoded first, into the caches that they belong to; INVALID_ARGUMENT
  /// where the model has no encoder or a cache has an encoded sequence already. A failure in a later step of several
  /// leaves those before it in the caches. Calls from several threads run one
  /// after another.
  RunResult run(const RunRequest& request);
  /// Writes these rows of weight `index` as float32 (int8 ones dequantized), one after another; a vector has rows of
  /// one number. Not during a run: it waits for the one under way. Throws INVALID_ARGUMENT for what isn't there.
  void read_weight(size_t index, std::span<const int32_t> rows, float* out);

 private:
  Model(CompiledModel compiled, std::unique_ptr<Backend> backend, std::vector<LoadedWeight> weights,
        std::unique_ptr<PackedCache> packed);

  /// The encoder of an encoder-decoder, and what its runs need beside the decoder's.
  struct Encoder {
    Encoder(const Model& model, const CompiledProgram& compiled, std::shared_ptr<Arena> arena);
    std::shared_ptr<KeyValuePagePool> pool;        // of its own attention, for the time of a run
    std::shared_ptr<KeyValuePagePool> cross_pool;  // of encoded sequences
    Executor executor;
  };

  RunResult run_once(const RunRequest& request, RunResult result);
  RunResult run_with_encoder(const RunRequest& request, RunResult so_far);
  std::vector<std::shared_ptr<EncodedSequence>> encode(const RunRequest& request, RunResult& result);

  const CompiledModel compiled_;
  const std::unique_ptr<Backend> backend_;
  const std::vector<LoadedWeight> weights_;
  const std::unique_ptr<PackedCache> packed_;
  const std::shared_ptr<KeyValuePagePool> pool_;
  std::mutex run_mutex_;
  const std::shared_ptr<Arena> arena_ = std::make_shared<Arena>();
  Executor executor_;
  std::optional<Encoder> encoder_;
};

}  // namespace octoformer
