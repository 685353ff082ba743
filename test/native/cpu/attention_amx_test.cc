// Attention on emulated AMX tiles: on every machine, and against the hardware where there is some.
#include <gtest/gtest.h>

#define OCTOFORMER_EMULATE_TILES

#include "cpu/vec/vec_scalar.h"

#include "cpu/vec/int8_scalar.h"

#include "cpu/vec/amx_tile.h"

namespace octoformer {
namespace {

/// What attention uses of AVX512_BF16, one lane wide.
struct Bfloat16Unit {
  struct Pairs {
    uint16_t number[2];
  };
  static Pairs broadcast(const uint16_t* p) { return {{p[0], p[1]}}; }
  static Pairs narrow(float first, float second) { return {{float_to_bfloat16(first), float_to_bfloat16(second)}}; }
  static void store(uint16_t* p, Pairs a) { __builtin_memcpy(p, a.number, sizeof a.number); }
  static float accumulate(Pairs a, Pairs b, float sum) {
    const auto product = [&](int i) { return bfloat16_to_float(a.number[i]) * bfloat16_to_float(b.number[i]); };
    return sum + product(1) + product(0);
  }
  static void reduce_max(const float (&rows)[4], float* out) { __builtin_memcpy(out, rows, sizeof rows); }
  static void reduce_add(const float (&rows)[4], float* out) { __builtin_memcpy(out, rows, sizeof rows); }
  static float fraction(float x) { return __builtin_isinf(x) ? 0.0f : x - __builtin_floorf(x); }
  static float times_power_of_floor(float a, float x) {
    return x != x ? x : x < -1000.0f ? 0.0f : __builtin_ldexpf(a, static_cast<int>(__builtin_floorf(x)));
  }
};

}  // namespace
}  // namespace octoformer

#include "cpu/kernels/attention_table.h"
#include "cpu/kernels/row_table.h"

#include "attention_testing.h"

namespace octoformer {
namespace {

using namespace testing_attention;

Layer emulated_layer(int threads, const Shape& shape, const Pattern& pattern) {
  Layer layer(Isa::scalar, threads, shape, pattern, KeyValueForm::bfloat16);
  layer.use_kernels(kAttentionKernels, kRowKernels);
  return layer;
}

TEST(AttentionOnEmulatedTiles, IsWhatTheDefinitionSays) {
  reference::CaseFilter cases(11);
  const Pattern patterns[] = {
      {}, {.causal = false}, {.window = 37}, {.softcap = 1.5f, .alibi = true, .distances = true}};
  for (const Shape& shape : {Shape{1, 1, 1}, Shape{9, 3, 64}, Shape{5, 1, 80}, Shape{2, 1, 17}}) {
    for (const Pattern& pattern : patterns) {
      if (!cases.next()) continue;
      Layer layer = emulated_layer(2, shape, pattern);
      compare_layer(layer, shape, pattern, 0, 35, KeyValueForm::bfloat16, true);
      if (shape.head_dim < 20) compare_layer(layer, shape, pattern, 253, 4, KeyValueForm::bfloat16, true);
    }
  }
}

TEST(AttentionOnEmulatedTiles, WeightsAreCloserThanRoundingThemTakesThem) {
  EXPECT_EQ(rough_exponential2(0.0f), 1.0f);
  EXPECT_EQ(rough_exponential2(-std::numeric_limits<float>::infinity()), 0.0f);
  EXPECT_TRUE(std::isnan(rough_exponential2(std::numeric_limits<float>::quiet_NaN())));
  double worst = 0.0;
  for (double x = -126.0; x < 0.0; x += 0x1p-12) {
    const double exact = std::exp2(x);
    worst = std::max(worst, std::fabs(static_cast<double>(rough_exponential2(static_cast<float>(x))) / exact - 1.0));
  }
  EXPECT_LT(worst, kRoughExponential);
  for (const float x : {-126.5f, -149.0f, -150.5f, -1e6f, -3e38f}) {
    EXPECT_EQ(float_to_bfloat16(rough_exponential2(x)) & 0x7f80, 0) << x;  // a denormal, zero to the units
  }
}

TEST(AttentionOnEmulatedTiles, DecodingHasTheBitsOfPrefill) {
  constexpr int64_t kLength = 70;
  const Shape shape{6, 2, 20};
  for (const Pattern& pattern : {Pattern{}, Pattern{.window = 9}}) {
    const Tokens tokens(shape, kLength, 3);
    Layer layer = emulated_layer(2, shape, pattern);
    const PagedSequence pages = layer.pages(kLength), again = layer.pages(kLength);
    const std::vector<float> whole = layer.run({{&tokens, &pages, 0, kLength}});
    std::vector<float> stepped;
    for (int64_t past = 0; past < kLength; ++past) {
      const std::vector<float> row = layer.run({{&tokens, &again, past, 1}});
      stepped.insert(stepped.end(), row.begin(), row.end());
    }
    EXPECT_EQ(stepped, whole);
  }
}

}  // namespace
}  // namespace octoformer
