#include "reference/reference_backend.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "backend/error.h"
#include "backend/half.h"
#include "reference/attention.h"
#include "reference/attention_pattern.h"
#include "reference/rows.h"

namespace octoformer {

namespace {

float rounded(float value, WeightForm form) {
  switch (form) {
    case WeightForm::float32:
      return value;
    case WeightForm::bfloat16:
      return bfloat16_to_float(float_to_bfloat16(value));
    case WeightForm::float16:
      return float16_to_float(float_to_float16(value));
    case WeightForm::int8:
      fail(ErrorCode::unsupported_option, "the reference backend has no int8 weights");
  }
  return value;
}

/// Where the vector of a position lies in a page, for keys (part 0) or values (part 1).
float* page_vector(const SequenceSlice& sequence, const KeyValueLayer& layer, int part, int64_t kv_head,
                   int64_t position) {
  std::byte* page = sequence.pages[static_cast<size_t>(position / kKeyValuePageTokens)];
  auto* floats = reinterpret_cast<float*>(page + layer.page_offset);
  const int64_t slot = position % kKeyValuePageTokens;
  return floats + ((part * layer.kv_heads + kv_head) * kKeyValuePageTokens + slot) * layer.head_dim;
}

/// PositionTerms of one score, before it is scaled.
double position_terms(const AttentionArguments& arguments, int64_t head, int64_t distance, const float* query,
                      const float* key) {
  const PositionTerms& positions = arguments.positions;
  if (positions.index == nullptr) return 0;
  const int64_t place = positions.index[positions.reach + std::clamp(distance, -positions.reach, positions.reach)];
  const int64_t head_dim = arguments.layer.head_dim;
  double sum = 0;
  for (int64_t d = 0; d < head_dim; ++d) {
    const int64_t column = head * head_dim + d;
    if (positions.keys.data != nullptr) sum += static_cast<double>(query[d]) * positions.keys.row(place)[column];
    if (positions.queries.data != nullptr) sum += static_cast<double>(key[d]) * positions.queries.row(place)[column];
  }
  return sum;
}

}  // namespace

double reference_activation(Activation activation, double x) {
  switch (activation) {
    case Activation::identity:
      return x;
    case Activation::relu:
      return std::max(x, 0.0);
    case Activation::relu_squared:
      return x > 0 ? x * x : 0.0;
    case Activation::silu:
      return x / (1 + std::exp(-x));
    case Activation::gelu:
      return 0.5 * x * (1 + std::erf(x / std::numbers::sqrt2));
    case Activation::gelu_tanh:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
    case Activation::gelu_quick:
      return x / (1 + std::exp(-1.702 * x));
    case Activation::tanh:
      return std::tanh(x);
    case Activation::sigmoid:
      return 1 / (1 + std::exp(-x));
  }
  return x;
}

std::unique_ptr<LinearWeight> ReferenceBackend::pack_linear(const LinearWeightDescription& description,
                                                            const RowSource& rows, const std::atomic<bool>* abort) {
  std::vector<float> values(static_cast<size_t>(description.out_features * description.in_features));
  for (int64_t row = 0; row < description.out_features; ++row) {
    if (abort != nullptr && abort->load()) fail(ErrorCode::aborted, "loading was aborted");
    rows.read_rows(row, 1, values.data() + row * description.in_features);
  }
  for (float& value : values) {
    if (!std::isfinite(value)) fail(ErrorCode::invalid_checkpoint, description.name, " has a value that is not finite");
    value = rounded(value, description.form);
    if (description.compute == ComputeType::bfloat16) value = rounded(value, WeightForm::bfloat16);
  }
  return std::make_unique<ReferenceWeight>(description, std::move(values));
}

void ReferenceBackend::linear(const LinearArguments& arguments) {
  const auto& weight = static_cast<const ReferenceWeight&>(*arguments.weight);
  const bool bfloat16 = weight.description().compute == ComputeType::bfloat16;
  for (int64_t i = 0; i < arguments.input.rows; ++i) {
    for (int64_t n = 0; n < arguments.out.columns; ++n) {
      double sum = 0;
      for (int64_t k = 0; k < arguments.input.columns; ++k) {
        const float a = arguments.input.row(i)[k];
        sum += static_cast<double>(bfloat16 ? rounded(a, WeightForm::bfloat16) : a) * weight.row(n)[k];
      }
      if (arguments.bias != nullptr) sum += arguments.bias[n];
      sum = reference_activation(arguments.activation, sum);
      if (arguments.residual.data != nullptr) sum += arguments.residual.row(i)[n];
      arguments.out.row(i)[n] = static_cast<float>(sum);
    }
  }
}

void ReferenceBackend::embedding(const EmbeddingArguments& arguments) {
  const auto& table = static_cast<const ReferenceWeight&>(*arguments.table);
  for (size_t i = 0; i < arguments.indices.size(); ++i) {
    float* out = arguments.out.row(static_cast<int64_t>(i));
    for (int64_t k = 0; k < arguments.out.columns; ++k) {
      const float value = table.row(arguments.indices[i])[k] * arguments.scale;
      out[k] = arguments.accumulate ? out[k] + value : value;
    }
  }
}

void ReferenceBackend::norm(const NormArguments& arguments) {
  for (int64_t i = 0; i < arguments.input.rows; ++i) {
    for (int64_t first = 0; first < arguments.input.columns; first += arguments.group) {
      const float* in = arguments.input.row(i) + first;
      float* out = arguments.out.row(i) + first;
      const auto count = static_cast<double>(arguments.group);
      double mean = 0;
      if (arguments.kind == NormKind::layer) {
        for (int64_t k = 0; k < arguments.group; ++k) mean += in[k];
        mean /= count;
      }
      double square = 0;
      for (int64_t k = 0; k < arguments.group; ++k) square += (in[k] - mean) * (in[k] - mean);
      const double scale = 1 / std::sqrt(square / count + arguments.epsilon);
      for (int64_t k = 0; k < arguments.group; ++k) {
        double value = (in[k] - mean) * scale;
        if (arguments.weight != nullptr) value *= static_cast<double>(arguments.weight[k]) + arguments.weight_offset;
        if (arguments.bias != nullptr) value += arguments.bias[k];
        out[k] = static_cast<float>(value);
      }
    }
  }
}

void ReferenceBackend::rope(const RopeArguments& arguments) {
  const int64_t half = arguments.rotary_dim / 2;
  const bool adjacent = arguments.pairing == RopePairing::adjacent;
  for (int64_t i = 0; i < arguments.x.rows; ++i) {
    for (int64_t head = 0; head < arguments.heads; ++head) {
      float* x = arguments.x.row(i) + head * arguments.head_dim;
      for (int64_t j = 0; j < half; ++j) {
        float& first = x[adjacent ? 2 * j : j];
        float& second = x[adjacent ? 2 * j + 1 : j + half];
        const double cosine = arguments.table.row(i)[j];
        const double sine = arguments.table.row(i)[half + j];
        const double a = first;
        const double b = second;
        first = static_cast<float>(a * cosine - b * sine);
        second = static_cast<float>(b * cosine + a * sine);
      }
    }
  }
}

size_t ReferenceBackend::key_value_page_bytes(int64_t kv_heads, int64_t head_dim, KeyValueForm) const {
  const auto bytes = static_cast<size_t>(2 * kv_heads * kKeyValuePageTokens * head_dim) * sizeof(float);
  return (bytes + 63) / 64 * 64;
}

void ReferenceBackend::store_key_value(const StoreKeyValueArguments& arguments) {
  const KeyValueLayer& layer = arguments.layer;
  for (const SequenceSlice& sequence : arguments.sequences) {
    for (int64_t i = 0; i < sequence.count; ++i) {
      for (int64_t head = 0; head < layer.kv_heads; ++head) {
        const float* key = arguments.key.row(sequence.first_row + i) + head * layer.head_dim;
        const float* value = arguments.value.row(sequence.first_row + i) + head * layer.head_dim;
        std::copy(key, key + layer.head_dim, page_vector(sequence, layer, 0, head, sequence.past + i));
        std::copy(value, value + layer.head_dim, page_vector(sequence, layer, 1, head, sequence.past + i));
      }
    }
  }
}

void ReferenceBackend::attention(const AttentionArguments& arguments) {
  const KeyValueLayer& layer = arguments.layer;
  float* probabilities = arguments.probabilities;
  for (const SequenceSlice& sequence : arguments.sequences) {
    const int64_t length = arguments.keys(sequence);
    for (int64_t head = 0; head < arguments.heads; ++head) {
      const int64_t kv_head = head / (arguments.heads / layer.kv_heads);
      for (int64_t i = 0; i < sequence.count; ++i) {
        const int64_t position = sequence.past + i;
        const float* query = arguments.query.row(sequence.first_row + i) + head * layer.head_dim;
        std::vector<double> scores(static_cast<size_t>(length), -std::numeric_limits<double>::infinity());
        double largest = -std::numeric_limits<double>::infinity();
        for (int64_t key = 0; key < length; ++key) {
          if (!reference::attends(arguments.causal, arguments.window, arguments.sparse, position, key)) continue;
          const float* vector = page_vector(sequence, layer, 0, kv_head, key);
          double score = 0;
          for (int64_t d = 0; d < layer.head_dim; ++d) score += static_cast<double>(query[d]) * vector[d];
          score += position_terms(arguments, head, position - key, query, vector);
          score *= arguments.scale;
          if (arguments.softcap > 0) score = arguments.softcap * std::tanh(score / arguments.softcap);
          if (arguments.alibi_slopes != nullptr && arguments.alibi_bfloat16) {
            score +=
                arguments.scale * reference::bfloat16_product(arguments.alibi_slopes[head], static_cast<float>(key));
          } else if (arguments.alibi_slopes != nullptr) {
            score += static_cast<double>(arguments.alibi_slopes[head]) * static_cast<double>(key - position);
          }
          if (const DistanceBias& bias = arguments.distance_bias; bias.values != nullptr) {
            score += bias.values[head * bias.stride + bias.zero + key - position];
          }
          scores[static_cast<size_t>(key)] = score;
          largest = std::max(largest, score);
        }
        double total = 0;
        for (double& score : scores) total += score = std::exp(score - largest);
        std::vector<double> sums(static_cast<size_t>(layer.head_dim));
        for (int64_t key = 0; key < length; ++key) {
          const double probability = scores[static_cast<size_t>(key)] / total;
          if (probabilities != nullptr) *probabilities++ = static_cast<float>(probability);
          if (probability == 0) continue;
          const float* vector = page_vector(sequence, layer, 1, kv_head, key);
          for (int64_t d = 0; d < layer.head_dim; ++d) sums[static_cast<size_t>(d)] += probability * vector[d];
        }
        float* out = arguments.out.row(sequence.first_row + i) + head * layer.head_dim;
        for (int64_t d = 0; d < layer.head_dim; ++d) out[d] = static_cast<float>(sums[static_cast<size_t>(d)]);
      }
    }
  }
}

void ReferenceBackend::gated_activation(const GatedActivationArguments& arguments) {
  const MatrixView& out = arguments.out;
  for (int64_t i = 0; i < out.rows; ++i) {
    for (int64_t k = 0; k < out.columns; ++k) {
      out.row(i)[k] = static_cast<float>(reference_activation(arguments.activation, arguments.gate.row(i)[k]) *
                                         arguments.up.row(i)[k]);
    }
  }
}

void ReferenceBackend::activation(const ActivationArguments& arguments) {
  const MatrixView& out = arguments.out;
  for (int64_t i = 0; i < out.rows; ++i) {
    for (int64_t k = 0; k < out.columns; ++k) {
      out.row(i)[k] = static_cast<float>(reference_activation(arguments.activation, arguments.input.row(i)[k]));
    }
  }
}

void ReferenceBackend::elementwise(ElementwiseKind kind, ConstMatrixView left, ConstMatrixView right, MatrixView out) {
  for (int64_t i = 0; i < out.rows; ++i) {
    for (int64_t k = 0; k < out.columns; ++k) {
      const float a = left.row(i)[k];
      const float b = right.row(i)[k];
      out.row(i)[k] = kind == ElementwiseKind::add ? a + b : a * b;
    }
  }
}

void ReferenceBackend::scale(ConstMatrixView input, float factor, float softcap, MatrixView out) {
  for (int64_t i = 0; i < out.rows; ++i) {
    for (int64_t k = 0; k < out.columns; ++k) {
      double value = static_cast<double>(input.row(i)[k]) * factor;
      if (softcap > 0) value = softcap * std::tanh(value / softcap);
      out.row(i)[k] = static_cast<float>(value);
    }
  }
}

void ReferenceBackend::log_softmax(ConstMatrixView logits, MatrixView out) {
  for (int64_t row = 0; row < out.rows; ++row) {
    const double total = reference::log_sum_exp(logits.row(row), out.columns);
    for (int64_t k = 0; k < out.columns; ++k) {
      out.row(row)[k] = static_cast<float>(static_cast<double>(logits.row(row)[k]) - total);
    }
  }
}

void ReferenceBackend::likeliest_tokens(const LikeliestTokensArguments& arguments) {
  const int64_t columns = arguments.logits.columns;
  std::vector<float> scores(static_cast<size_t>(columns));
  for (int64_t row = 0; row < arguments.logits.rows; ++row) {
    log_softmax({arguments.logits.row(row), 1, columns, columns}, {scores.data(), 1, columns, columns});
    const reference::LikeliestTokens found = reference::likeliest_tokens(scores, arguments.count);
    std::copy(found.tokens.begin(), found.tokens.end(), arguments.tokens + row * arguments.count);
    std::copy(found.scores.begin(), found.scores.end(), arguments.log_probabilities + row * arguments.count);
  }
}

void ReferenceBackend::gather_rows(ConstMatrixView input, std::span<const int32_t> rows, MatrixView out) {
  for (size_t i = 0; i < rows.size(); ++i) {
    std::copy(input.row(rows[i]), input.row(rows[i]) + input.columns, out.row(static_cast<int64_t>(i)));
  }
}

}  // namespace octoformer
