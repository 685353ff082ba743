#include "runtime/rope_table.h"

#include <gtest/gtest.h>

#include <cmath>

namespace octoformer {
namespace {

RopeTableOp plain() {
  RopeTableOp op;
  op.inv_freq = {1.0f, 0.1f, 0.01f};
  op.attention_factor = 1.0f;
  return op;
}

TEST(RopeTable, HoldsCosinesThenSines) {
  const RopeTableOp op = plain();
  std::vector<float> scratch;
  RopeFrequencies frequencies = rope_frequencies(op, 4, scratch);
  frequencies.attention_factor = 1.5f;
  const std::vector<int32_t> positions = {0, 7, 100000};
  std::vector<float> values(3 * 16, -9.0f);
  fill_rope_table(positions, frequencies, {values.data(), 3, 6, 16});
  for (size_t row = 0; row < 3; ++row) {
    for (size_t i = 0; i < 3; ++i) {
      // The product is rounded to float32 first, as Hugging Face does: at position 100000 that matters.
      const float angle = static_cast<float>(positions[row]) * op.inv_freq[i];
      EXPECT_NEAR(values[row * 16 + i], 1.5 * std::cos(static_cast<double>(angle)),
                  3e-7);  // two roundings of 2^-24 at 1.5
      EXPECT_NEAR(values[row * 16 + 3 + i], 1.5 * std::sin(static_cast<double>(angle)), 3e-7);
    }
    EXPECT_EQ(values[row * 16 + 6], -9.0f);
  }
}

TEST(RopeTable, LongSequencesSwitchToTheLongFactors) {
  RopeTableOp op = plain();
  op.long_context = RopeTableOp::Long{8, {0.5f, 0.05f, 0.005f}, 1.25f};
  std::vector<float> scratch;
  EXPECT_EQ(rope_frequencies(op, 8, scratch).inv_freq[0], 1.0f);
  EXPECT_EQ(rope_frequencies(op, 8, scratch).attention_factor, 1.0f);
  EXPECT_EQ(rope_frequencies(op, 9, scratch).inv_freq[0], 0.5f);
  EXPECT_EQ(rope_frequencies(op, 9, scratch).attention_factor, 1.25f);
}

TEST(RopeTable, DynamicScalingStretchesTheBase) {
  RopeTableOp op = plain();
  op.dynamic = RopeTableOp::Dynamic{10, 1000.0f, 2.0f};
  std::vector<float> scratch;
  EXPECT_EQ(rope_frequencies(op, 10, scratch).inv_freq.data(), op.inv_freq.data());
  const RopeFrequencies longer = rope_frequencies(op, 20, scratch);
  // base 1000 * (2 * 20 / 10 - 1) ^ (6 / 4), inv_freq base ^ (-2 i / 6)
  const double base = 1000 * std::pow(3.0, 1.5);
  for (size_t i = 0; i < 3; ++i) {
    const double expected = std::pow(base, -2.0 * static_cast<double>(i) / 6);
    EXPECT_NEAR(longer.inv_freq[i], expected, 1e-6 * expected);  // a few float32 roundings, two powers
  }
}

}  // namespace
}  // namespace octoformer
