#include "runtime/relative_bias.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <memory>
#include <span>
#include <vector>

#include "cpu/cpu_backend.h"

namespace octoformer {
namespace {

constexpr std::array<int64_t, 29> kDistances = {-300, -128, -127, -91, -64, -63, -33, -32, -16, -9, -8, -7,  -1,  0,  1,
                                                7,    8,    11,   12,  16,  32,  45,  46,  64,  90, 91, 127, 128, 300};

void expect_buckets(const RelativeBias& rule, int64_t buckets, const std::array<int64_t, 29>& expected) {
  for (size_t i = 0; i < kDistances.size(); ++i) {
    EXPECT_EQ(relative_bucket(kDistances[i], buckets, rule), expected[i]) << "distance " << kDistances[i];
  }
}

// What transformers' T5Attention._relative_position_bucket gives.
TEST(RelativeBucket, BothSides) {
  expect_buckets(
      {.table = 0, .max_distance = 128, .bidirectional = true}, 32,
      {15, 15, 15, 15, 14, 13, 12, 12, 10, 8, 8, 7, 1, 0, 17, 23, 24, 24, 25, 26, 28, 28, 29, 30, 30, 31, 31, 31, 31});
}

TEST(RelativeBucket, BeforeOnly) {
  expect_buckets({.table = 0, .max_distance = 128, .bidirectional = false}, 32,
                 {31, 31, 31, 29, 26, 26, 21, 21, 16, 9, 8, 7, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0});
}

TEST(RelativeBucket, NumbersOfBucketsThatAreNoPowersOfTwo) {
  expect_buckets({.table = 0, .max_distance = 20, .bidirectional = true}, 10,
                 {4, 4, 4, 4, 4, 4, 4, 4, 4, 3, 3, 3, 1, 0, 6, 8, 8, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9});
}

class TableRows : public RowSource {
 public:
  TableRows(std::span<const float> values, int64_t columns) : values_(values), columns_(columns) {}
  void read_rows(int64_t first, int64_t count, float* out) const override {
    std::copy_n(values_.begin() + first * columns_, count * columns_, out);
  }

 private:
  std::span<const float> values_;
  int64_t columns_;
};

/// Spreads of a growing sequence, and of two rules over one table, against the table's rows.
TEST(RelativeBiasSpreads, AreTheRowsOfTheBucketsByDistance) {
  constexpr int64_t kBuckets = 6, kHeads = 3;
  const std::unique_ptr<Backend> backend = make_cpu_backend({.threads = 1, .isa = ""});
  std::vector<float> values;
  for (int64_t i = 0; i < kBuckets * kHeads; ++i) values.push_back(static_cast<float>(i) + 0.5f);
  const auto table = backend->pack_linear(
      {.name = "table", .out_features = kBuckets, .in_features = kHeads, .form = WeightForm::float32},
      TableRows(values, kHeads), nullptr);
  RelativeBiasSpreads spreads;
  for (const int64_t longest : {1, 5, 128, 129, 600, 2}) {
    for (const bool bidirectional : {true, false}) {
      const RelativeBias rule{.table = 0, .max_distance = 20, .bidirectional = bidirectional};
      const DistanceBias bias = spreads.find(rule, *table, longest, *backend);
      for (int64_t head = 0; head < kHeads; ++head) {
        for (int64_t distance = 1 - longest; distance < longest; ++distance) {
          EXPECT_EQ(bias.values[head * bias.stride + bias.zero + distance],
                    values[static_cast<size_t>(relative_bucket(distance, kBuckets, rule) * kHeads + head)])
              << "distance " << distance << " of " << longest;
        }
      }
    }
  }
}

}  // namespace
}  // namespace octoformer
