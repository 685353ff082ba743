// The op interface: what native/runtime asks of a device. native/cpu implements it, native/cuda will.
// The caller (the compiled Program) has checked every shape; implementations may assert but need not report.
//
// Two promises of every implementation:
//  - a row's result has the same bits whatever other rows are in the call and however many threads work;
//  - an op on zero rows does nothing.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "backend/activation.h"
#include "backend/experts.h"
#include "backend/key_value_form.h"
#include "backend/linear_weight.h"
#include "backend/matrix.h"
#include "backend/sparse_pattern.h"

namespace octoformer {

/// Keys of a KV page: pages are cut at multiples of this absolute position, and so are the blocks of attention.
inline constexpr int64_t kKeyValuePageTokens = 32;

/// One sequence of a ragged batch: rows [first_row, first_row + count) of every [tokens, ...] matrix are its new
/// tokens, `past` tokens of it lie in its pages already.
struct SequenceSlice {
  int64_t first_row = 0;
  int64_t count = 0;
  int64_t past = 0;
  std::span<std::byte* const> pages;  // page i holds positions [i * kKeyValuePageTokens, ...) of every layer
};

/// Rows of activations as a backend's int8 layers read them, quantized once for all of these. Each backend derives its
/// own. Keeps its memory between calls.
class QuantizedRows {
 public:
  QuantizedRows() = default;
  virtual ~QuantizedRows() = default;
  QuantizedRows(const QuantizedRows&) = delete;
  QuantizedRows& operator=(const QuantizedRows&) = delete;
};

struct LinearArguments {
  ConstMatrixView input;  // [rows, in_features]
  /// Null, or the same rows, quantized for this weight or for one that shares them: `input` is not read then.
  QuantizedRows* quantized = nullptr;
  const LinearWeight* weight = nullptr;
  const float* bias = nullptr;  // [out_features] or null
  Activation activation = Activation::identity;
  ConstMatrixView residual;  // added after the activation; data null: none. May be the same memory as `out`.
  MatrixView out;            // [rows, out_features]
};

struct EmbeddingArguments {
  std::span<const int32_t> indices;     // checked: 0 <= index < out_features
  const LinearWeight* table = nullptr;  // row i is the embedding of index i
  float scale = 1.0f;                   // multiplies the row (rounded as given)
  bool accumulate = false;              // add to `out` instead of writing it
  MatrixView out;                       // [indices, in_features]
};

enum class NormKind { rms, layer };

struct NormArguments {
  NormKind kind = NormKind::rms;
  ConstMatrixView input;
  MatrixView out;                 // may be the same memory as input
  const float* weight = nullptr;  // [group], or null
  const float* bias = nullptr;    // [group], or null
  float weight_offset = 0.0f;     // Gemma multiplies by (1 + weight)
  float epsilon = 0.0f;
  int64_t group = 0;  // columns normalized together; divides columns (head_dim for per-head norms)
};

struct ActivationArguments {
  Activation activation = Activation::identity;
  ConstMatrixView input;
  MatrixView out;  // may be the same memory as input
};

/// out = activation(gate) * up
struct GatedActivationArguments {
  Activation activation = Activation::identity;
  ConstMatrixView gate, up;
  MatrixView out;  // may be the same memory as either
};

/// Rows as they lie in memory, or the op that makes them, whose `out` is not written then.
using RowOrigin = std::variant<ConstMatrixView, NormArguments, ActivationArguments, GatedActivationArguments>;

struct QuantizeRowsArguments {
  RowOrigin rows;
  const LinearWeight* reader = nullptr;  // one of the weights that share the rows
  QuantizedRows* out = nullptr;
};

/// Rotation pairs: `half` couples column i with i + rotary_dim / 2 (Llama), `adjacent` 2i with 2i + 1 (GPT-J).
enum class RopePairing { half, adjacent };

struct RopeArguments {
  MatrixView x;           // [tokens, heads * head_dim], rotated in place
  ConstMatrixView table;  // [tokens, rotary_dim]: cosines (rotary_dim / 2), then sines
  int64_t heads = 0;
  int64_t head_dim = 0;
  int64_t rotary_dim = 0;  // the first columns of each head; the others stay
  RopePairing pairing = RopePairing::half;
};

/// A layer's share of a KV page. The backend chooses the layout within it.
struct KeyValueLayer {
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  size_t page_offset = 0;  // bytes from the page's start
  KeyValueForm form = KeyValueForm::float32;
};

struct StoreKeyValueArguments {
  ConstMatrixView key, value;  // [tokens, kv_heads * head_dim]
  std::span<const SequenceSlice> sequences;
  KeyValueLayer layer;
};

/// Kernels read biases in vectors of up to so many floats.
inline constexpr int64_t kDistancePadding = 16;

/// What is added to scores by distance: head h and key - p = d get values[h * stride + zero + d]. Every head's are
/// followed by kDistancePadding more floats, which may be read and don't count.
struct DistanceBias {
  const float* values = nullptr;  // null: nothing
  int64_t stride = 0;
  int64_t zero = 0;
};

/// Adds what positions say to the scores, before they are scaled (He et al., arXiv:2006.03654, section 3.1): head h of
/// query p and of key k get query . keys[i] + key . queries[i], where i = index[reach + p - k], p - k being cut to
/// [-reach, reach].
struct PositionTerms {
  const int32_t* index = nullptr;  // [2 * reach + 1], increasing, each a row of keys and queries; null: no terms
  int64_t reach = 0;
  ConstMatrixView keys;     // [places, heads * head_dim]; data null: no such term
  ConstMatrixView queries;  // likewise
};

struct AttentionArguments {
  ConstMatrixView query;  // [tokens, heads * head_dim]
  MatrixView out;         // [tokens, heads * head_dim]
  std::span<const SequenceSlice> sequences;
  KeyValueLayer layer;  // keys and values of positions [0, keys(sequence)), stored before
  int64_t heads = 0;    // a multiple of layer.kv_heads; query head h reads kv head h / (heads / kv_heads)
  float scale = 1.0f;
  bool causal = true;
  int64_t window = 0;  // > 0: position p sees keys (p - window, p] (if not causal: |p - key| < window)
  SparsePattern sparse{};
  PositionTerms positions{};            // where there are any, heads = layer.kv_heads
  float softcap = 0.0f;                 // > 0: scores become softcap * tanh(score / softcap)
  const float* alibi_slopes = nullptr;  // [heads]: adds slope * (key - p), or null
  /// Adds scale * (slope * key) instead, with slope, key and product rounded to bfloat16: what Falcon was trained with.
  bool alibi_bfloat16 = false;
  DistanceBias distance_bias{};  // added after scale and softcap
  /// The pages hold another sequence, `past` tokens long, all of which every row attends to: with causal false, and
  /// without anything above that depends on positions.
  bool cross = false;
  /// Null, or where the probabilities go: for each sequence [heads, count, keys], one sequence after another.
  float* probabilities = nullptr;

  int64_t keys(const SequenceSlice& sequence) const { return cross ? sequence.past : sequence.past + sequence.count; }
};

enum class ElementwiseKind { add, multiply };

struct LikeliestTokensArguments {
  ConstMatrixView logits;
  int64_t count = 0;  // 0 <= count <= logits.columns
  /// [rows, count] each: what log_softmax() gives, the largest first, of equal ones the lower token. Where it gives a
  /// row NaN, all entries of that row are NaN and the first token that gets it.
  int32_t* tokens = nullptr;
  float* log_probabilities = nullptr;
};

class Backend {
 public:
  virtual ~Backend() = default;

  virtual std::string_view name() const = 0;  // "cpu"
  virtual std::string_view isa() const = 0;   // "avx512", ...
  virtual int threads() const = 0;

  /// Packs W, reading `rows` from several threads. Throws INVALID_CHECKPOINT naming `description.name` if a value is
  /// not finite, ABORTED when `abort` becomes true.
  virtual std::unique_ptr<LinearWeight> pack_linear(const LinearWeightDescription& description, const RowSource& rows,
                                                    const std::atomic<bool>* abort) = 0;
  /// What pack_linear made of this description, around its sections() as `owner` keeps them alive. Null where their
  /// number or a size is not what the description asks for, and for a backend that can only pack.
  virtual std::unique_ptr<LinearWeight> adopt_linear(const LinearWeightDescription& description,
                                                     std::span<const std::span<const std::byte>> sections,
                                                     std::shared_ptr<const void> owner);
  /// A backend of one thread for the weights of this one, to work beside others like it; null: there is none.
  virtual std::unique_ptr<Backend> make_lane() const { return nullptr; }
  /// Calls work(task) for every task in [0, tasks), on the backend's threads of this machine.
  virtual void for_each(int64_t tasks, const std::function<void(int64_t task)>& work);
  virtual void linear(const LinearArguments& arguments) = 0;
  /// Whether linear ops of both weights can read the same QuantizedRows. False for a weight with itself means that its
  /// layer does not read quantized rows at all.
  virtual bool share_quantized_rows(const LinearWeight& left, const LinearWeight& right) const = 0;
  virtual std::unique_ptr<QuantizedRows> make_quantized_rows() const = 0;
  /// Gives linear() the bits that it has when it quantizes the rows itself.
  virtual void quantize_rows(const QuantizeRowsArguments& arguments) = 0;
  /// linear(), the rows of whose `out` only `reader` and those that share them read: quantized as quantize_rows() does.
  /// `out` is there, but need not be written.
  virtual void linear_to_quantized(const LinearArguments& arguments, const LinearWeight& reader, QuantizedRows& rows);
  /// linear(), of whose `out` only `gated` reads `gate` and `up`, and only `reader` and those that share them the rows
  /// that it makes: quantized as quantize_rows() does. Neither `out` need be written. No residual.
  virtual void gated_linear_to_quantized(const LinearArguments& arguments, const GatedActivationArguments& gated,
                                         const LinearWeight& reader, QuantizedRows& rows);
  /// The first column of the largest number of each row that linear() would write, where that can be told without
  /// writing them. False where it can't, or a row has a NaN or nothing above -infinity: `columns` mean nothing then.
  virtual bool largest_columns(const LinearArguments& arguments, std::span<int32_t> columns);
  virtual void embedding(const EmbeddingArguments& arguments) = 0;
  virtual void norm(const NormArguments& arguments) = 0;
  virtual void rope(const RopeArguments& arguments) = 0;
  /// Bytes that one layer takes in a page (a multiple of 64).
  virtual size_t key_value_page_bytes(int64_t kv_heads, int64_t head_dim, KeyValueForm form) const = 0;
  /// Pages need not be set to anything before their first position is stored; those after it are stored in order.
  virtual void store_key_value(const StoreKeyValueArguments& arguments) = 0;
  virtual void attention(const AttentionArguments& arguments) = 0;
  virtual void gated_activation(const GatedActivationArguments& arguments) = 0;
  virtual void activation(const ActivationArguments& arguments) = 0;
  virtual void elementwise(ElementwiseKind kind, ConstMatrixView left, ConstMatrixView right, MatrixView out) = 0;
  /// out = input * factor, then, if softcap > 0, softcap * tanh(out / softcap)
  virtual void scale(ConstMatrixView input, float factor, float softcap, MatrixView out) = 0;
  /// out.row(i) = input.row(rows[i])
  virtual void gather_rows(ConstMatrixView input, std::span<const int32_t> rows, MatrixView out) = 0;
  /// out = x - log(sum of e^x over the row), with one rounding to float32 of what is within 2^-23 of its own size; a
  /// row of NaN where an x is NaN or all are -infinity, NaN and -infinity where an x is infinity.
  virtual void log_softmax(ConstMatrixView logits, MatrixView out) = 0;
  virtual void likeliest_tokens(const LikeliestTokensArguments& arguments) = 0;
  virtual void expert_routing(const ExpertRoutingArguments& arguments) = 0;
  virtual void grouped_linear(const GroupedLinearArguments& arguments) = 0;
  virtual void weighted_sum(const WeightedSumArguments& arguments) = 0;
};

}  // namespace octoformer
