// Runs the ops of a compiled Program over some of a run's token rows: op by op on a backend, in one arena. Several of
// them, each with a backend and an arena of its own, can work on different rows of a run at the same time.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "runtime/arena.h"
#include "runtime/compiler.h"
#include "runtime/relative_bias.h"
#include "runtime/row_quantization.h"
#include "runtime/run_state.h"
#include "runtime/wavefront.h"
#include "runtime/weights.h"

namespace octoformer {

/// Not thread-safe: one chunk at a time. All scratch memory is kept between them, so that a step of a generation
/// allocates little more than its result.
class ChunkExecutor {
 public:
  /// Everything passed must outlive it.
  /// @param row_quantization one an op
  /// @param layers where the keys and values of every layer lie in a page
  ChunkExecutor(const CompiledProgram& compiled, std::span<const LoadedWeight> weights,
                std::span<const KeyValueLayer> layers, std::span<const RowQuantization> row_quantization,
                Backend& backend, std::shared_ptr<Arena> arena);

  /// Token rows [first, first + count), which are added to `result`: its outputs are there already. Throws what
  /// Executor::run does.
  void run(const RunState& run, int64_t first, int64_t count, RunResult& result);

  /// The same in two parts, the first of which several executors work on at a time, each on a group: all ops before the
  /// first gather_rows. The rows that it would gather go to `gathered` [request.rows, input.columns].
  void run_group(const RunState& run, Wavefront& wavefront, size_t group, MatrixView gathered, RunResult& result);
  /// The ops after it, which have to do with wanted rows only, for rows [first, first + gathered.rows) of them.
  void run_gathered(const RunState& run, int64_t first, ConstMatrixView gathered, RunResult& result);

  size_t arena_bytes() const { return arena_->bytes() + page_memory_.bytes(); }

 private:
  void check_indices(std::span<const int32_t> indices, const EmbeddingOp& op) const;
  bool asks_for_cross_attention(const RunRequest& request) const;
  void select(int64_t first, int64_t count);
  void run_ops(int32_t first, int32_t end, RunResult& result);
  void lay_out_arena();
  void lay_out_pages();
  std::span<const KeyValueLayer> key_value_layers() const { return run_->keeps_pages ? layers_ : own_layers_; }

  int64_t rows_of(RowSymbol symbol) const;
  MatrixView view(const Value& value) const;
  const float* vector(const std::optional<int32_t>& weight) const;
  const LinearWeight* linear(int32_t weight) const;
  GatedActivationArguments arguments_of(const GatedActivationOp& op) const;
  const GatherRowsOp& gather_rows() const;

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
  bool only_largest_counts(const LinearOp& op) const;
  bool sample_largest(const LinearArguments& arguments, RunResult& result);
  void sample(const Value& logits, RunResult& result);
  void score(const Value& logits, RunResult& result);

  const CompiledProgram& compiled_;
  const std::span<const LoadedWeight> weights_;
  const std::span<const KeyValueLayer> layers_;
  const std::span<const RowQuantization> row_quantization_;
  Backend& backend_;
  std::vector<std::unique_ptr<QuantizedRows>> quantized_rows_;
  const std::shared_ptr<Arena> arena_;
  // Pages of one layer that all layers take in turn (RunState::keeps_pages).
  std::vector<KeyValueLayer> own_layers_;
  size_t own_page_bytes_ = 0;
  Arena page_memory_;
  std::vector<std::byte*> own_pages_;

  // Of the chunk.
  const RunState* run_ = nullptr;
  Wavefront* wavefront_ = nullptr;  // null: none
  size_t group_ = 0;                // of the wavefront
  int64_t first_token_ = 0;
  int64_t tokens_ = 0;
  std::vector<SequenceSlice> slices_;
  std::vector<SequenceSlice> cross_slices_;  // the same rows, over the pages of what is encoded
  std::vector<int64_t> slice_lengths_;       // past and all new tokens of the run, chunked or not
  std::vector<int32_t> rows_;                // within the chunk
  std::vector<int64_t> row_targets_;         // their index in request.rows
  std::vector<int32_t> largest_;             // tokens with the largest logits of these
  float* memory_ = nullptr;
  std::array<int64_t, kRowSymbols> class_starts_ = {};  // floats
  int32_t op_ = 0;                                      // that is executed
  bool sampled_ = false;                                // the rows' tokens are chosen, and there are no logits
  RelativeBiasSpreads bias_spreads_;
  std::vector<float> frequency_scratch_;
  std::vector<int32_t> index_scratch_;
  std::vector<const LinearWeight*> expert_weights_;
};

}  // namespace octoformer
