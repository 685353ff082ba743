// The C++ mirror of ts/graph/program.ts: what a model computes, as a flat list of ops over weights and buffers. The
// meaning of every field stands there; this file only names and types them.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "backend/activation.h"
#include "backend/backend.h"
#include "backend/linear_weight.h"

namespace octoformer {

/// What the rows of a buffer stand for; their number is known at run time only, but for Program::places.
enum class RowSymbol : int { tokens, rows, sequences, places };
inline constexpr int kRowSymbols = 4;
const char* row_symbol_name(RowSymbol symbol);

struct BufferDescription {
  RowSymbol rows = RowSymbol::tokens;
  int64_t columns = 0;
};

/// Columns [offset, offset + columns) of a buffer.
struct Value {
  int32_t buffer = 0;
  int64_t offset = 0;
  int64_t columns = 0;
};

struct CacheLayerDescription {
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  KeyValueForm form = KeyValueForm::float32;
};

enum class WeightRole { linear, vector };

struct PermuteRows {
  std::vector<int64_t> dims;
  std::vector<int64_t> axes;
};

struct TakeRows {
  int64_t first = 0;
  int64_t count = 0;
};

struct WeightPart {
  std::string tensor;
  std::vector<int64_t> shape;
  bool transpose = false;
  std::optional<int64_t> entry;  // of a stack of matrices [entries, rows, columns]: which one
  std::optional<PermuteRows> permute_rows;
  std::optional<TakeRows> take_rows;
  std::string scale;  // empty: none
};

struct WeightDescription {
  std::string name;
  WeightRole role = WeightRole::linear;
  std::vector<int64_t> shape;
  std::optional<WeightForm> form;  // none: as the checkpoint has it
  ComputeType compute = ComputeType::float32;
  std::vector<WeightPart> parts;
  Int8Settings int8{};  // of the form int8
  bool table = false;   // found by the compiler: no op multiplies with it
};

enum class IndexSource { input_ids, position_ids, token_type_ids, places };

struct EmbeddingOp {
  static constexpr std::string_view kName = "embedding";
  IndexSource index = IndexSource::input_ids;
  int64_t offset = 0;
  int32_t table = 0;
  float scale = 1.0f;
  bool accumulate = false;
  Value out;
};

struct LinearOp {
  static constexpr std::string_view kName = "linear";
  Value input;
  int32_t weight = 0;
  std::optional<int32_t> bias;
  Activation activation = Activation::identity;
  std::optional<Value> residual;
  Value out;
};

struct NormOp {
  static constexpr std::string_view kName = "norm";
  NormKind kind = NormKind::rms;
  Value input;
  Value out;
  std::optional<int32_t> weight;
  std::optional<int32_t> bias;
  float weight_offset = 0.0f;
  float epsilon = 0.0f;
  int64_t group = 0;  // never 0 after parsing: all columns when the Program has none
};

struct RopeTableOp {
  static constexpr std::string_view kName = "rope_table";
  struct Long {
    int64_t original_max = 0;
    std::vector<float> inv_freq;
    float attention_factor = 1.0f;
  };
  struct Dynamic {
    int64_t max = 0;
    float base = 0.0f;
    float factor = 0.0f;
  };
  Value out;
  std::vector<float> inv_freq;
  float attention_factor = 1.0f;
  std::optional<Long> long_context;
  std::optional<Dynamic> dynamic;
};

struct RopeOp {
  static constexpr std::string_view kName = "rope";
  Value x;
  Value table;
  int64_t heads = 0;
  int64_t head_dim = 0;
  RopePairing pairing = RopePairing::half;
};

struct RelativeBias {
  int32_t table = 0;
  int64_t max_distance = 0;
  bool bidirectional = false;
  bool operator==(const RelativeBias&) const = default;
};

/// Sines and cosines of positions.
struct SinusoidalOp {
  static constexpr std::string_view kName = "sinusoidal";
  Value out;
  std::vector<double> inv_freq;
  bool interleaved = false;  // else all sines, then all cosines
  int64_t offset = 0;        // added to positions
  int32_t padding_id = -1;   // tokens with zeros instead; -1: none
  bool accumulate = false;
};

/// What each distance between a query and a key adds to the score (PositionTerms in backend/backend.h).
struct AttentionPositions {
  std::vector<int32_t> index;  // an odd number of them, increasing
  std::optional<Value> keys;
  std::optional<Value> queries;
};

struct AttentionOp {
  static constexpr std::string_view kName = "attention";
  Value query;
  Value key;
  Value value;
  Value out;
  int32_t layer = 0;
  int64_t heads = 0;
  float scale = 1.0f;
  bool causal = true;
  int64_t window = 0;  // 0: none
  SparsePattern sparse;
  std::optional<AttentionPositions> positions;
  float softcap = 0.0f;
  std::vector<float> alibi_slopes;  // empty: none
  bool alibi_bfloat16 = false;
  std::optional<RelativeBias> relative_bias;
  std::string probabilities;  // empty: none
};

/// Of an encoder: keeps keys and values for the decoder's cross attentions.
struct StoreCrossOp {
  static constexpr std::string_view kName = "store_cross";
  Value key;
  Value value;
  int32_t layer = 0;
};

struct CrossAttentionOp {
  static constexpr std::string_view kName = "cross_attention";
  Value query;
  Value out;
  int32_t layer = 0;
  int64_t heads = 0;
  float scale = 1.0f;
  std::string probabilities;  // empty: none
};

struct GatedActivationOp {
  static constexpr std::string_view kName = "gated_activation";
  Value gate;
  Value up;
  Activation activation = Activation::identity;
  Value out;
};

struct ActivationOp {
  static constexpr std::string_view kName = "activation";
  Value input;
  Activation activation = Activation::identity;
  Value out;
};

struct ElementwiseOp {
  static constexpr std::string_view kName = "elementwise";
  ElementwiseKind kind = ElementwiseKind::add;
  Value left;
  Value right;
  Value out;
};

struct ScaleOp {
  static constexpr std::string_view kName = "scale";
  Value input;
  float factor = 1.0f;
  float softcap = 0.0f;  // 0: none
  Value out;
};

struct ExpertRoutingOp {
  static constexpr std::string_view kName = "expert_routing";
  Value logits;
  bool normalize = false;
  Value experts;
  Value weights;
};

struct GroupedLinearOp {
  static constexpr std::string_view kName = "grouped_linear";
  Value input;
  Value experts;
  std::vector<int32_t> weights;  // one an expert
  Value out;
};

struct WeightedSumOp {
  static constexpr std::string_view kName = "weighted_sum";
  Value input;
  Value weights;
  std::optional<Value> residual;
  Value out;
};

struct GatherRowsOp {
  static constexpr std::string_view kName = "gather_rows";
  Value input;
  Value out;
};

struct OutputOp {
  static constexpr std::string_view kName = "output";
  std::string name;
  Value input;
};

using Op = std::variant<EmbeddingOp, LinearOp, NormOp, RopeTableOp, RopeOp, SinusoidalOp, AttentionOp, StoreCrossOp,
                        CrossAttentionOp, GatedActivationOp, ActivationOp, ElementwiseOp, ScaleOp, ExpertRoutingOp,
                        GroupedLinearOp, WeightedSumOp, GatherRowsOp, OutputOp>;

std::string_view op_name(const Op& op);

struct Program {
  std::vector<WeightDescription> weights;
  int64_t places = 0;  // 0: no buffer has them as its rows
  std::vector<BufferDescription> buffers;
  std::vector<CacheLayerDescription> cache_layers;
  /// Keys and values that pass from the encoder to the decoder.
  std::vector<CacheLayerDescription> cross_layers;
  std::vector<Op> ops;
};

/// The Programs of a model, which share weights, buffers and cross layers (both have the same lists).
struct ModelProgram {
  Program main;                    // the decoder's, where there is an encoder
  std::optional<Program> encoder;  // run once a sequence, before the decoder
};

/// The output that the sampler reads; its buffer has one row an asked-for row.
inline constexpr std::string_view kLogitsOutput = "logits";

/// No matrix of any model comes near this many columns (the largest vocabularies have 2^18 entries); with it, and with
/// row counts of 31 bits, sizes can't overflow 64 bits.
inline constexpr int64_t kMaxColumns = int64_t{1} << 24;

/// Reads the JSON of a Program. Throws INVALID_ARGUMENT naming the place ("ops[3].input.buffer") for a missing, unknown
/// or mistyped key and for an index that points nowhere. Shapes are the compiler's business.
ModelProgram parse_program(std::string json);

}  // namespace octoformer
