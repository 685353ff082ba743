// Attention on emulated AMX tiles: on every machine, and against the hardware where there is some.
#include <gtest/gtest.h>

#define OCTOFORMER_EMULATE_TILES

#include "cpu/vec/vec_scalar.h"

#include "cpu/vec/int8_scalar.h"

#include "cpu/vec/amx_tile.h"

#include "emulated_bfloat16_unit.h"

#include "cpu/kernels/attention_table.h"
#include "cpu/kernels/row_table.h"

#include "attention_units_testing.h"

namespace octoformer {
namespace {

using namespace testing_attention;

TEST(AttentionOnEmulatedTiles, IsWhatTheDefinitionSays) {
  compare_emulated_with_definition(kAttentionKernels, kRowKernels);
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
  compare_emulated_decoding_with_prefill(kAttentionKernels, kRowKernels);
}

}  // namespace
}  // namespace octoformer
