#include "runtime/sequence_groups.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "backend/error.h"
#include "cpu/cpu_backend.h"
#include "reference/reference_backend.h"
#include "runtime/tiny_runner.h"

namespace octoformer {
namespace {

TEST(SequenceGroups, HaveEverySequenceOnceAndTheLargestGroupsComeFirst) {
  const std::vector<int32_t> lengths = {40, 3, 0, 20, 64, 1, 90, 30, 0, 33, 31, 12, 50, 26};
  for (const int threads : {1, 2, 3}) {
    const std::vector<SequenceGroup> groups = group_sequences(lengths, threads, 64);
    ASSERT_GE(groups.size(), 4u) << threads;
    EXPECT_TRUE(
        std::is_sorted(groups.begin(), groups.end(), [](const auto& a, const auto& b) { return a.tokens > b.tokens; }));
    std::vector<int64_t> bounds = {0};  // of sequences
    for (const int32_t length : lengths) bounds.push_back(bounds.back() + length);
    std::vector<int> covered(static_cast<size_t>(bounds.back()));
    for (const SequenceGroup& group : groups) {
      const int64_t end = group.first_token + group.tokens;
      EXPECT_TRUE(std::binary_search(bounds.begin(), bounds.end(), group.first_token));
      EXPECT_TRUE(std::binary_search(bounds.begin(), bounds.end(), end));
      EXPECT_TRUE(group.tokens <= 64 || std::count(lengths.begin(), lengths.end(), group.tokens) > 0);
      for (int64_t token = group.first_token; token < end; ++token) ++covered[static_cast<size_t>(token)];
    }
    EXPECT_EQ(std::count(covered.begin(), covered.end(), 1), bounds.back());
  }
}

TEST(SequenceGroups, AreNotMadeWhereThreadsWouldWait) {
  EXPECT_TRUE(group_sequences(std::vector<int32_t>{}, 2, 256).empty());
  EXPECT_TRUE(group_sequences(std::vector<int32_t>{512}, 2, 256).empty());             // one for two threads
  EXPECT_TRUE(group_sequences(std::vector<int32_t>{400, 100}, 2, 256).empty());        // one has most of it
  EXPECT_TRUE(group_sequences(std::vector<int32_t>{16, 16, 16, 16}, 2, 256).empty());  // each would read all weights
  EXPECT_EQ(group_sequences(std::vector<int32_t>(16, 16), 2, 256).size(), 4u);
  EXPECT_EQ(group_sequences(std::vector<int32_t>(32, 128), 2, 256).size(), 16u);
}

/// The tiny model, in which every token sees all of its sequence.
std::string full_program() {
  std::string text = tiny().program();
  const std::string causal = R"("kind":"causal")", full = R"("kind":"full")";
  for (size_t at = text.find(causal); at != std::string::npos; at = text.find(causal, at)) {
    text.replace(at, causal.size(), full);
  }
  return text;
}

/// On one backend.
Runner full_runner(std::unique_ptr<Backend> backend, int64_t group_tokens) {
  return Runner(std::move(backend), group_tokens, full_program());
}

RunRequest request_for(const std::vector<int32_t>& lengths) { return request_of_lengths(lengths, 1); }

TEST(SequenceLanes, GiveTheBitsOfOneRunForAnyThreadsAndGroups) {
  RunRequest request = request_for({5, 70, 0, 33, 64, 1, 20, 37, 40, 12});
  const RunResult whole = full_runner(make_cpu_backend({1, ""}), 1'000'000).run(request);
  ASSERT_EQ(whole.outputs.at("logits").size(), request.rows.size() * TinyLlama::kVocabulary);
  for (const int threads : {1, 2, 3}) {
    for (const int64_t tokens : {1, 16, 64, 100}) {
      Runner runner = full_runner(make_cpu_backend({threads, ""}), tokens);
      EXPECT_EQ(runner.run(request).outputs, whole.outputs) << threads << " threads, groups of " << tokens;
      EXPECT_EQ(runner.page_bytes(), 0u);  // nothing of it is kept
      RunRequest kept = request;           // the way over pages of a cache
      for (auto& cache : kept.caches) cache = runner.cache();
      EXPECT_EQ(runner.run(kept).outputs, whole.outputs);
      EXPECT_EQ(kept.caches[1]->length(), 70);
    }
  }
}

TEST(SequenceLanes, AgreeWithTheReference) {
  const RunRequest request = request_for({33, 5, 64, 20, 40, 12});
  const std::vector<float> expected =
      full_runner(std::make_unique<ReferenceBackend>(), 1'000'000).run(request).outputs.at("logits");
  const std::vector<float> logits = full_runner(make_cpu_backend({2, ""}), 32).run(request).outputs.at("logits");
  ASSERT_EQ(logits.size(), expected.size());
  // As in executor_test.cc: some hundred roundings of 2^-24.
  for (size_t i = 0; i < logits.size(); ++i) EXPECT_NEAR(logits[i], expected[i], 5e-5 * std::max(1.0f, expected[i]));
}

TEST(SequenceLanes, AWrongIdOrAnAbortEndsTheRunOfAllThreads) {
  Runner runner = full_runner(make_cpu_backend({2, ""}), 16);
  RunRequest request = request_for(std::vector<int32_t>(20, 8));
  request.input_ids[100] = TinyLlama::kVocabulary;
  EXPECT_THROW(runner.run(request), Error);
  request.input_ids[100] = 0;
  std::atomic<bool> abort = false;
  request.abort = &abort;
  const RunResult result = runner.run(request);
  abort = true;
  EXPECT_THROW(runner.run(request), Error);
  abort = false;
  EXPECT_EQ(runner.run(request).outputs, result.outputs);
}

}  // namespace
}  // namespace octoformer
