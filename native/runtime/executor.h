// Runs a compiled Program over a ragged batch: op by op on a backend, in one arena.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "runtime/arena.h"
#include "runtime/compiler.h"
#include "runtime/encoded_sequence.h"
#include "runtime/relative_bias.h"
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

  /// Everything passed must outlive the executor. `chunk_tokens` is for tests. Executors that never run at the same
  /// time may share an arena.
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

  size_t arena_bytes() const { return arena_->bytes(); }

 private:
  /// A sequence of the request.
  struct Sequence {
    int64_t first_token = 0;
    int64_t count = 0;
    int64_t past = 0;
    size_t first_page = 0;  // in page_addresses_
    size_t pages = 0;
  };

  void check(const RunRequest& request) const;
  void check_caches(const RunRequest& request) const;
  void check_encoded(const RunRequest& request, std::span<const EncodedSequence* const> encoded) const;
  void check_indices(std::span<const int32_t> indices, const EmbeddingOp& op) const;
  void place_tokens(const RunRequest& request, std::span<const std::optional<KeyValueCache::Growth>> growths);
  void allocate_outputs(const RunRequest& request, RunResult& result) const;
  int64_t logits_columns() const;
  bool asks_for_cross_attention(const RunRequest& request) const;
  void run_chunk(const RunRequest& request, int64_t first, int64_t count, RunResult& result);
  void select_chunk(const RunRequest& request, int64_t first, int64_t count);
  void lay_out_arena();

  int64_t rows_of(RowSymbol symbol) const;
  MatrixView view(const Value& value) const;
  const float* vector(const std::optional<int32_t>& weight) const;
  const LinearWeight* linear(int32_t weight) const;

  /// Of an op that works row by row: writes `arguments.out`, or quantized rows where plan_row_quantization() says so.
  template <class Arguments>
  void run_row_op(void (Backend::*op)(const Arguments&), const Arguments& arguments);

  void execute(const EmbeddingOp& op, RunResult& result);
  void execute(const LinearOp& op, RunResult& result);
  void execute(const NormOp& op, RunResult& result);
  void execute(const RopeTableOp& op, RunResult& result);
  void execute(const RopeOp& op, RunResult& result);
  void execute(const SinusoidalOp& op, RunResult& result);
  void execute(const AttentionOp& op, RunResult& result);
  void execute(const StoreCrossOp& op, RunResult& result);
  void execute(const CrossAttentionOp& op, RunResult& result);
  void execute(const GatedActivationOp& op, RunResult& result);
  void execute(const ActivationOp& op, RunResult& result);
  void execute(const ElementwiseOp& op, RunResult& result);
  void execute(const ScaleOp& op, RunResult& result);
  void execute(const ExpertRoutingOp& op, RunResult& result);
  void execute(const GroupedLinearOp& op, RunResult& result);
  void execute(const WeightedSumOp& op, RunResult& result);
  void execute(const GatherRowsOp& op, RunResult& result);
  void execute(const OutputOp& op, RunResult& result);
  void sample(const Value& logits, RunResult& result);
  void score(const Value& logits, RunResult& result);

  const CompiledProgram& compiled_;
  const std::span<const LoadedWeight> weights_;
  const std::shared_ptr<KeyValuePagePool> pool_;
  Backend& backend_;
  const int64_t chunk_tokens_;
  const std::vector<RowQuantization> row_quantization_;  // one an op
  std::vector<std::unique_ptr<QuantizedRows>> quantized_rows_;
  const std::shared_ptr<Arena> arena_;

  // Of the run.
  const RunRequest* request_ = nullptr;
  std::span<const EncodedSequence* const> encoded_;
  std::vector<Sequence> sequences_;
  std::vector<std::byte*> page_addresses_;
  std::vector<int32_t> positions_;
  std::vector<int32_t> token_types_;

  // Of the chunk.
  int64_t first_token_ = 0;
  int64_t tokens_ = 0;
  std::vector<SequenceSlice> slices_;
  std::vector<SequenceSlice> cross_slices_;  // the same rows, over the pages of what is encoded
  std::vector<int64_t> slice_lengths_;       // past and all new tokens of the run, chunked or not
  std::vector<int32_t> rows_;                // within the chunk
  std::vector<int64_t> row_targets_;         // their index in request.rows
  float* memory_ = nullptr;
  std::array<int64_t, kRowSymbols> class_starts_ = {};  // floats
  int32_t op_ = 0;                                      // that is executed
  RelativeBiasSpreads bias_spreads_;
  std::vector<float> frequency_scratch_;
  std::vector<int32_t> index_scratch_;
  std::vector<const LinearWeight*> expert_weights_;
};

}  // namespace octoformer
