#include "runtime/sinusoid.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace octoformer {
namespace {

constexpr int32_t kPositions[] = {0, 1, 511, 70000, 70000};
constexpr int32_t kIds[] = {7, 7, 3, 7, 7};

TEST(Sinusoids, AreSinesAndCosinesInTheOrderAskedFor) {
  const std::vector<double> frequencies = {1.0, 0.1, 0.01};
  for (const bool interleaved : {false, true}) {
    SinusoidalOp op;
    op.inv_freq = frequencies;
    op.interleaved = interleaved;
    for (const bool accumulate : {false, true}) {
      op.accumulate = accumulate;
      std::vector<float> values(5 * 8, 2.0f);
      fill_sinusoids(kPositions, kIds, op, {values.data(), 5, 6, 8});
      for (size_t row = 0; row < 5; ++row) {
        for (size_t i = 0; i < 3; ++i) {
          const double angle = kPositions[row] * frequencies[i];
          const size_t sine = interleaved ? 2 * i : i, cosine = interleaved ? 2 * i + 1 : 3 + i;
          const double before = accumulate ? 2.0 : 0.0;
          // One rounding of the function and one of the sum, of values up to 3.
          EXPECT_NEAR(values[row * 8 + sine], std::sin(angle) + before, 3e-7);
          EXPECT_NEAR(values[row * 8 + cosine], std::cos(angle) + before, 3e-7);
        }
        EXPECT_EQ(values[row * 8 + 6], 2.0f);  // beside the view
      }
    }
  }
}

TEST(Sinusoids, PositionsMayBeginLaterAndPaddingHasNone) {
  SinusoidalOp op;
  op.inv_freq = {0.5};
  op.offset = 2;
  op.padding_id = 3;
  std::vector<float> values(10, 9.0f);
  fill_sinusoids(kPositions, kIds, op, {values.data(), 5, 2, 2});
  EXPECT_NEAR(values[0], std::sin(1.0), 1e-7);
  EXPECT_NEAR(values[3], std::cos(1.5), 1e-7);
  EXPECT_EQ(values[4], 0.0f);
  EXPECT_EQ(values[5], 0.0f);
  op.accumulate = true;
  fill_sinusoids(kPositions, kIds, op, {values.data(), 5, 2, 2});
  EXPECT_EQ(values[4], 0.0f);
  EXPECT_NEAR(values[0], 2 * std::sin(1.0), 2e-7);
}

}  // namespace
}  // namespace octoformer
