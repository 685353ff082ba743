// Runs a compiled Program over a ragged batch: op by op on a backend, in one arena.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "runtime/arena.h"
#include "runtime/chunk_executor.h"
#include "runtime/compiler.h"
#include "runtime/encoded_sequence.h"
#include "runtime/row_quantization.h"
#include "runtime/run_request.h"
#include "runtime/weights.h"

namespace octoformer {

/// Not thread-safe: one run at a time. All scratch memory is kept between runs, so that a step of a generation
/// allocates little more than its result.
class Executor {
 public:
  /// A causal Program runs over at most this many tokens at a time: the arena stays small whatever the length of a
  /// prompt (the results have the same bits), an abort is noticed soon, and matrices of so many rows already run at
  /// full speed.
  static constexpr int64_t kChunkTokens = 512;

  /// Where every token sees all of its sequence, threads take groups of sequences of their own through the whole
  /// Program, with no more tokens than this: activations stay in the second-level cache, no thread waits for another
  /// between ops, and so many rows still outweigh the weights that each group reads from the third-level cache.
  static constexpr int64_t kGroupTokens = 256;
  /// Weights for which that holds: about what a third-level cache keeps of them.
  static constexpr uint64_t kLaneWeightBytes = uint64_t{32} << 20;

  /// Prompts of a causal Program are cut into groups of about so many tokens, which threads take through the Program
  /// likewise, one behind the other (runtime/wavefront.h). Measured: 256 gain as much to 2 %, and take twice the
  /// memory; 64 lose (on a busy machine only).
  static constexpr int64_t kWavefrontTokens = 128;
  /// Weights of a layer for which that holds: each group reads all of them. On AMX tiles prompts are 15 % faster with
  /// 3.5 MB (a 135M model in int8) and as fast with 15 MB; with 35 MB they are 14 % slower. The bound is between the
  /// first two; why large layers lose was not found out.
  static constexpr uint64_t kWavefrontLayerBytes = uint64_t{8} << 20;

  /// Everything passed must outlive the executor. `chunk_tokens` is for tests (and bounds groups, too). Executors that
  /// never run at the same time may share an arena.
  Executor(const CompiledProgram& compiled, std::span<const LoadedWeight> weights,
           std::shared_ptr<KeyValuePagePool> pool, Backend& backend, int64_t chunk_tokens = kChunkTokens,
           std::shared_ptr<Arena> arena = std::make_shared<Arena>());

  /// Throws INVALID_ARGUMENT for a request that doesn't hold together (naming sequence, position or id),
  /// CONTEXT_OVERFLOW for a position beyond a table of positions or above 31 bits, ABORTED, OUT_OF_MEMORY, INTERNAL for
  /// NaN logits. Caches and samplers are as before when it throws.
  /// @param encoded of encoders and decoders with cross attention: what each sequence is encoded into, or reads (null
  ///   for a sequence without new tokens)
  /// @param result what the encoder's run gave, to be added to
  RunResult run(const RunRequest& request, std::span<const EncodedSequence* const> encoded = {}, RunResult result = {});

  /// May be asked during a run.
  size_t arena_bytes() const;

 private:
  /// A thread's own way through the Program.
  struct Lane {
    Lane(const Executor& executor, std::unique_ptr<Backend> own)
        : backend(std::move(own)),
          chunks(executor.compiled_, executor.weights_, executor.pool_->layout().layers, executor.row_quantization_,
                 *backend, std::make_shared<Arena>()) {}
    const std::unique_ptr<Backend> backend;
    ChunkExecutor chunks;
  };

  void check(const RunRequest& request) const;
  void check_caches(const RunRequest& request) const;
  void check_encoded(const RunRequest& request, std::span<const EncodedSequence* const> encoded) const;
  void place_tokens(const RunRequest& request, std::span<const std::optional<KeyValueCache::Growth>> growths);
  void allocate_outputs(const RunRequest& request, RunResult& result) const;
  int64_t logits_columns() const;
  bool has_lanes() const;
  bool run_lanes(RunResult& result);
  bool run_wavefront(RunResult& result);

  const CompiledProgram& compiled_;
  const std::span<const LoadedWeight> weights_;
  const std::shared_ptr<KeyValuePagePool> pool_;
  Backend& backend_;
  const int64_t chunk_tokens_;
  const std::vector<RowQuantization> row_quantization_;  // one an op
  ChunkExecutor chunks_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  Arena gathered_;  // of a wavefront: what gather_rows would gather
  RunState run_;
};

}  // namespace octoformer
