#include "runtime/wavefront.h"

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <numeric>
#include <thread>

#include "backend/error.h"
#include "cpu/cpu_backend.h"
#include "reference/reference_backend.h"
#include "runtime/tiny_runner.h"

namespace octoformer {
namespace {

/// Sequences of these numbers of new tokens, each after so many.
std::vector<RunState::Sequence> sequences_of(const std::vector<int64_t>& counts, const std::vector<int64_t>& pasts) {
  std::vector<RunState::Sequence> sequences;
  int64_t first = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    sequences.push_back({first, counts[i], i < pasts.size() ? pasts[i] : 0});
    first += counts[i];
  }
  return sequences;
}

TEST(TokenGroups, HaveEveryTokenOnceAndNoPageTwice) {
  const std::vector<std::vector<int64_t>> batches = {
      {512}, {129}, {511}, {1000}, {40, 3, 0, 200, 64, 1, 90, 30, 0, 333}};
  const std::vector<int64_t> pasts = {5, 31, 0, 70, 32, 0, 100};
  for (const auto& counts : batches) {
    for (const int threads : {1, 2, 3}) {
      const std::vector<RunState::Sequence> sequences = sequences_of(counts, pasts);
      const std::vector<TokenGroup> groups = cut_token_groups(sequences, threads, 64);
      ASSERT_GE(groups.size(), 2u);
      int64_t end = 0;
      for (const TokenGroup& group : groups) {
        EXPECT_EQ(group.first_token, end);
        EXPECT_GT(group.tokens, 0);
        EXPECT_LE(group.tokens, 64 + kKeyValuePageTokens);
        end += group.tokens;
        bool inside = false;
        for (const RunState::Sequence& sequence : sequences) {
          const int64_t offset = group.first_token - sequence.first_token;
          if (offset <= 0 || offset >= sequence.count) continue;
          inside = true;
          EXPECT_EQ((sequence.past + offset) % kKeyValuePageTokens, 0);
        }
        EXPECT_EQ(group.continues, inside);
      }
      EXPECT_EQ(end, std::accumulate(counts.begin(), counts.end(), int64_t{0}));
    }
  }
}

TEST(TokenGroups, AreShares) {
  const auto sizes = [](int64_t count, int threads) {
    std::vector<int64_t> tokens;
    for (const TokenGroup& group : cut_token_groups(sequences_of({count}, {}), threads, 128)) {
      tokens.push_back(group.tokens);
    }
    return tokens;
  };
  EXPECT_EQ(sizes(512, 2), (std::vector<int64_t>(4, 128)));
  EXPECT_EQ(sizes(511, 2), (std::vector<int64_t>{128, 128, 128, 127}));
  EXPECT_EQ(sizes(129, 2), (std::vector<int64_t>{64, 65}));
  EXPECT_EQ(sizes(384, 2), (std::vector<int64_t>(4, 96)));  // not three
  EXPECT_EQ(sizes(384, 3), (std::vector<int64_t>(3, 128)));
  EXPECT_TRUE(sizes(127, 2).empty());  // too few to share out
  EXPECT_TRUE(sizes(0, 2).empty());
}

TEST(Wavefront, AGroupWaitsForTheOneBeforeInItsSequence) {
  using namespace std::chrono_literals;
  Wavefront wavefront(cut_token_groups(sequences_of({128, 64}, {}), 1, 64));
  ASSERT_EQ(wavefront.take(), 0u);
  ASSERT_EQ(wavefront.take(), 1u);
  ASSERT_EQ(wavefront.take(), 2u);
  EXPECT_EQ(wavefront.take(), std::nullopt);
  wavefront.stored(2, 9);  // another sequence: waits for nobody
  std::atomic<bool> first_stored = false;
  std::thread later([&] {
    std::this_thread::sleep_for(5ms);  // longer than anybody waits actively
    first_stored = true;
    wavefront.stored(0, 3);
    std::this_thread::sleep_for(5ms);
    wavefront.finish(0);
  });
  wavefront.stored(1, 3);
  EXPECT_TRUE(first_stored);
  wavefront.stored(1, 9);
  later.join();
  wavefront.rethrow_error();
}

TEST(Wavefront, TheErrorOfTheFirstGroupThatFailsCounts) {
  const auto error = [](const char* text) { return std::make_exception_ptr(std::runtime_error(text)); };
  Wavefront wavefront(cut_token_groups(sequences_of({256}, {}), 1, 64));
  for (size_t i = 0; i < 3; ++i) ASSERT_EQ(wavefront.take(), i);
  wavefront.end(2, error("third"));
  wavefront.refuse_failed(1);  // may have an error of its own
  EXPECT_EQ(wavefront.take(), std::nullopt);
  std::thread waiting([&] { EXPECT_THROW(wavefront.stored(1, 3), Error); });
  wavefront.end(0, error("first"));
  waiting.join();
  wavefront.end(1, error("second"));
  try {
    wavefront.rethrow_error();
    FAIL();
  } catch (const std::runtime_error& found) {
    EXPECT_STREQ(found.what(), "first");
  }
}

RunRequest request_for(const std::vector<int32_t>& lengths) { return request_of_lengths(lengths, 3); }

TEST(WavefrontRun, GivesTheBitsOfChunksForAnyThreads) {
  // Statistics are asked of runs that go op by op.
  const auto op_by_op = [](RunRequest request) {
    request.observe = 6.0f;
    return request;
  };
  for (const std::vector<int32_t>& lengths :
       {std::vector<int32_t>{129}, {511}, {1000}, {5, 300, 0, 33, 64, 1, 420, 37, 40, 12}}) {
    const RunRequest request = request_for(lengths);
    const RunResult whole = Runner(make_cpu_backend({1, ""}), 1'000'000).run(op_by_op(request));
    ASSERT_EQ(whole.outputs.at("logits").size(), request.rows.size() * TinyLlama::kVocabulary);
    for (const int threads : {1, 2, 3, 8}) {
      for (const int64_t tokens : {40, 512}) {
        Runner runner(make_cpu_backend({threads, ""}), tokens);
        EXPECT_EQ(runner.run(request).outputs, whole.outputs)
            << threads << " threads, chunks of " << tokens << ", " << lengths.size() << " sequences";
      }
    }
  }
}

TEST(WavefrontRun, GoesOnAfterWhatCachesHold) {
  const auto run_twice = [](Runner& runner, bool op_by_op) {
    RunRequest first = request_for({33, 1, 64, 10});
    RunRequest second = request_for({300, 20, 129, 1});
    if (op_by_op) first.observe = second.observe = 6.0f;
    for (auto& cache : first.caches) cache = runner.cache();
    second.caches = first.caches;
    runner.run(first);
    const RunResult result = runner.run(second);
    EXPECT_EQ(second.caches[2]->length(), 193);
    return result.outputs;
  };
  Runner plain(make_cpu_backend({1, ""}));
  const auto expected = run_twice(plain, true);
  for (const int threads : {1, 2, 3}) {
    Runner runner(make_cpu_backend({threads, ""}), 64);
    EXPECT_EQ(run_twice(runner, false), expected) << threads;
  }
}

TEST(WavefrontRun, AgreesWithTheReference) {
  const RunRequest request = request_for({200, 5, 64});
  const std::vector<float> expected = Runner(std::make_unique<ReferenceBackend>()).run(request).outputs.at("logits");
  const std::vector<float> logits = Runner(make_cpu_backend({2, ""}), 64).run(request).outputs.at("logits");
  ASSERT_EQ(logits.size(), expected.size());
  // As in executor_test.cc: some hundred roundings of 2^-24.
  for (size_t i = 0; i < logits.size(); ++i) EXPECT_NEAR(logits[i], expected[i], 5e-5 * std::max(1.0f, expected[i]));
}

TEST(WavefrontRun, TakesTheMemoryOfItsGroups) {
  RunRequest request = request_for({1024});
  request.rows = {1023};
  request.outputs.clear();
  Runner groups(make_cpu_backend({2, ""})), chunks(make_cpu_backend({2, ""}));
  groups.run(request);
  request.observe = 6.0f;
  chunks.run(request);
  EXPECT_LT(groups.arena_bytes() * 10, chunks.arena_bytes() * 6);  // 2 x 128 rows instead of 512
}

/// Lanes on threads of their own, each op of which may be waited for.
class LaneBackend : public ReferenceBackend {
 public:
  using Hook = std::function<void(const AttentionArguments&)>;
  LaneBackend(int threads, bool on_threads, Hook hook)
      : threads_(threads), on_threads_(on_threads), hook_(std::move(hook)) {}
  int threads() const override { return threads_; }
  std::unique_ptr<Backend> make_lane() const override { return std::make_unique<LaneBackend>(1, false, hook_); }
  void for_each(int64_t tasks, const std::function<void(int64_t)>& work) override {
    if (!on_threads_) return Backend::for_each(tasks, work);
    std::vector<std::thread> threads;
    for (int64_t task = 0; task < tasks; ++task) threads.emplace_back(work, task);
    for (std::thread& thread : threads) thread.join();
  }
  void attention(const AttentionArguments& arguments) override {
    hook_(arguments);
    ReferenceBackend::attention(arguments);
  }

 private:
  const int threads_;
  const bool on_threads_;
  const Hook hook_;
};

TEST(WavefrontRun, EndsHoweverFewThreadsCome) {
  const RunRequest request = request_for({150});
  const auto none = [](const AttentionArguments&) {};
  const RunResult expected = Runner(std::make_unique<ReferenceBackend>()).run(request);
  for (const bool on_threads : {false, true}) {
    Runner runner(std::make_unique<LaneBackend>(3, on_threads, none), 32);
    EXPECT_EQ(runner.run(request).outputs, expected.outputs);
  }
}

TEST(WavefrontRun, AnErrorInOneGroupEndsAllOfThem) {
  std::atomic<bool> broken = true;
  const auto hook = [&](const AttentionArguments& arguments) {
    // The first group lets others wait for longer than they do actively, then fails.
    if (arguments.sequences.front().past > 0) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    if (broken) fail(ErrorCode::out_of_memory, "no memory for the first group");
  };
  Runner runner(std::make_unique<LaneBackend>(3, true, hook), 32);
  RunRequest request = request_for({200});
  request.caches = {runner.cache()};
  expect_error(ErrorCode::out_of_memory, {"no memory for the first group"}, [&] { runner.run(request); });
  EXPECT_EQ(request.caches[0]->length(), 0);
  broken = false;
  const RunResult result = runner.run(request);
  EXPECT_EQ(request.caches[0]->length(), 200);
  EXPECT_EQ(result.outputs, Runner(std::make_unique<ReferenceBackend>()).run(request_for({200})).outputs);
}

TEST(WavefrontRun, AnAbortEndsAllGroups) {
  std::atomic<bool> abort = false;
  std::atomic<int> attentions = 0;
  const auto hook = [&](const AttentionArguments&) {
    if (++attentions == 4) abort = true;
  };
  Runner runner(std::make_unique<LaneBackend>(3, true, hook), 32);
  RunRequest request = request_for({400});
  request.caches = {runner.cache()};
  request.abort = &abort;
  expect_error(ErrorCode::aborted, {"the run was aborted"}, [&] { runner.run(request); });
  EXPECT_LE(attentions.load(), 4 + 2);  // those that others had begun
  EXPECT_EQ(request.caches[0]->length(), 0);
}

TEST(WavefrontRun, OfTwoWrongIdsTheFirstIsNamed) {
  Runner runner(make_cpu_backend({3, ""}), 32);
  RunRequest request = request_for({200});
  request.input_ids[40] = TinyLlama::kVocabulary;
  request.input_ids[70] = -1;
  for (int round = 0; round < 50; ++round) {  // threads meet differently
    expect_error(ErrorCode::invalid_argument, {"token id 29", "token row 40"}, [&] { runner.run(request); });
  }
}

}  // namespace
}  // namespace octoformer
