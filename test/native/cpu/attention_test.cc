#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "cpu/cpu_backend.h"
#include "cpu/isa.h"
#include "reference/attention.h"
#include "reference/effort.h"
#include "reference/paged_cache.h"
#include "reference/random.h"

namespace octoformer {
namespace {

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
};

std::string describe(const Shape& shape, const Pattern& pattern) {
  return std::to_string(shape.heads) + "/" + std::to_string(shape.kv_heads) + " heads of " +
         std::to_string(shape.head_dim) + (pattern.causal ? " causal" : " full") + " window " +
         std::to_string(pattern.window) + " softcap " + std::to_string(pattern.softcap) +
         (pattern.alibi ? " alibi" : "") + (pattern.bfloat16_slopes ? " in bfloat16" : "") +
         (pattern.distances ? " distances" : "");
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

/// A backend with one layer's pages; steps any slices of sequences through store and attention.
class Layer {
 public:
  Layer(Isa isa, int threads, const Shape& shape, const Pattern& pattern)
      : shape_(shape),
        pattern_(pattern),
        backend_(make_cpu_backend({.threads = threads, .isa = std::string(isa_name(isa))})) {
    for (int64_t head = 0; head < shape.heads; ++head) {
      slopes_.push_back(std::exp2(-static_cast<float>(head + 1)));
    }
    if (pattern.distances) distance_bias_ = Random(5).vector(shape.heads * kDistanceStride, -1.0f, 1.0f);
  }

  float scale() const { return 1.0f / std::sqrt(static_cast<float>(shape_.head_dim)); }
  const Backend& backend() const { return *backend_; }
  const float* slopes() const { return pattern_.alibi ? slopes_.data() : nullptr; }

  DistanceBias distance_bias() const {
    if (!pattern_.distances) return {};
    return {.values = distance_bias_.data(), .stride = kDistanceStride, .zero = kLongest};
  }

  PagedSequence pages(int64_t positions) const {
    return PagedSequence(*backend_, shape_.kv_heads, shape_.head_dim, positions, kPageOffset);
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
    const KeyValueLayer layer{.kv_heads = shape_.kv_heads, .head_dim = shape_.head_dim, .page_offset = kPageOffset};
    backend_->store_key_value({.key = {key.data(), rows, key_columns, key_stride},
                               .value = {value.data(), rows, key_columns, key_stride},
                               .sequences = slices,
                               .layer = layer});
    if (probabilities != nullptr) probabilities->assign(probability_count, nan);
    backend_->attention({.query = {query.data(), rows, query_columns, query_stride},
                         .out = {out.data(), rows, query_columns, query_stride},
                         .sequences = slices,
                         .layer = layer,
                         .heads = shape_.heads,
                         .scale = scale(),
                         .causal = pattern_.causal,
                         .window = pattern_.window,
                         .softcap = pattern_.softcap,
                         .alibi_slopes = slopes(),
                         .alibi_bfloat16 = pattern_.bfloat16_slopes,
                         .distance_bias = distance_bias(),
                         .probabilities = probabilities == nullptr ? nullptr : probabilities->data()});
    std::vector<float> dense;
    for (int64_t row = 0; row < rows; ++row) {
      dense.insert(dense.end(), out.begin() + row * query_stride, out.begin() + row * query_stride + query_columns);
      for (int64_t gap = query_columns; gap < query_stride; ++gap) {
        EXPECT_TRUE(std::isnan(out[static_cast<size_t>(row * query_stride + gap)])) << "wrote beside the view";
      }
    }
    return dense;
  }

 private:
  static constexpr size_t kPageOffset = 192;
  static constexpr int64_t kLongest = 800;  // more than any sequence of these tests
  static constexpr int64_t kDistanceStride = 2 * kLongest + kDistancePadding;
  Shape shape_;
  Pattern pattern_;
  std::unique_ptr<Backend> backend_;
  std::vector<float> slopes_;
  std::vector<float> distance_bias_;
};

const Shape kShapes[] = {{1, 1, 1},  {4, 4, 12},  {6, 2, 16},  {9, 3, 64},
                         {5, 1, 80}, {26, 1, 17}, {2, 2, 128}, {2, 1, 256}};

const Pattern kPatterns[] = {
    {},
    {.causal = false},
    {.window = 1},
    {.window = 37},
    {.window = 300},
    {.causal = false, .window = 41},
    {.softcap = 1.5f},
    {.alibi = true},
    {.alibi = true, .bfloat16_slopes = true},
    {.causal = false, .softcap = 30.0f, .alibi = true},
    {.distances = true},
    {.causal = false, .distances = true},
};

/// Scores are sums of head_dim products up to 4 * head_dim / sqrt(head_dim) with relative errors of about head_dim / 2
/// roundings in the worst case, in practice their square root: 2e-6 covers head_dim 256; exp turns an absolute error of
/// a score into a relative one of a probability. Values are below 1, so outputs have the same absolute error.
constexpr double kTolerance = 2e-5;

/// Steps `count` tokens after `past` under every ISA and compares outputs and probabilities.
void compare_with_reference(const Shape& shape, const Pattern& pattern, int64_t past, int64_t count) {
  const Tokens tokens(shape, past + count, 7);
  const Layer first(Isa::scalar, 1, shape, pattern);
  const reference::Attention exact{.heads = shape.heads,
                                   .kv_heads = shape.kv_heads,
                                   .head_dim = shape.head_dim,
                                   .count = count,
                                   .keys = past + count,
                                   .query = tokens.query.data() + past * shape.heads * shape.head_dim,
                                   .key = tokens.key.data(),
                                   .value = tokens.value.data(),
                                   .scale = static_cast<double>(first.scale()),
                                   .causal = pattern.causal,
                                   .window = pattern.window,
                                   .softcap = static_cast<double>(pattern.softcap),
                                   .slopes = first.slopes(),
                                   .bfloat16_slopes = pattern.bfloat16_slopes,
                                   .distance_bias = first.distance_bias().values,
                                   .distance_stride = first.distance_bias().stride,
                                   .distance_zero = first.distance_bias().zero};
  const std::vector<double> exact_probabilities = exact.probabilities();
  const std::vector<double> exact_out = exact.output(exact_probabilities);
  for (const Isa isa : available_isas()) {
    SCOPED_TRACE(std::string(isa_name(isa)) + " " + describe(shape, pattern) + " past " + std::to_string(past) +
                 " count " + std::to_string(count));
    Layer layer(isa, 2, shape, pattern);
    const PagedSequence pages = layer.pages(past + count);
    if (past > 0) layer.run({{&tokens, &pages, 0, past}});
    std::vector<float> probabilities;
    const std::vector<float> out = layer.run({{&tokens, &pages, past, count}}, &probabilities);
    double worst = 0.0, worst_probability = 0.0;
    for (size_t i = 0; i < out.size(); ++i) {
      ASSERT_TRUE(std::isfinite(out[i])) << i;
      worst = std::max(worst, std::fabs(static_cast<double>(out[i]) - exact_out[i]));
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
}

TEST(Attention, EveryPatternAndShapeIsWhatTheDefinitionSays) {
  reference::CaseFilter cases(11);  // no divisor of the 12 patterns: each case takes another
  for (const Shape& shape : kShapes) {
    for (const Pattern& pattern : kPatterns) {
      if (!cases.next()) continue;
      compare_with_reference(shape, pattern, 0, 1);
      compare_with_reference(shape, pattern, 0, 33);
      compare_with_reference(shape, pattern, 31, 5);
      compare_with_reference(shape, pattern, 64, 1);
    }
  }
}

TEST(Attention, SeveralGroupsOfKeys) {
  reference::CaseFilter cases(8);
  for (const Pattern& pattern : kPatterns) {
    if (!cases.next()) continue;
    compare_with_reference({2, 1, 9}, pattern, 0, 263);
    compare_with_reference({2, 1, 9}, pattern, 509, 5);
    compare_with_reference({2, 1, 9}, pattern, 767, 1);
  }
}

TEST(Attention, TheBitsAreTheSameInPrefillInChunksInDecodeInBatchesAndOnAnyNumberOfThreads) {
  constexpr int64_t kLength = 281;  // more than one group of 256 keys
  for (const Isa isa : available_isas()) {
    reference::CaseFilter cases(5);
    // The first is large enough that decoding spreads groups over threads, the second that it does not.
    for (const Shape& shape : {Shape{3, 1, 128}, Shape{2, 1, 5}}) {
      for (const Pattern& pattern : kPatterns) {
        // A full pattern attends to all tokens of the step by definition; a window of 1 copies values.
        if (!pattern.causal || pattern.window == 1 || !cases.next()) continue;
        SCOPED_TRACE(std::string(isa_name(isa)) + " " + describe(shape, pattern));
        const Tokens tokens(shape, kLength, 11), other(shape, 77, 12), third(shape, 1, 13);
        const size_t columns = static_cast<size_t>(shape.heads * shape.head_dim);

        Layer one(isa, 1, shape, pattern);
        const PagedSequence pages = one.pages(kLength);
        const std::vector<float> whole = one.run({{&tokens, &pages, 0, kLength}});

        for (const int threads : {2, 3}) {
          Layer several(isa, threads, shape, pattern);
          const PagedSequence again = several.pages(kLength);
          EXPECT_EQ(several.run({{&tokens, &again, 0, kLength}}), whole) << threads << " threads";
        }

        Layer stepping(isa, 3, shape, pattern);
        const PagedSequence step_pages = stepping.pages(kLength);
        std::vector<float> stepped;
        for (int64_t past = 0; past < kLength;) {  // chunks of 1, 2, ... then single tokens
          const int64_t count = past < 250 ? std::min<int64_t>(past % 53 + 1, 250 - past) : 1;
          const std::vector<float> rows = stepping.run({{&tokens, &step_pages, past, count}});
          stepped.insert(stepped.end(), rows.begin(), rows.end());
          past += count;
        }
        EXPECT_EQ(stepped, whole) << "chunks and decode";

        Layer batched(isa, 2, shape, pattern);
        const PagedSequence a = batched.pages(77), b = batched.pages(kLength), c = batched.pages(1);
        const std::vector<float> batch =
            batched.run({{&other, &a, 0, 77}, {&tokens, &b, 0, kLength}, {&third, &c, 0, 1}, {&third, &c, 1, 0}});
        const auto start = batch.begin() + static_cast<std::ptrdiff_t>(77 * columns);
        EXPECT_EQ(std::vector<float>(start, start + static_cast<std::ptrdiff_t>(whole.size())), whole) << "batch";
      }
    }
  }
}

TEST(Attention, WhatIsMaskedHasNoEffectWhateverItHolds) {
  constexpr int64_t kLength = 70;
  const Shape shape{6, 2, 20};
  for (const Isa isa : available_isas()) {
    for (const Pattern& pattern : {Pattern{}, Pattern{.window = 9}}) {
      const Tokens tokens(shape, kLength, 3);
      Layer layer(isa, 2, shape, pattern);
      const PagedSequence pages = layer.pages(kLength);
      const std::vector<float> clean = layer.run({{&tokens, &pages, 0, kLength}});
      for (const float poison : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
        Tokens poisoned = tokens;
        constexpr int64_t kPoisoned = 40;
        const int64_t columns = shape.kv_heads * shape.head_dim;
        std::fill_n(poisoned.key.begin() + kPoisoned * columns, columns, poison);
        std::fill_n(poisoned.value.begin() + kPoisoned * columns, columns, poison);
        const PagedSequence again = layer.pages(kLength);
        const std::vector<float> out = layer.run({{&poisoned, &again, 0, kLength}});
        const int64_t row_columns = shape.heads * shape.head_dim;
        for (int64_t row = 0; row < kLength; ++row) {
          const bool sees = row >= kPoisoned && (pattern.window == 0 || row - kPoisoned < pattern.window);
          for (int64_t i = row * row_columns; i < (row + 1) * row_columns; ++i) {
            const size_t at = static_cast<size_t>(i);
            if (sees) {
              EXPECT_TRUE(std::isnan(out[at])) << "row " << row << " hides a NaN";
            } else {
              EXPECT_EQ(out[at], clean[at]) << "row " << row << " " << isa_name(isa);
            }
          }
        }
      }
    }
  }
}

TEST(Attention, LargeScoresNeitherOverflowNorVanish) {
  // Scores of +-1e4: only the largest key counts; all equal: the mean of the values.
  const Shape shape{1, 1, 4};
  for (const Isa isa : available_isas()) {
    Tokens tokens(shape, 40, 5);
    std::fill(tokens.query.begin(), tokens.query.end(), 100.0f);
    for (size_t i = 0; i < tokens.key.size(); ++i) tokens.key[i] = i / 4 == 17 ? 50.0f : -50.0f;
    Layer layer(isa, 1, shape, {});
    const PagedSequence pages = layer.pages(40);
    const std::vector<float> out = layer.run({{&tokens, &pages, 0, 40}});
    for (int64_t d = 0; d < 4; ++d) {
      EXPECT_EQ(out[static_cast<size_t>(39 * 4 + d)], tokens.value[static_cast<size_t>(17 * 4 + d)]);
      double mean = 0.0;
      for (int64_t at = 0; at <= 10; ++at)
        mean += static_cast<double>(tokens.value[static_cast<size_t>(at * 4 + d)]) / 11;
      EXPECT_NEAR(out[static_cast<size_t>(10 * 4 + d)], mean, 1e-6);
    }
  }
}

TEST(Attention, NothingToDo) {
  Layer layer(available_isas().front(), 2, {2, 1, 8}, {});
  EXPECT_TRUE(layer.run({}).empty());
  const Tokens tokens({2, 1, 8}, 3, 1);
  const PagedSequence pages = layer.pages(3);
  EXPECT_TRUE(layer.run({{&tokens, &pages, 0, 0}, {&tokens, &pages, 0, 0}}).empty());
}

TEST(Attention, ALayerTakesAMultipleOf64Bytes) {
  const std::unique_ptr<Backend> backend = make_cpu_backend({.threads = 1, .isa = ""});
  for (const int64_t head_dim : {1, 12, 16, 80, 256}) {
    for (const int64_t kv_heads : {1, 3, 8}) {
      const size_t bytes = backend->key_value_page_bytes(kv_heads, head_dim);
      EXPECT_EQ(bytes % 64, 0u);
      EXPECT_GE(bytes, static_cast<size_t>(2 * kKeyValuePageTokens * kv_heads * head_dim) * sizeof(float));
    }
  }
}

}  // namespace
}  // namespace octoformer
