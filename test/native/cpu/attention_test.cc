#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "attention_testing.h"

namespace octoformer {
namespace {

using namespace testing_attention;

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
    {.window = 9, .sparse = {.sinks = 3}},
    {.window = 70, .sparse = {.sinks = 40}},
    {.causal = false, .window = 5, .sparse = {.sinks = 2}},
    {.window = 6, .sparse = {.stride = 7}},
    {.window = 33, .softcap = 2.0f, .alibi = true, .sparse = {.stride = 45}},
    {.sparse = {.stride = 300}},
    {.causal = false, .window = 3, .sparse = {.stride = 64}},
    {.sparse = {.block = 10, .summary = 2}},
    {.sparse = {.block = 96, .summary = 5}},
    {.sparse = {.block = 32}},
    {.causal = false, .sparse = {.block = 50, .summary = 50}},
};

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
  reference::CaseFilter cases(13);
  for (const Pattern& pattern : kPatterns) {
    if (!cases.next()) continue;
    compare_with_reference({2, 1, 9}, pattern, 0, 263);
    compare_with_reference({2, 1, 9}, pattern, 509, 5);
    compare_with_reference({2, 1, 9}, pattern, 767, 1);
  }
}

TEST(Attention, TheBitsAreTheSameInPrefillInChunksInDecodeInBatchesAndOnAnyNumberOfThreads) {
  constexpr int64_t kLength = 281;  // more than one group of 256 keys
  reference::CaseFilter cases(11);
  for (const Isa isa : available_isas()) {
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
      const size_t bytes = backend->key_value_page_bytes(kv_heads, head_dim, KeyValueForm::float32);
      EXPECT_EQ(bytes % 64, 0u);
      EXPECT_GE(bytes, static_cast<size_t>(2 * kKeyValuePageTokens * kv_heads * head_dim) * sizeof(float));
    }
  }
}

}  // namespace
}  // namespace octoformer
