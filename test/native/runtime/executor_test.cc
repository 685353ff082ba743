#include "runtime/executor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "cpu/cpu_backend.h"
#include "reference/reference_backend.h"
#include "reference/rows.h"
#include "runtime/model.h"
#include "runtime/tiny_runner.h"

namespace octoformer {
namespace {

std::vector<int32_t> some_ids(int32_t count, int32_t seed) {
  std::vector<int32_t> ids;
  for (int32_t i = 0; i < count; ++i) ids.push_back((i * 7 + seed * 5 + i * i) % TinyLlama::kVocabulary);
  return ids;
}

RunRequest request_for(const std::vector<std::vector<int32_t>>& sequences) {
  RunRequest request;
  for (const auto& ids : sequences) {
    request.input_ids.insert(request.input_ids.end(), ids.begin(), ids.end());
    request.lengths.push_back(static_cast<int32_t>(ids.size()));
    request.caches.emplace_back();
  }
  request.rows.resize(request.input_ids.size());
  std::iota(request.rows.begin(), request.rows.end(), 0);
  request.outputs = {"logits"};
  return request;
}

std::vector<float> slice(const std::vector<float>& values, size_t first, size_t count) {
  return {values.begin() + static_cast<std::ptrdiff_t>(first),
          values.begin() + static_cast<std::ptrdiff_t>(first + count)};
}

struct BackendCase {
  const char* name;
  std::function<std::unique_ptr<Backend>()> make;
  double tolerance;
};

class ExecutorTest : public testing::TestWithParam<BackendCase> {
 protected:
  std::unique_ptr<Backend> backend() const { return GetParam().make(); }
};

TEST_P(ExecutorTest, GivesTheLogitsOfAStraightforwardComputation) {
  Runner runner(backend());
  for (const int32_t count : {1, 2, 31, 32, 33, 67}) {
    const std::vector<int32_t> ids = some_ids(count, 3);
    const RunResult result = runner.run(request_for({ids}));
    const auto expected = tiny().logits(ids);
    const std::vector<float>& logits = result.outputs.at("logits");
    ASSERT_EQ(logits.size(), ids.size() * TinyLlama::kVocabulary);
    for (size_t i = 0; i < logits.size(); ++i) {
      const double wanted = expected[i / TinyLlama::kVocabulary][i % TinyLlama::kVocabulary];
      EXPECT_NEAR(logits[i], wanted, GetParam().tolerance * std::max(1.0, std::abs(wanted)))
          << count << " tokens, " << i;
    }
  }
}

TEST_P(ExecutorTest, ASequenceInABatchHasTheBitsItHasAlone) {
  Runner runner(backend());
  const std::vector<std::vector<int32_t>> sequences = {some_ids(5, 1), some_ids(1, 2), some_ids(70, 3),
                                                       some_ids(33, 4)};
  const RunResult together = runner.run(request_for(sequences));
  size_t first = 0;
  for (const auto& ids : sequences) {
    const size_t floats = ids.size() * TinyLlama::kVocabulary;
    const RunResult alone = runner.run(request_for({ids}));
    EXPECT_EQ(slice(together.outputs.at("logits"), first, floats), alone.outputs.at("logits"));
    first += floats;
  }
}

TEST_P(ExecutorTest, ScoresItsRowsInAnyOrderAndCutIntoChunks) {
  RunRequest request = request_for({some_ids(37, 1), some_ids(3, 2)});
  request.rows = {39, 0, 1, 2, 36, 12, 12, 20, 19};
  request.log_probabilities = 0;
  Runner runner(backend());
  const RunResult whole = runner.run(request);
  const std::vector<float>& logits = whole.outputs.at("logits");
  const size_t columns = TinyLlama::kVocabulary;
  ASSERT_EQ(whole.log_probabilities.size(), request.rows.size() * columns);
  EXPECT_TRUE(whole.likeliest.empty());
  std::vector<reference::LikeliestTokens> sorted;
  for (size_t row = 0; row < request.rows.size(); ++row) {
    const double total = reference::log_sum_exp(logits.data() + row * columns, TinyLlama::kVocabulary);
    for (size_t i = row * columns; i < (row + 1) * columns; ++i) {
      const double score = static_cast<double>(logits[i]) - total;
      EXPECT_NEAR(whole.log_probabilities[i], score, 0x1p-22 * std::fabs(score));  // cpu/log_probabilities.h
    }
    sorted.push_back(reference::likeliest_tokens(slice(whole.log_probabilities, row * columns, columns), columns));
  }
  for (const int64_t chunk : {1, 7, 100}) {
    Runner chunked(backend(), chunk);
    for (const int32_t count : {0, 1, 5, 29, 1000}) {
      request.log_probabilities = count;
      const RunResult found = chunked.run(request);
      EXPECT_EQ(found.outputs, whole.outputs);
      if (count == 0) {
        EXPECT_EQ(found.log_probabilities, whole.log_probabilities);
        continue;
      }
      const size_t kept = std::min(static_cast<size_t>(count), columns);
      ASSERT_EQ(found.likeliest.size(), request.rows.size() * kept);
      for (size_t i = 0; i < found.likeliest.size(); ++i) {
        EXPECT_EQ(found.likeliest[i], sorted[i / kept].tokens[i % kept]) << "chunks of " << chunk;
        EXPECT_EQ(found.log_probabilities[i], sorted[i / kept].scores[i % kept]) << "chunks of " << chunk;
      }
    }
  }
}

TEST_P(ExecutorTest, ChunksGiveTheSameBits) {
  const std::vector<std::vector<int32_t>> sequences = {some_ids(37, 1), {}, some_ids(3, 2), some_ids(61, 3)};
  RunRequest request = request_for(sequences);
  request.rows = {100, 0, 36, 37, 100, 64};  // any order, one twice
  request.outputs = {"logits", "hidden_states.1"};
  const RunResult whole = Runner(backend()).run(request);
  for (const int64_t chunk : {1, 7, 32, 100}) {
    Runner runner(backend(), chunk);
    const RunResult chunked = runner.run(request);
    EXPECT_EQ(chunked.outputs, whole.outputs) << "chunks of " << chunk;
  }
}

TEST_P(ExecutorTest, StepsWithACacheHaveTheBitsOfOneRun) {
  Runner runner(backend());
  const std::vector<int32_t> ids = some_ids(75, 6);
  const std::vector<float> whole = runner.run(request_for({ids})).outputs.at("logits");
  const auto cache = runner.cache();
  size_t done = 0;
  for (const size_t count : {1, 1, 29, 1, 1, 40, 2}) {
    RunRequest step = request_for(
        {{ids.begin() + static_cast<std::ptrdiff_t>(done), ids.begin() + static_cast<std::ptrdiff_t>(done + count)}});
    step.caches = {cache};
    const std::vector<float> logits = runner.run(step).outputs.at("logits");
    EXPECT_EQ(logits, slice(whole, done * TinyLlama::kVocabulary, count * TinyLlama::kVocabulary)) << "from " << done;
    done += count;
    EXPECT_EQ(cache->length(), static_cast<int64_t>(done));
  }
}

TEST_P(ExecutorTest, ForksGoTheirOwnWays) {
  Runner runner(backend());
  const std::vector<int32_t> prefix = some_ids(40, 1);
  const auto step = [&](const std::shared_ptr<KeyValueCache>& cache, const std::vector<int32_t>& ids) {
    RunRequest request = request_for({ids});
    request.caches = {cache};
    return runner.run(request).outputs.at("logits");
  };
  const auto alone = [&](std::vector<int32_t> ids, size_t tail) {
    const std::vector<float> logits = runner.run(request_for({ids})).outputs.at("logits");
    return slice(logits, (ids.size() - tail) * TinyLlama::kVocabulary, tail * TinyLlama::kVocabulary);
  };
  const auto joined = [](std::vector<int32_t> a, const std::vector<int32_t>& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
  };
  const auto first = runner.cache();
  step(first, prefix);
  const std::shared_ptr<KeyValueCache> second = first->fork();
  const std::vector<int32_t> one = some_ids(9, 7);
  const std::vector<int32_t> two = some_ids(30, 8);
  EXPECT_EQ(step(first, one), alone(joined(prefix, one), one.size()));
  EXPECT_EQ(step(second, two), alone(joined(prefix, two), two.size()));
  first->truncate(35);
  EXPECT_EQ(step(first, two), alone(joined({prefix.begin(), prefix.begin() + 35}, two), two.size()));
}

TEST_P(ExecutorTest, ForksOfOneRunHaveTheBitsThatTheyHaveAlone) {
  Runner runner(backend());
  for (int round = 0; round < 20; ++round) {  // threads meet differently
    const auto first = runner.cache();
    RunRequest prefix = request_for({some_ids(40, round)});
    prefix.caches = {first};
    runner.run(prefix);
    std::vector<std::vector<int32_t>> tokens;
    for (int32_t i = 0; i < 9; ++i) tokens.push_back({i});
    RunRequest together = request_for(tokens);
    together.caches = {first};
    while (together.caches.size() < tokens.size()) together.caches.push_back(first->fork());
    const std::vector<float> logits = runner.run(together).outputs.at("logits");
    for (size_t i = 0; i < tokens.size(); ++i) {
      std::vector<int32_t> whole = some_ids(40, round);
      whole.insert(whole.end(), tokens[i].begin(), tokens[i].end());
      RunRequest alone = request_for({whole});
      alone.rows = {40};
      EXPECT_EQ(slice(logits, i * TinyLlama::kVocabulary, TinyLlama::kVocabulary),
                runner.run(alone).outputs.at("logits"));
      EXPECT_EQ(together.caches[i]->length(), 41);
    }
  }
}

TEST_P(ExecutorTest, AttentionProbabilitiesAreAskedForByName) {
  Runner runner(backend(), 16);
  RunRequest request = request_for({some_ids(20, 1), some_ids(3, 2)});
  request.outputs = {"attentions.1"};
  const std::vector<float> probabilities = runner.run(request).outputs.at("attentions.1");
  ASSERT_EQ(probabilities.size(), 3u * (20 * 20 + 3 * 3));
  for (size_t row = 0; row < 60; ++row) {
    double sum = 0;
    for (size_t key = 0; key < 20; ++key) {
      const float probability = probabilities[row * 20 + key];
      sum += probability;
      if (key > row % 20) {
        EXPECT_EQ(probability, 0.0f);
      }
    }
    EXPECT_NEAR(sum, 1, 20 * 0x1p-23);  // a rounding an entry
  }
  EXPECT_EQ(probabilities[1200], 1.0f);  // the second sequence's first token sees itself only
}

INSTANTIATE_TEST_SUITE_P(
    Backends, ExecutorTest,
    // Two layers of products with at most 20 terms of size about 1, and each value rounded to float32 (2^-24) on the
    // way: some hundred roundings for the reference, whose sums are double, a few times more where sums are float32.
    testing::Values(BackendCase{"reference", [] { return std::make_unique<ReferenceBackend>(); }, 1e-5},
                    BackendCase{"cpu", [] { return make_cpu_backend({}); }, 5e-5},
                    BackendCase{"cpu_1_thread", [] { return make_cpu_backend({1, ""}); }, 5e-5}),
    [](const auto& info) { return std::string(info.param.name); });

std::unique_ptr<Backend> reference() { return std::make_unique<ReferenceBackend>(); }

TEST(ExecutorRequest, WrongOnesAreRefusedByName) {
  Runner runner(reference());
  Runner other(reference());
  const auto refuse = [&](std::initializer_list<std::string_view> parts, auto change,
                          ErrorCode code = ErrorCode::invalid_argument) {
    RunRequest request = request_for({{1, 2, 3}, {4}});
    change(request);
    expect_error(code, parts, [&] { runner.run(request); });
  };
  const auto cache = runner.cache();
  refuse({"lengths add up to 5", "4 input_ids"}, [](RunRequest& r) { r.lengths[1] = 2; });
  refuse({"lengths[0] is -1"}, [](RunRequest& r) { r.lengths = {-1, 5}; });
  refuse({"position_ids has 1 entries"}, [](RunRequest& r) { r.position_ids = {7}; });
  refuse({"rows[0] is 4"}, [](RunRequest& r) { r.rows = {4}; });
  refuse({"rows[0] is -1"}, [](RunRequest& r) { r.rows = {-1}; });
  refuse({"no output 'logit'", "it has: attentions.0, attentions.1", "logits"},
         [](RunRequest& r) { r.outputs = {"logit"}; });
  refuse({"token id 29", "at position 1", "token row 1", "29 entries"}, [](RunRequest& r) { r.input_ids[1] = 29; });
  refuse({"token id -1", "at position 0", "token row 3"}, [](RunRequest& r) { r.input_ids[3] = -1; });
  refuse({"caches[1] is given twice"}, [&](RunRequest& r) { r.caches = {cache, cache}; });
  refuse({"caches[0] belongs to another model"}, [&](RunRequest& r) { r.caches[0] = other.cache(); });
  refuse({"3 caches for 2 sequences"}, [&](RunRequest& r) { r.caches.emplace_back(); });
  refuse({"1 samplers for 4 rows"}, [](RunRequest& r) { r.samplers = {std::make_shared<Sampler>(SamplerOptions{})}; });
  refuse({"log_probabilities is -1"}, [](RunRequest& r) { r.log_probabilities = -1; });
  refuse({"a sampler is given for two rows"}, [](RunRequest& r) {
    r.rows = {0, 1};
    r.samplers.assign(2, std::make_shared<Sampler>(SamplerOptions{}));
  });
}

TEST(ExecutorRequest, AFailedOrAbortedRunLeavesItsCachesAsTheyWere) {
  Runner runner(reference());
  const auto cache = runner.cache();
  RunRequest request = request_for({some_ids(40, 1)});
  request.caches = {cache};
  runner.run(request);
  const size_t bytes = cache->bytes();

  RunRequest bad = request_for({some_ids(40, 2)});
  bad.caches = {cache};
  bad.input_ids[39] = 99;
  expect_error(ErrorCode::invalid_argument, {"token id 99"}, [&] { runner.run(bad); });
  const std::atomic<bool> abort = true;
  RunRequest aborted = request_for({some_ids(40, 2)});
  aborted.caches = {cache};
  aborted.abort_all = &abort;
  expect_error(ErrorCode::aborted, {"aborted"}, [&] { runner.run(aborted); });
  EXPECT_EQ(cache->length(), 40);
  EXPECT_EQ(cache->bytes(), bytes);

  RunRequest next = request_for({{5}});
  next.caches = {cache};
  std::vector<int32_t> ids = some_ids(40, 1);
  ids.push_back(5);
  const std::vector<float> whole = runner.run(request_for({ids})).outputs.at("logits");
  EXPECT_EQ(runner.run(next).outputs.at("logits"), slice(whole, 40 * TinyLlama::kVocabulary, TinyLlama::kVocabulary));
}

/// Raises the flag in the n-th product.
class AbortingBackend : public ReferenceBackend {
 public:
  AbortingBackend(std::atomic<bool>& flag, int after) : flag_(flag), left_(after) {}
  void linear(const LinearArguments& arguments) override {
    if (--left_ == 0) flag_ = true;
    EXPECT_GE(left_, 0) << "an op ran after the abort";
    ReferenceBackend::linear(arguments);
  }

 private:
  std::atomic<bool>& flag_;
  int left_;
};

TEST(ExecutorRequest, AnAbortIsNoticedBeforeTheNextOp) {
  std::atomic<bool> flag = false;
  Runner runner(std::make_unique<AbortingBackend>(flag, 3));
  RunRequest request = request_for({some_ids(4, 1)});
  request.caches = {runner.cache()};
  request.abort = &flag;
  expect_error(ErrorCode::aborted, {"aborted"}, [&] { runner.run(request); });
  EXPECT_EQ(request.caches[0]->length(), 0);
}

TEST(ExecutorRequest, SamplersChooseFromTheirRows) {
  Runner runner(reference());
  RunRequest request = request_for({some_ids(6, 1), some_ids(4, 2)});
  request.rows = {9, 5};
  for (int i = 0; i < 2; ++i) request.samplers.push_back(std::make_shared<Sampler>(SamplerOptions{}));
  const RunResult result = runner.run(request);
  const std::vector<float>& logits = result.outputs.at("logits");
  ASSERT_EQ(result.sampled.size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    const auto row = logits.begin() + static_cast<std::ptrdiff_t>(i * TinyLlama::kVocabulary);
    EXPECT_EQ(result.sampled[i], std::max_element(row, row + TinyLlama::kVocabulary) - row);
  }
}

TEST(ExecutorRequest, NothingToDoGivesNothing) {
  Runner runner(reference());
  RunRequest empty = request_for({});
  EXPECT_TRUE(runner.run(empty).outputs.at("logits").empty());
  RunRequest no_rows = request_for({some_ids(3, 1)});
  no_rows.rows.clear();
  no_rows.caches = {runner.cache()};
  EXPECT_TRUE(runner.run(no_rows).outputs.at("logits").empty());
  EXPECT_EQ(no_rows.caches[0]->length(), 3);
}

TEST(ExecutorMemory, TheArenaDoesNotGrowInSteadySteps) {
  Runner runner(reference());
  RunRequest request = request_for({{1}});
  request.caches = {runner.cache()};
  runner.run(request);
  const size_t bytes = runner.arena_bytes();
  EXPECT_GT(bytes, 0u);
  for (int i = 0; i < 100; ++i) runner.run(request);
  EXPECT_EQ(runner.arena_bytes(), bytes);
  EXPECT_EQ(request.caches[0]->length(), 101);
}

TEST(ExecutorMemory, ALongPromptTakesTheArenaOfAChunk) {
  Runner chunked(reference(), 16);
  RunRequest request = request_for({some_ids(200, 1)});
  request.rows = {199};
  request.outputs.clear();
  chunked.run(request);
  Runner whole(reference());
  whole.run(request);
  EXPECT_LT(chunked.arena_bytes() * 10, whole.arena_bytes());
}

}  // namespace
}  // namespace octoformer
