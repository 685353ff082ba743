// Log-probabilities and the likeliest tokens beside plain loops, over every ISA.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "cpu/cpu_backend.h"
#include "cpu/isa_dispatch.h"
#include "cpu/log_probabilities.h"
#include "reference/effort.h"
#include "reference/random.h"
#include "reference/rows.h"
#include "reference/strided.h"

namespace octoformer {
namespace {

using reference::Random;
using reference::Strided;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
const float kNaN = std::numeric_limits<float>::quiet_NaN();

std::unique_ptr<Backend> backend_for(Isa isa, int threads) {
  return make_cpu_backend({.threads = threads, .isa = std::string(isa_name(isa))});
}

struct Likeliest {
  std::vector<int32_t> tokens;
  std::vector<float> scores;
};

Likeliest likeliest(Backend& backend, ConstMatrixView logits, int64_t count) {
  const auto size = static_cast<size_t>(logits.rows * count);
  Likeliest found = {std::vector<int32_t>(size, -1), std::vector<float>(size, -1.0f)};
  backend.likeliest_tokens({logits, count, found.tokens.data(), found.scores.data()});
  return found;
}

/// NaN is as good as any other.
bool same(float left, float right) {
  return std::isnan(left) ? std::isnan(right) : std::memcmp(&left, &right, sizeof left) == 0;
}

/// Rows of all kinds: flat, peaked, far from 0 on either side, around the magnitudes where kernels change their ways.
std::vector<std::vector<float>> rows_of(int64_t columns) {
  Random random(static_cast<uint64_t>(columns));
  std::vector<std::vector<float>> rows;
  for (const float spread : {0.0f, 1e-3f, 4.0f, 30.0f, 200.0f}) {
    for (const float middle : {0.0f, -7.3f, 88.0f, -255.5f, 256.5f, 1e5f, -3e7f, 2e38f}) {
      rows.push_back(random.vector(columns, middle - spread, middle + spread));
    }
  }
  std::vector<float> certain = random.vector(columns, -25.0f, -15.0f);
  certain[certain.size() / 2] = 5.0f;
  rows.push_back(certain);
  std::vector<float> excluded = random.vector(columns, -5.0f, 5.0f);
  for (size_t i = 1; i < excluded.size(); i += 2) excluded[i] = -kInfinity;
  rows.push_back(excluded);
  return rows;
}

const int64_t kColumns[] = {1, 2, 3, 15, 16, 17, 31, 64, 67, 257, reference::slow() ? 515 : 4099};

/// The bounds of cpu/log_probabilities.h. Where everything is below float32's smallest steps, 2^-40 is what summing in
/// double loses.
TEST(LogProbabilities, StayWithinTheStatedBounds) {
  for (const Isa isa : available_isas()) {
    const RowKernels& kernels = kernel_table(isa).rows;
    const std::unique_ptr<Backend> backend = backend_for(isa, 2);
    for (const int64_t columns : kColumns) {
      for (const std::vector<float>& x : rows_of(columns)) {
        SCOPED_TRACE(std::string(isa_name(isa)) + " " + std::to_string(columns) + " from " + std::to_string(x[0]));
        const double exact = reference::log_sum_exp(x.data(), columns);
        const double largest = *std::max_element(x.begin(), x.end());
        const double likeliest = std::exp(largest - exact);
        const double roundings = 0x1p-51 * std::fabs(exact) + 0x1p-40;
        ASSERT_NEAR(log_sum_exp(kernels, x.data(), columns), exact, 0x1p-23 * (1 - likeliest) + roundings);

        Strided logits(1, columns, x), out(1, columns);
        backend->log_softmax(logits.view(), out.view());
        EXPECT_TRUE(out.gaps_untouched());
        for (int64_t i = 0; i < columns; ++i) {
          const double score = static_cast<double>(x[static_cast<size_t>(i)]) - exact;
          if (std::isinf(score)) {
            ASSERT_EQ(out.at(0, i), -kInfinity);
          } else {
            ASSERT_NEAR(out.at(0, i), score, 0x1p-22 * std::fabs(score) + roundings);
          }
        }
      }
    }
  }
}

TEST(LogProbabilities, HaveTheSameBitsOnEveryIsaAndInEveryBatch) {
  const std::unique_ptr<Backend> first = backend_for(available_isas().back(), 1);
  for (const int64_t columns : kColumns) {
    std::vector<float> values;
    const std::vector<std::vector<float>> rows = rows_of(columns);
    for (const std::vector<float>& row : rows) values.insert(values.end(), row.begin(), row.end());
    const auto count = static_cast<int64_t>(rows.size());
    Strided logits(count, columns, values), expected(count, columns);
    first->log_softmax(logits.view(), expected.view());
    for (const Isa isa : available_isas()) {
      for (const int threads : {1, 3}) {
        const std::unique_ptr<Backend> backend = backend_for(isa, threads);
        Strided together(count, columns);
        backend->log_softmax(logits.view(), together.view());
        EXPECT_EQ(together.values(), expected.values()) << isa_name(isa) << " " << columns;
        for (int64_t row = 0; row < count; ++row) {
          const std::vector<float>& x = rows[static_cast<size_t>(row)];
          std::vector<float> alone(x.size());
          backend->log_softmax({x.data(), 1, columns, columns}, {alone.data(), 1, columns, columns});
          for (int64_t i = 0; i < columns; ++i) ASSERT_EQ(alone[static_cast<size_t>(i)], expected.at(row, i));
        }
      }
    }
  }
}

TEST(LogProbabilities, OfNumbersThatAreNoneAreWhatTheDefinitionSays) {
  for (const Isa isa : available_isas()) {
    const std::unique_ptr<Backend> backend = backend_for(isa, 1);
    for (const int64_t columns : kColumns) {
      for (const int64_t place : {int64_t{0}, columns / 2, columns - 1}) {
        const auto at = static_cast<size_t>(place);
        std::vector<float> nothing(static_cast<size_t>(columns), -kInfinity), with_nan(nothing.size(), 1.5f);
        std::vector<float> infinite(nothing.size(), -2.0f), both(nothing.size(), kInfinity), one = nothing;
        with_nan[at] = kNaN;
        infinite[at] = kInfinity;
        both[at] = kNaN;
        one[at] = 3.0f;
        for (const std::vector<float>& x : {nothing, with_nan, infinite, both, one}) {
          SCOPED_TRACE(std::string(isa_name(isa)) + " " + std::to_string(columns) + " " + std::to_string(place));
          const ConstMatrixView logits = {x.data(), 1, columns, columns};
          std::vector<float> scores(x.size()), expected;
          const double total = reference::log_sum_exp(x.data(), columns);
          for (const float one_x : x) expected.push_back(static_cast<float>(static_cast<double>(one_x) - total));
          backend->log_softmax(logits, {scores.data(), 1, columns, columns});
          for (size_t i = 0; i < x.size(); ++i) ASSERT_TRUE(same(scores[i], expected[i])) << i << " " << scores[i];
          const int64_t count = std::min<int64_t>(columns, 5);
          const Likeliest found = likeliest(*backend, logits, count);
          const reference::LikeliestTokens wanted = reference::likeliest_tokens(expected, count);
          EXPECT_EQ(found.tokens, wanted.tokens);
          for (size_t i = 0; i < found.scores.size(); ++i) EXPECT_TRUE(same(found.scores[i], wanted.scores[i]));
        }
      }
    }
  }
}

/// The likeliest tokens are those of log_softmax(), bit for bit, whatever the order of the numbers and the ties.
TEST(LikeliestTokens, AreTheLargestLogProbabilitiesAndOfEqualOnesTheLowerTokens) {
  for (const Isa isa : available_isas()) {
    const std::unique_ptr<Backend> backend = backend_for(isa, 2);
    for (const int64_t columns : kColumns) {
      std::vector<std::vector<float>> rows = rows_of(columns);
      Random random(99);
      std::vector<float> few = random.vector(columns, 0.0f, 4.0f);
      for (float& x : few) x = std::floor(x);  // ties everywhere
      rows.push_back(few);
      std::vector<float> rising = random.vector(columns, -3.0f, 9.0f);
      std::sort(rising.begin(), rising.end());
      rows.push_back(rising);
      rows.emplace_back(rising.rbegin(), rising.rend());
      // Neighbours among float32 beside a large one: different numbers, of which many have the same log-probability.
      std::vector<float> close = random.vector(columns, 0.0f, 1e-5f);
      close.back() = 12.0f;
      rows.push_back(close);

      std::vector<float> values;
      for (const std::vector<float>& row : rows) values.insert(values.end(), row.begin(), row.end());
      const auto row_count = static_cast<int64_t>(rows.size());
      Strided logits(row_count, columns, values), scores(row_count, columns);
      backend->log_softmax(logits.view(), scores.view());
      for (const int64_t asked : {int64_t{0}, int64_t{1}, int64_t{2}, int64_t{8}, int64_t{13}, columns}) {
        SCOPED_TRACE(std::string(isa_name(isa)) + " " + std::to_string(asked) + " of " + std::to_string(columns));
        const int64_t count = std::min(asked, columns);
        const Likeliest found = likeliest(*backend, logits.view(), count);
        for (int64_t row = 0; row < row_count; ++row) {
          const std::vector<float> all = [&] {
            const float* begin = scores.view().row(row);
            return std::vector<float>(begin, begin + columns);
          }();
          const reference::LikeliestTokens wanted = reference::likeliest_tokens(all, count);
          const auto at = found.tokens.begin() + row * count;
          EXPECT_EQ(std::vector<int32_t>(at, at + count), wanted.tokens) << row;
          const auto scores_at = found.scores.begin() + row * count;
          EXPECT_EQ(std::vector<float>(scores_at, scores_at + count), wanted.scores) << row;
        }
      }
    }
  }
}

}  // namespace
}  // namespace octoformer
