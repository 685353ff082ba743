#include "cpu/memory_rate.h"

#include <gtest/gtest.h>

#include "backend/error.h"

namespace octoformer {
namespace {

constexpr int64_t kBytes = int64_t{4} << 20;

TEST(MemoryRate, IsThatOfAMachine) {
  for (const int threads : {0, 1, 3}) {
    const double rate = measure_memory_rate(threads, 0.0, kBytes);
    EXPECT_GT(rate, 1e6);
    EXPECT_LT(rate, 1e15);
  }
  EXPECT_GT(measure_memory_rate(2, 0.0, 0), 0);  // a stretch for each thread at least
}

TEST(MemoryRate, RefusesThreadsThatNoMachineHas) {
  for (const int threads : {-1, 1 << 20}) {
    try {
      measure_memory_rate(threads, 0.0, kBytes);
      FAIL() << threads;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
    }
  }
}

}  // namespace
}  // namespace octoformer
