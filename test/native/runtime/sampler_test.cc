#include "runtime/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "formats/checkpoint_files.h"
#include "runtime/random.h"

namespace octoformer {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

SamplerOptions sampling(uint64_t seed) {
  SamplerOptions options;
  options.do_sample = true;
  options.seed = seed;
  return options;
}

std::vector<float> logs(std::vector<double> probabilities) {
  std::vector<float> logits;
  for (const double p : probabilities) logits.push_back(static_cast<float>(std::log(p)));
  return logits;
}

/// How often each token comes in `draws` draws.
std::map<int32_t, int> counts(SamplerOptions options, const std::vector<float>& logits, int draws) {
  Sampler sampler(std::move(options));
  std::map<int32_t, int> result;
  for (int i = 0; i < draws; ++i) {
    const int32_t token = sampler.choose(logits, 0);
    sampler.accept(token);
    ++result[token];
  }
  return result;
}

std::vector<int32_t> support(SamplerOptions options, const std::vector<float>& logits) {
  std::vector<int32_t> tokens;
  for (const auto& [token, count] : counts(std::move(options), logits, 2000)) tokens.push_back(token);
  return tokens;
}

using Tokens = std::vector<int32_t>;

TEST(Random, IsSplitMix64) {
  // The first outputs of the published generator for state 0 (Vigna, splitmix64.c, gives the same).
  EXPECT_EQ(split_mix(kGoldenGamma), 0xe220a8397b1dcdafu);
  EXPECT_EQ(split_mix(2 * kGoldenGamma), 0x6e789e6aa1b965f4u);
}

TEST(Sampler, GreedyTakesTheFirstLargest) {
  Sampler sampler({});
  EXPECT_EQ(sampler.choose(std::vector<float>{1, 3, 2, 3}, 0), 1);
  EXPECT_EQ(sampler.choose(std::vector<float>{-kInfinity, -2, -1}, 0), 2);
}

TEST(Sampler, RepetitionPenaltyDividesPositiveAndMultipliesNegativeScoresOnce) {
  SamplerOptions options;
  options.repetition_penalty = 2;
  options.prompt_ids = {0, 0, 3};  // twice in the prompt counts once
  Sampler sampler(options);
  EXPECT_EQ(sampler.choose(std::vector<float>{4.2f, 2, 1, 0}, 0), 0);      // 2.1 beats 2
  EXPECT_EQ(sampler.choose(std::vector<float>{3.8f, 2, 1, 0}, 0), 1);      // 1.9 doesn't
  EXPECT_EQ(sampler.choose(std::vector<float>{-2, -3, -9, -1}, 0), 3);     // -4, -3, -9, -2
  EXPECT_EQ(sampler.choose(std::vector<float>{-2, -1.9f, -9, -1}, 0), 1);  // -4, -1.9, -9, -2
  sampler.accept(1);
  EXPECT_EQ(sampler.choose(std::vector<float>{-2, -1.9f, -9, -1}, 0), 3);  // now -3.8 for 1
}

TEST(Sampler, EndIsNotChosenBeforeTheMinimum) {
  SamplerOptions options;
  options.eos_token_ids = {1, 2};
  options.min_new_tokens = 2;
  Sampler sampler(options);
  const std::vector<float> logits = {0, 9, 8, 1};
  for (const int32_t expected : {3, 3, 1}) {
    const int32_t token = sampler.choose(logits, 0);
    EXPECT_EQ(token, expected);
    sampler.accept(token);
  }
}

TEST(Sampler, TopKKeepsTiesWithTheLast) {
  SamplerOptions options = sampling(1);
  options.top_k = 2;
  EXPECT_EQ(support(options, {1, 2, 1.5f, 1.5f, 0}), (Tokens{1, 2, 3}));
  options.top_k = 1;
  EXPECT_EQ(support(options, {1, 2, 1.5f, 1.5f, 0}), (Tokens{1}));
  options.top_k = 100;
  EXPECT_EQ(support(options, {1, 2, 1.5f, 1.5f, 0}), (Tokens{0, 1, 2, 3, 4}));
}

TEST(Sampler, TopPKeepsTheFewestThatReachIt) {
  const std::vector<float> logits = logs({0.1, 0.5, 0.15, 0.25});
  SamplerOptions options = sampling(2);
  for (const auto& [top_p, expected] : std::map<float, Tokens>{{0.01f, {1}},
                                                               {0.49f, {1}},
                                                               {0.51f, {1, 3}},
                                                               {0.74f, {1, 3}},
                                                               {0.76f, {1, 2, 3}},
                                                               {0.89f, {1, 2, 3}},
                                                               {0.91f, {0, 1, 2, 3}}}) {
    options.top_p = top_p;
    EXPECT_EQ(support(options, logits), expected) << top_p;
  }
}

TEST(Sampler, MinPIsRelativeToTheLikeliest) {
  const std::vector<float> logits = logs({0.1, 0.5, 0.15, 0.25});
  SamplerOptions options = sampling(3);
  options.min_p = 0.29f;  // 0.145
  EXPECT_EQ(support(options, logits), (Tokens{1, 2, 3}));
  options.min_p = 0.31f;  // 0.155
  EXPECT_EQ(support(options, logits), (Tokens{1, 3}));
  options.min_p = 1;
  EXPECT_EQ(support(options, logits), (Tokens{1}));
}

TEST(Sampler, FiltersSeeWhatIsLeftByThoseBefore) {
  // top-k leaves {0.5, 0.25, 0.15}, of which 0.5 has 0.556 and 0.25 0.278: top-p 0.8 then needs two.
  const std::vector<float> logits = logs({0.1, 0.5, 0.15, 0.25});
  SamplerOptions options = sampling(4);
  options.top_k = 3;
  options.top_p = 0.8f;
  EXPECT_EQ(support(options, logits), (Tokens{1, 3}));
  // A high temperature flattens before top-p: square roots are 0.316 0.707 0.387 0.5, of 1.910: 0.165 0.370 0.203
  // 0.262.
  options = sampling(4);
  options.temperature = 2;
  options.top_p = 0.6f;
  EXPECT_EQ(support(options, logits), (Tokens{1, 3}));
  options.top_p = 0.65f;
  EXPECT_EQ(support(options, logits), (Tokens{1, 2, 3}));
}

TEST(Sampler, DrawsFollowTheDistribution) {
  const std::vector<double> probabilities = {0.05, 0.4, 0.2, 0.05, 0.3};
  constexpr int kDraws = 20000;
  for (const uint64_t seed : {0u, 1u, 12345u}) {
    const auto drawn = counts(sampling(seed), logs(probabilities), kDraws);
    double chi_square = 0;
    for (size_t i = 0; i < probabilities.size(); ++i) {
      const double expected = probabilities[i] * kDraws;
      const double observed = drawn.at(static_cast<int32_t>(i));
      chi_square += (observed - expected) * (observed - expected) / expected;
    }
    EXPECT_LT(chi_square, 18.47)
        << seed;  // the 99.9th percentile for 4 degrees of freedom; the draws are fixed by the seed
  }
}

TEST(Sampler, TheSeedFixesTheDraws) {
  const std::vector<float> logits(50, 0.0f);
  const auto run = [&](uint64_t seed) {
    Sampler sampler(sampling(seed));
    Tokens tokens;
    for (int i = 0; i < 20; ++i) {
      const int32_t token = sampler.choose(logits, 0);
      EXPECT_EQ(sampler.choose(logits, 0), token);  // nothing was accepted in between
      sampler.accept(token);
      tokens.push_back(token);
    }
    return tokens;
  };
  EXPECT_EQ(run(7), run(7));
  EXPECT_NE(run(7), run(8));
  const Tokens shifted = run(7 + kGoldenGamma);  // SplitMix64's own next state must not give the stream one step later
  const Tokens tokens = run(7);
  EXPECT_FALSE(std::equal(shifted.begin(), shifted.end() - 1, tokens.begin() + 1));
}

TEST(Sampler, TheFirstOfTheLargestOfAnyLength) {
  // Numbers are looked at several at a time: every length around that, and the largest in every place.
  for (size_t length = 1; length < 70; ++length) {
    std::vector<float> logits(length);
    for (size_t i = 0; i < length; ++i) logits[i] = -static_cast<float>(i * 7919 % 64) - 1.0f;
    for (size_t place = 0; place < length; ++place) {
      std::vector<float> some = logits;
      some[place] = some.back() = 0.0f;
      EXPECT_EQ(Sampler({}).choose(some, 0), static_cast<int32_t>(place)) << length;
      some[place] = std::numeric_limits<float>::quiet_NaN();
      EXPECT_THROW(Sampler({}).choose(some, 0), Error) << length;
    }
  }
}

TEST(Sampler, InfiniteLogits) {
  EXPECT_EQ(support(sampling(1), {-kInfinity, 1, -kInfinity}), (Tokens{1}));
  EXPECT_EQ(support(sampling(1), {kInfinity, 1, 2}), (Tokens{0}));
  const std::vector<float> nothing(3, -kInfinity);
  for (const bool do_sample : {false, true}) {
    SamplerOptions options = sampling(1);
    options.do_sample = do_sample;
    expect_error(ErrorCode::internal, {"row 4", "-infinity"}, [&] { Sampler(options).choose(nothing, 4); });
  }
}

TEST(Sampler, NaNIsAnErrorThatNamesTheRow) {
  const std::vector<float> logits = {0, 1, std::numeric_limits<float>::quiet_NaN()};
  expect_error(ErrorCode::internal, {"token 2", "row 17", "NaN"}, [&] { Sampler({}).choose(logits, 17); });
}

TEST(Sampler, OptionsOutOfRangeAreRefusedByName) {
  const auto refuse = [](const char* name, auto change) {
    SamplerOptions options;
    change(options);
    expect_error(ErrorCode::invalid_argument, {name}, [&] { Sampler{options}; });
  };
  refuse("temperature", [](SamplerOptions& o) { o.temperature = 0; });
  refuse("temperature", [](SamplerOptions& o) { o.temperature = std::nanf(""); });
  refuse("top_k", [](SamplerOptions& o) { o.top_k = -1; });
  refuse("top_p", [](SamplerOptions& o) { o.top_p = 0; });
  refuse("top_p", [](SamplerOptions& o) { o.top_p = 1.5f; });
  refuse("min_p", [](SamplerOptions& o) { o.min_p = -0.1f; });
  refuse("repetition_penalty", [](SamplerOptions& o) { o.repetition_penalty = 0; });
  refuse("min_new_tokens", [](SamplerOptions& o) { o.min_new_tokens = -1; });
  refuse("eos_token_ids", [](SamplerOptions& o) { o.eos_token_ids = {-1}; });
  SamplerOptions beyond;
  beyond.repetition_penalty = 2;
  beyond.prompt_ids = {5};
  expect_error(ErrorCode::invalid_argument, {"token id 5", "vocabulary of 3"},
               [&] { Sampler(beyond).choose(std::vector<float>{1, 2, 3}, 0); });
}

}  // namespace
}  // namespace octoformer
