// What the tests of attention share: one layer's pages on a backend, and the definition to compare with.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "backend/half.h"
#include "cpu/aligned_memory.h"
#include "cpu/attention_ops.h"
#include "cpu/cpu_backend.h"
#include "cpu/isa_dispatch.h"
#include "quantization/quantized_matrix.h"
#include "reference/attention.h"
#include "reference/effort.h"
#include "reference/paged_cache.h"
#include "reference/random.h"

namespace octoformer::testing_attention {

using reference::PagedSequence;
using reference::Random;

struct Shape {
  int64_t heads, kv_heads, head_dim;
};

struct Pattern {
  bool causal = true;
  int64_t window = 0;
  float softcap = 0.0f;
  bool alibi = false;
  bool bfloat16_slopes = false;
  bool distances = false;
  SparsePattern sparse{};
};

inline std::string describe(const Shape& shape, const Pattern& pattern) {
  return std::to_string(shape.heads) + "/" + std::to_string(shape.kv_heads) + " heads of " +
         std::to_string(shape.head_dim) + (pattern.causal ? " causal" : " full") + " window " +
         std::to_string(pattern.window) + " softcap " + std::to_string(pattern.softcap) +
         (pattern.alibi ? " alibi" : "") + (pattern.bfloat16_slopes ? " in bfloat16" : "") +
         (pattern.distances ? " distances" : "") + " sinks " + std::to_string(pattern.sparse.sinks) + " stride " +
         std::to_string(pattern.sparse.stride) + " block " + std::to_string(pattern.sparse.block) + "/" +
         std::to_string(pattern.sparse.summary);
}

/// One sequence's projections for all its positions.
struct Tokens {
  Tokens(const Shape& shape, int64_t count, uint64_t seed) : positions(count) {
    Random random(seed);
    query = random.vector(count * shape.heads * shape.head_dim, -2.0f, 2.0f);
    key = random.vector(count * shape.kv_heads * shape.head_dim, -2.0f, 2.0f);
    value = random.vector(count * shape.kv_heads * shape.head_dim, -1.0f, 1.0f);
  }
  int64_t positions;
  std::vector<float> query, key, value;
};

inline std::vector<float> rounded(std::vector<float> numbers) {
  for (float& x : numbers) x = bfloat16_to_float(float_to_bfloat16(x));
  return numbers;
}

/// The keys and values that pages of a form stand for: rounded as native/quantization and backend/half.h say.
inline Tokens as_kept(Tokens tokens, const Shape& shape, KeyValueForm form) {
  for (std::vector<float>* numbers : {&tokens.key, &tokens.value}) {
    if (form == KeyValueForm::bfloat16) {
      *numbers = rounded(*numbers);
    } else if (form == KeyValueForm::int8) {
      const ConstMatrixView heads(numbers->data(), tokens.positions * shape.kv_heads, shape.head_dim, shape.head_dim);
      *numbers = dequantize(quantize(heads, Int8Mapping::absmax, Int8Granularity::row));
    }
  }
  return tokens;
}

/// Whether the ISA's attention over bfloat16 pages rounds queries and weights, too.
inline bool on_bfloat16_units(Isa isa, KeyValueForm form) {
  return form == KeyValueForm::bfloat16 && kernel_table(isa).attention.unit_rows > 0;
}

/// A backend with one layer's pages; steps any slices of sequences through store and attention.
class Layer {
 public:
  Layer(Isa isa, int threads, const Shape& shape, const Pattern& pattern, KeyValueForm form = KeyValueForm::float32)
      : shape_(shape),
        pattern_(pattern),
        form_(form),
        backend_(make_cpu_backend({.threads = threads, .isa = std::string(isa_name(isa))})) {
    for (int64_t head = 0; head < shape.heads; ++head) {
      slopes_.push_back(std::exp2(-static_cast<float>(head + 1)));
    }
    if (pattern.distances) distance_bias_ = Random(5).vector(shape.heads * kDistanceStride, -1.0f, 1.0f);
  }

  /// Runs attention with these kernels instead of the backend's. `rows` compute the softmax of probabilities.
  void use_kernels(const AttentionKernels& kernels, const RowKernels& rows) { attention_ = &kernels, rows_ = &rows; }

  float scale() const { return 1.0f / std::sqrt(static_cast<float>(shape_.head_dim)); }
  const Backend& backend() const { return *backend_; }
  const float* slopes() const { return pattern_.alibi ? slopes_.data() : nullptr; }

  DistanceBias distance_bias() const {
    if (!pattern_.distances) return {};
    return {.values = distance_bias_.data(), .stride = kDistanceStride, .zero = kLongest};
  }

  PagedSequence pages(int64_t positions) const {
    return PagedSequence(*backend_, shape_.kv_heads, shape_.head_dim, positions, kPageOffset, form_);
  }

  struct Step {
    const Tokens* tokens;
    const PagedSequence* pages;
    int64_t past, count;
  };

  /// The outputs of all steps, one after another, as one ragged batch. Rows are strided as views of wider buffers are.
  std::vector<float> run(const std::vector<Step>& steps, std::vector<float>* probabilities = nullptr) {
    const int64_t query_columns = shape_.heads * shape_.head_dim, key_columns = shape_.kv_heads * shape_.head_dim;
    int64_t rows = 0;
    size_t probability_count = 0;
    std::vector<SequenceSlice> slices;
    for (const Step& step : steps) {
      slices.push_back(step.pages->slice(rows, step.count, step.past));
      rows += step.count;
      probability_count += static_cast<size_t>(shape_.heads * step.count * (step.past + step.count));
    }
    const int64_t query_stride = query_columns + 3, key_stride = key_columns + 5;
    const float nan = std::numeric_limits<float>::quiet_NaN();
    std::vector<float> query(static_cast<size_t>(rows * query_stride), nan);
    std::vector<float> key(static_cast<size_t>(rows * key_stride), nan), value = key, out = query;
    for (size_t s = 0; s < steps.size(); ++s) {
      const Step& step = steps[s];
      for (int64_t row = 0; row < step.count; ++row) {
        const int64_t to = slices[s].first_row + row, from = step.past + row;
        std::copy_n(step.tokens->query.begin() + from * query_columns, query_columns,
                    query.begin() + to * query_stride);
        std::copy_n(step.tokens->key.begin() + from * key_columns, key_columns, key.begin() + to * key_stride);
        std::copy_n(step.tokens->value.begin() + from * key_columns, key_columns, value.begin() + to * key_stride);
      }
    }
    const KeyValueLayer layer{
        .kv_heads = shape_.kv_heads, .head_dim = shape_.head_dim, .page_offset = kPageOffset, .form = form_};
    backend_->store_key_value({.key = {key.data(), rows, key_columns, key_stride},
                               .value = {value.data(), rows, key_columns, key_stride},
                               .sequences = slices,
                               .layer = layer});
    if (probabilities != nullptr) probabilities->assign(probability_count, nan);
    const AttentionArguments arguments{.query = {query.data(), rows, query_columns, query_stride},
                                       .out = {out.data(), rows, query_columns, query_stride},
                                       .sequences = slices,
                                       .layer = layer,
                                       .heads = shape_.heads,
                                       .scale = scale(),
                                       .causal = pattern_.causal,
                                       .window = pattern_.window,
                                       .sparse = pattern_.sparse,
                                       .softcap = pattern_.softcap,
                                       .alibi_slopes = slopes(),
                                       .alibi_bfloat16 = pattern_.bfloat16_slopes,
                                       .distance_bias = distance_bias(),
                                       .probabilities = probabilities == nullptr ? nullptr : probabilities->data()};
    if (attention_ == nullptr) {
      backend_->attention(arguments);
    } else {
      AlignedMemory workspace;
      run_attention(*attention_, backend_->threads(), workspace, arguments);
      if (probabilities != nullptr) {
        run_attention_probabilities(*attention_, *rows_, backend_->threads(), arguments);
      }
    }
    std::vector<float> dense;
    for (int64_t row = 0; row < rows; ++row) {
      dense.insert(dense.end(), out.begin() + row * query_stride, out.begin() + row * query_stride + query_columns);
      for (int64_t gap = query_columns; gap < query_stride; ++gap) {
        EXPECT_TRUE(std::isnan(out[static_cast<size_t>(row * query_stride + gap)])) << "wrote beside the view";
      }
    }
    return dense;
  }

  static constexpr size_t kPageOffset = 192;

 private:
  static constexpr int64_t kLongest = 800;  // more than any sequence of these tests
  static constexpr int64_t kDistanceStride = 2 * kLongest + kDistancePadding;
  Shape shape_;
  Pattern pattern_;
  KeyValueForm form_;
  std::unique_ptr<Backend> backend_;
  const AttentionKernels* attention_ = nullptr;
  const RowKernels* rows_ = nullptr;
  std::vector<float> slopes_;
  std::vector<float> distance_bias_;
};

/// Scores are sums of head_dim products up to 4 * head_dim / sqrt(head_dim) with relative errors of about head_dim / 2
/// roundings in the worst case, in practice their square root: 2e-6 covers head_dim 256; exp turns an absolute error of
/// a score into a relative one of a probability. Values are below 1, so outputs have the same absolute error.
inline constexpr double kTolerance = 2e-5;

/// The relative error of weights that are rounded to bfloat16 next (kernels/attention_unit_softmax.h).
inline constexpr double kRoughExponential = 8.6e-5;

/// What weights of a softmax in bfloat16 (8 bits, nearest) do to an output at most: weights change by factors of
/// 1 +- 2^-8 (and by what they were wrong before they were rounded), and their mean of values by that share of the mean
/// distance of values from it (and a little, since the sum of weights changes as well).
inline double weight_rounding(const reference::Attention& exact, const std::vector<double>& probabilities,
                              const std::vector<double>& out, size_t at) {
  const int64_t column = static_cast<int64_t>(at) % exact.head_dim,
                row_head = static_cast<int64_t>(at) / exact.head_dim;
  const int64_t head = row_head % exact.heads, row = row_head / exact.heads;
  const int64_t kv_head = head / (exact.heads / exact.kv_heads);
  double distances = 0.0;
  for (int64_t key = 0; key < exact.keys; ++key) {
    const double value = static_cast<double>(exact.value[(key * exact.kv_heads + kv_head) * exact.head_dim + column]);
    distances +=
        probabilities[static_cast<size_t>((head * exact.count + row) * exact.keys + key)] * std::fabs(value - out[at]);
  }
  return (0x1p-8 + kRoughExponential) * 1.01 * distances;
}

/// Steps `count` tokens after `past` and compares outputs and probabilities. `on_units`: the layer rounds queries and
/// weights to bfloat16.
inline void compare_layer(Layer& layer, const Shape& shape, const Pattern& pattern, int64_t past, int64_t count,
                          KeyValueForm form, bool on_units) {
  SCOPED_TRACE(describe(shape, pattern) + " past " + std::to_string(past) + " count " + std::to_string(count));
  const Tokens tokens(shape, past + count, 7);
  Tokens kept = as_kept(tokens, shape, form);
  if (on_units) kept.query = rounded(kept.query);
  const reference::Attention exact{.heads = shape.heads,
                                   .kv_heads = shape.kv_heads,
                                   .head_dim = shape.head_dim,
                                   .count = count,
                                   .keys = past + count,
                                   .query = kept.query.data() + past * shape.heads * shape.head_dim,
                                   .key = kept.key.data(),
                                   .value = kept.value.data(),
                                   .scale = static_cast<double>(layer.scale()),
                                   .causal = pattern.causal,
                                   .window = pattern.window,
                                   .softcap = static_cast<double>(pattern.softcap),
                                   .slopes = layer.slopes(),
                                   .bfloat16_slopes = pattern.bfloat16_slopes,
                                   .distance_bias = layer.distance_bias().values,
                                   .distance_stride = layer.distance_bias().stride,
                                   .distance_zero = layer.distance_bias().zero,
                                   .sparse = pattern.sparse};
  const std::vector<double> exact_probabilities = exact.probabilities();
  const std::vector<double> exact_out = exact.output(exact_probabilities);
  const PagedSequence pages = layer.pages(past + count);
  if (past > 0) layer.run({{&tokens, &pages, 0, past}});
  std::vector<float> probabilities;
  const std::vector<float> out = layer.run({{&tokens, &pages, past, count}}, &probabilities);
  double worst = 0.0, worst_probability = 0.0;
  for (size_t i = 0; i < out.size(); ++i) {
    ASSERT_TRUE(std::isfinite(out[i])) << i;
    const double allowed = on_units ? weight_rounding(exact, exact_probabilities, exact_out, i) : 0.0;
    worst = std::max(worst, std::fabs(static_cast<double>(out[i]) - exact_out[i]) - allowed);
  }
  for (size_t i = 0; i < probabilities.size(); ++i) {
    ASSERT_TRUE(std::isfinite(probabilities[i])) << i;
    if (exact_probabilities[i] == 0.0) {
      ASSERT_EQ(probabilities[i], 0.0f) << "a masked key at " << i;
    }
    worst_probability =
        std::max(worst_probability, std::fabs(static_cast<double>(probabilities[i]) - exact_probabilities[i]));
  }
  EXPECT_LT(worst, kTolerance);
  EXPECT_LT(worst_probability, kTolerance);
}

/// compare_layer under every ISA.
inline void compare_with_reference(const Shape& shape, const Pattern& pattern, int64_t past, int64_t count,
                                   KeyValueForm form = KeyValueForm::float32) {
  for (const Isa isa : available_isas()) {
    SCOPED_TRACE(isa_name(isa));
    Layer layer(isa, 2, shape, pattern, form);
    const bool on_units = on_bfloat16_units(isa, form) && !pattern.sparse.any();
    compare_layer(layer, shape, pattern, past, count, form, on_units);
  }
}

}  // namespace octoformer::testing_attention
