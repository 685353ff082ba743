#include "runtime/arena_plan.h"

#include <gtest/gtest.h>

#include "reference/random.h"

namespace octoformer {
namespace {

constexpr RowSymbol kTokens = RowSymbol::tokens;
constexpr RowSymbol kRows = RowSymbol::rows;

TEST(ArenaPlan, MatchesAHandComputation) {
  // Ops        0 1 2 3 4
  // a  20 cols x x            -> 32 columns at 0
  // b  16      . x x          -> 16 at 32, a lives
  // c  10      . . x x        -> 16 at 0, a is gone
  // d  30      . . . x x      -> 32: the gap at 16 is 16 wide until b's end (b is gone by op 3): 16
  // e   1      . . . . x      -> 16 at 0, c is gone
  const std::vector<BufferLifetime> buffers = {
      {kTokens, 20, 0, 1}, {kTokens, 16, 1, 2}, {kTokens, 10, 2, 3}, {kTokens, 30, 3, 4}, {kTokens, 1, 4, 4}};
  const ArenaPlan plan = plan_arena(buffers);
  const int64_t offsets[] = {0, 32, 0, 16, 0};
  const int64_t strides[] = {32, 16, 16, 32, 16};
  for (size_t i = 0; i < buffers.size(); ++i) {
    EXPECT_EQ(plan.buffers[i].column_offset, offsets[i]) << i;
    EXPECT_EQ(plan.buffers[i].stride, strides[i]) << i;
  }
  EXPECT_EQ(plan.peak_columns[0], 48);
  EXPECT_EQ(plan.peak_columns[1], 0);
}

TEST(ArenaPlan, ClassesDontMix) {
  const ArenaPlan plan =
      plan_arena(std::vector<BufferLifetime>{{kTokens, 16, 0, 5}, {kRows, 48, 0, 5}, {kRows, 3, 1, 2}});
  EXPECT_EQ(plan.buffers[1].column_offset, 0);
  EXPECT_EQ(plan.buffers[2].column_offset, 48);
  EXPECT_EQ(plan.peak_columns[0], 16);
  EXPECT_EQ(plan.peak_columns[1], 64);
}

TEST(ArenaPlan, UnusedBuffersTakeNoRoom) {
  const ArenaPlan plan = plan_arena(std::vector<BufferLifetime>{{kTokens, 1000, -1, -1}});
  EXPECT_EQ(plan.peak_columns[0], 0);
  EXPECT_TRUE(plan_arena({}).buffers.empty());
}

TEST(ArenaPlan, NoTwoLiveBuffersOverlap) {
  reference::Random random(5);
  for (int round = 0; round < 50; ++round) {
    std::vector<BufferLifetime> buffers;
    for (int i = 0; i < 60; ++i) {
      const auto first = static_cast<int32_t>(random.bits() % 40);
      const auto last = first + static_cast<int32_t>(random.bits() % 12);
      buffers.push_back(
          {random.bits() % 4 == 0 ? kRows : kTokens, 1 + static_cast<int64_t>(random.bits() % 200), first, last});
    }
    const ArenaPlan plan = plan_arena(buffers);
    for (size_t i = 0; i < buffers.size(); ++i) {
      const BufferPlacement& a = plan.buffers[i];
      EXPECT_GE(a.stride, buffers[i].columns);
      EXPECT_EQ(a.stride % kColumnPadding, 0);
      EXPECT_EQ(a.column_offset % kColumnPadding, 0);
      EXPECT_LE(a.column_offset + a.stride, plan.peak_columns[static_cast<size_t>(buffers[i].rows)]);
      for (size_t j = 0; j < i; ++j) {
        const bool same_class = buffers[i].rows == buffers[j].rows;
        const bool together = buffers[i].first_op <= buffers[j].last_op && buffers[j].first_op <= buffers[i].last_op;
        const BufferPlacement& b = plan.buffers[j];
        const bool overlap =
            a.column_offset < b.column_offset + b.stride && b.column_offset < a.column_offset + a.stride;
        EXPECT_FALSE(same_class && together && overlap) << round << ": " << i << " and " << j;
      }
    }
  }
}

}  // namespace
}  // namespace octoformer
