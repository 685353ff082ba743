// Whole Programs with int8 layers and int8 caches: what is fused, shared and kept narrow changes no bits that it should
// not.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <regex>

#include "backend/error.h"
#include "cpu/cpu_backend.h"
#include "runtime/executor.h"
#include "runtime/row_quantization.h"
#include "runtime/tiny_llama.h"

namespace octoformer {
namespace {

const TinyLlama& tiny() {
  static const TinyLlama model;
  return model;
}

std::string replace_all(const std::string& text, const std::string& pattern, const std::string& by) {
  return std::regex_replace(text, std::regex(pattern), by);
}

/// The tiny model with int8 matrices (which compute as `settings` says) and caches of the form `cache`.
std::string int8_program(const std::string& settings = "{}", const std::string& cache = "float32") {
  const std::string int8 = replace_all(tiny().program(), R"re("role":"linear",("shape":\[[0-9,]*\]),"form":"auto")re",
                                       R"("role":"linear",$1,"form":"int8","int8":)" + settings);
  return replace_all(int8, R"re("head_dim":4\})re", R"("head_dim":4,"form":")" + cache + "\"}");
}

/// The same with an output that reads what each norm and activation writes: nothing can be fused.
std::string with_rows_read(const std::string& program) {
  std::string text;
  std::smatch found;
  std::string rest = program;
  const std::regex op(R"re(\{"op":"(?:norm|gated_activation)".*"out":(\{[^}]*\})(?:,[^}]*)?\})re");
  int count = 0;
  while (std::regex_search(rest, found, op)) {
    text += found.prefix().str() + found.str() + R"(,{"op":"output","name":"rows.)" + std::to_string(count++) +
            R"(","input":)" + found[1].str() + "}";
    rest = found.suffix().str();
  }
  return text + rest;
}

class Runner {
 public:
  explicit Runner(const std::string& program, int64_t chunk_tokens = Executor::kChunkTokens)
      : compiled_(compile_program(parse_program(program).main)),
        weights_(load_weights(compiled_.program.weights, tiny().checkpoint(), *backend_, {})),
        pool_(KeyValuePagePool::create(plan_key_value_layout(compiled_.program.cache_layers, *backend_))),
        executor_(compiled_, weights_, pool_, *backend_, chunk_tokens) {}

  std::shared_ptr<KeyValueCache> cache() const { return std::make_shared<KeyValueCache>(pool_); }
  size_t page_bytes() const { return pool_->layout().page_bytes; }

  /// The logits of all rows.
  std::vector<float> run(const std::vector<std::vector<int32_t>>& sequences,
                         std::vector<std::shared_ptr<KeyValueCache>> caches = {}) {
    return run({}, sequences, std::move(caches)).outputs.at("logits");
  }

  RunResult run(RunRequest request, const std::vector<std::vector<int32_t>>& sequences,
                std::vector<std::shared_ptr<KeyValueCache>> caches = {}) {
    for (const auto& ids : sequences) {
      request.input_ids.insert(request.input_ids.end(), ids.begin(), ids.end());
      request.lengths.push_back(static_cast<int32_t>(ids.size()));
    }
    caches.resize(sequences.size());
    request.caches = std::move(caches);
    request.rows.resize(request.input_ids.size());
    std::iota(request.rows.begin(), request.rows.end(), 0);
    if (request.samplers.empty()) request.outputs = {"logits"};
    return executor_.run(request);
  }

  std::vector<RowQuantization> plan() const {
    return plan_row_quantization(compiled_, [&](int32_t left, int32_t right) {
      return backend_->share_quantized_rows(*weights_[static_cast<size_t>(left)].linear,
                                            *weights_[static_cast<size_t>(right)].linear);
    });
  }
  const std::vector<Op>& ops() const { return compiled_.program.ops; }

 private:
  std::unique_ptr<Backend> backend_ = make_cpu_backend({.threads = 2, .isa = ""});
  CompiledProgram compiled_;
  std::vector<LoadedWeight> weights_;
  std::shared_ptr<KeyValuePagePool> pool_;
  Executor executor_;
};

std::vector<int32_t> some_ids(int32_t count, int32_t seed) {
  std::vector<int32_t> ids;
  for (int32_t i = 0; i < count; ++i) ids.push_back((i * 7 + seed * 5 + i * i) % TinyLlama::kVocabulary);
  return ids;
}

TEST(GreedyChoices, AreTheLargestLogitsWhereNobodyLooksAtTheseEither) {
  Runner runner(int8_program());
  for (const size_t count : {1, 2, 9}) {
    std::vector<std::vector<int32_t>> sequences;
    RunRequest request;
    for (size_t i = 0; i < count; ++i) {
      sequences.push_back(some_ids(1, static_cast<int32_t>(i)));
      request.samplers.push_back(std::make_shared<Sampler>(SamplerOptions{}));
    }
    const std::vector<float> logits = runner.run(sequences);
    const RunResult chosen = runner.run(request, sequences);
    EXPECT_TRUE(chosen.outputs.empty());
    ASSERT_EQ(chosen.sampled.size(), count);
    for (size_t i = 0; i < count; ++i) {
      const float* const row = logits.data() + i * TinyLlama::kVocabulary;
      EXPECT_EQ(chosen.sampled[i], std::max_element(row, row + TinyLlama::kVocabulary) - row);
    }
  }
}

TEST(RowQuantization, EveryNormAndActivationOfALlamaIsFused) {
  const Runner fused(int8_program()), floats(tiny().program()), read(with_rows_read(int8_program()));
  int norms = 0, activations = 0;
  const std::vector<RowQuantization> plan = fused.plan();
  for (size_t i = 0; i < plan.size(); ++i) {
    const bool activation = std::holds_alternative<GatedActivationOp>(fused.ops()[i]);
    if (!activation && !std::holds_alternative<NormOp>(fused.ops()[i])) continue;
    ++(activation ? activations : norms);
    EXPECT_TRUE(plan[i].fills) << "op " << i;
    EXPECT_EQ(plan[i].gated_before, activation);
    EXPECT_EQ(plan[i - 1].gates_next, activation);
    EXPECT_EQ(plan[i].slot, activation ? 1 : 0)
        << "op " << i << ": readers end before the next one begins, but for gates and what they gate";
    EXPECT_EQ(plan[i + 1].slot, plan[i].slot) << "the layer behind it reads it";
    EXPECT_FALSE(plan[i + 1].fills);
    EXPECT_EQ(plan[i].reader, std::get<LinearOp>(fused.ops()[i + 1]).weight);
  }
  EXPECT_EQ(norms, 5);
  EXPECT_EQ(activations, 2);
  for (const Runner* runner : {&floats, &read}) {
    for (const RowQuantization& entry : runner->plan()) EXPECT_EQ(entry.slot, -1);
  }
}

TEST(RowQuantization, FusedAndUnfusedGiveTheSameBits) {
  for (const char* settings : {"{}", R"({"activations":"zeropoint","threshold":1.5})",
                               R"({"threshold":1.5,"outliers":"column"})", R"({"activation_scales":"tensor"})"}) {
    Runner fused(int8_program(settings)), unfused(with_rows_read(int8_program(settings)));
    for (const int32_t count : {1, 3, 17, 67}) {
      EXPECT_EQ(fused.run({some_ids(count, 1), some_ids(5, 2)}), unfused.run({some_ids(count, 1), some_ids(5, 2)}))
          << settings << ", " << count << " tokens";
    }
  }
}

TEST(RowQuantization, WhatLayersReadIsObservedWhereTheirRowsComeQuantized) {
  RunRequest observed;
  observed.observe = 0.5f;
  for (const char* settings : {"{}", R"({"activations":"zeropoint","threshold":1.5})"}) {
    Runner fused(int8_program(settings)), unfused(with_rows_read(int8_program(settings)));
    const RunResult result = fused.run(observed, {some_ids(19, 1)});
    const RunResult expected = unfused.run(observed, {some_ids(19, 1)});
    ASSERT_EQ(result.inputs.size(), 9u) << "four layers of each block and the last one";
    ASSERT_EQ(expected.inputs.size(), result.inputs.size());
    for (const auto& [weight, statistics] : expected.inputs) {
      EXPECT_EQ(result.inputs.at(weight).rows, 19u);
      EXPECT_EQ(result.inputs.at(weight).entries, statistics.entries) << "weight " << weight;
      EXPECT_EQ(result.inputs.at(weight).largest, statistics.largest) << "weight " << weight;
    }
    EXPECT_EQ(result.outputs.at("logits"), fused.run({some_ids(19, 1)})) << "being observed changes nothing";
  }
}

/// A Program of buffers of 6 columns, norms and linear ops over them, with four weights, and a fifth for 3 columns,
/// that share rows as the test says.
std::vector<RowQuantization> plan_of(const std::string& ops, const std::function<bool(int32_t, int32_t)>& share) {
  std::string weights;
  for (const std::string name : {"a", "b", "c", "d", "narrow"}) {
    const std::string shape = name == "narrow" ? "[6,3]" : "[6,6]";
    if (!weights.empty()) weights += ',';
    weights += R"({"name":")" + name + R"(","role":"linear","shape":)" + shape + R"(,"form":"int8","compute":)";
    weights += R"("float32","parts":[{"tensor":")" + name + R"(","shape":)" + shape + "}]}";
  }
  std::string buffers;
  for (int i = 0; i < 6; ++i) {
    if (i > 0) buffers += ',';
    buffers += R"({"rows":"tokens","columns":6})";
  }
  return plan_row_quantization(
      compile_program(parse_program(R"({"version":1,"weights":[)" + weights + R"(],"buffers":[)" + buffers +
                                    R"(],"cache_layers":[],"ops":[)" +
                                    R"({"op":"embedding","index":"input_ids","table":0,"out":)" +
                                    R"({"buffer":0,"offset":0,"columns":6}},)" + ops + "]}")
                          .main),
      share);
}

std::string whole(int buffer) { return R"({"buffer":)" + std::to_string(buffer) + R"(,"offset":0,"columns":6})"; }
std::string norm(int in, int out) {
  return R"({"op":"norm","kind":"rms","epsilon":0.1,"input":)" + whole(in) + R"(,"out":)" + whole(out) + "},";
}
std::string activation(int in, int out) {
  return R"({"op":"activation","activation":"relu","input":)" + whole(in) + R"(,"out":)" + whole(out) + "},";
}
std::string gated(int gate, int up, int out) {
  return R"({"op":"gated_activation","activation":"silu","gate":)" + whole(gate) + R"(,"up":)" + whole(up) +
         R"(,"out":)" + whole(out) + "},";
}
std::string linear(int in, int weight, int out, int residual = -1) {
  return R"({"op":"linear","input":)" + whole(in) + R"(,"weight":)" + std::to_string(weight) +
         (residual < 0 ? "" : R"(,"residual":)" + whole(residual)) + R"(,"out":)" + whole(out) + "},";
}
const std::string kEnd = R"({"op":"output","name":"y","input":)" + whole(2) + "}";

std::vector<int32_t> slots(const std::vector<RowQuantization>& plan) {
  std::vector<int32_t> found;
  for (const RowQuantization& entry : plan) found.push_back(entry.slot);
  return found;
}
using Slots = std::vector<int32_t>;
const auto kAll = [](int32_t, int32_t) { return true; };

TEST(RowQuantization, ReadersOfOneValueShareIt) {
  // Parallel blocks: a norm with two readers; then a value that is no norm's with two readers.
  const auto plan =
      plan_of(norm(0, 1) + linear(1, 0, 2) + linear(1, 1, 3) + linear(2, 2, 4) + linear(2, 3, 5) + kEnd, kAll);
  EXPECT_EQ(slots(plan), (Slots{-1, 0, 0, 0, 0, 0, -1}));
  EXPECT_TRUE(plan[1].fills && !plan[2].fills && !plan[3].fills && plan[4].fills && !plan[5].fills);
}

TEST(RowQuantization, ALayerThatOnlyInt8LayersReadQuantizesWhatItMakes) {
  const auto plan = plan_of(norm(0, 1) + linear(1, 0, 3) + linear(3, 1, 4) + linear(3, 2, 2) + kEnd, kAll);
  EXPECT_EQ(slots(plan), (Slots{-1, 0, 0, 1, 1, -1}));
  EXPECT_EQ(plan[2].out_slot, 1);
  EXPECT_EQ(plan[2].out_reader, 1);
  EXPECT_FALSE(plan[3].fills || plan[4].fills);
  EXPECT_EQ(plan[4].out_slot, -1) << "the output reads it";
  EXPECT_EQ(plan_of(linear(0, 0, 3) + linear(3, 1, 2, 3) + kEnd, kAll)[1].out_slot, -1) << "a residual";
}

TEST(RowQuantization, ActivationsThatOnlyInt8LayersRead) {
  EXPECT_EQ(slots(plan_of(activation(0, 1) + linear(1, 0, 2) + kEnd, kAll)), (Slots{-1, 0, 0, -1}));
  EXPECT_EQ(slots(plan_of(activation(0, 1) + gated(0, 1, 1) + linear(1, 0, 2) + kEnd, kAll)), (Slots{-1, -1, 0, 0, -1}))
      << "in place of what it multiplies";
  EXPECT_EQ(slots(plan_of(gated(0, 0, 1) + linear(1, 0, 3) + linear(3, 1, 2, 1) + kEnd, kAll)),
            (Slots{-1, -1, -1, 0, -1}))
      << "a residual of another op, and what a layer hands to the next";
}

TEST(RowQuantization, GatesAndWhatTheyGateAreOneCallIfNothingElseReadsThem) {
  const auto half = [](int buffer, int offset) {
    return R"({"buffer":)" + std::to_string(buffer) + R"(,"offset":)" + std::to_string(offset) + R"(,"columns":3})";
  };
  const auto gated_halves = [&](const std::string& gate, const std::string& up) {
    return R"({"op":"gated_activation","activation":"silu","gate":)" + gate + R"(,"up":)" + up + R"(,"out":)" +
           half(3, 0) + "},";
  };
  const auto scale = [](const std::string& in, const std::string& out) {
    return R"({"op":"scale","factor":2,"input":)" + in + R"(,"out":)" + out + "},";
  };
  const std::string down = R"({"op":"linear","input":)" + half(3, 0) + R"(,"weight":4,"out":)" + whole(2) + "},";
  const std::string gates = norm(0, 4) + linear(4, 0, 1);
  const auto fuses = [](const std::vector<RowQuantization>& plan) {
    for (size_t op = 1; op < plan.size(); ++op) {
      EXPECT_EQ(plan[op].gated_before, plan[op - 1].gates_next);
      if (plan[op].gated_before) {
        EXPECT_NE(plan[op].slot, plan[op - 1].slot) << "it fills one while it reads the other";
        return true;
      }
    }
    return false;
  };
  const std::string one_call = gated_halves(half(1, 0), half(1, 3));
  EXPECT_TRUE(fuses(plan_of(gates + one_call + down + kEnd, kAll)));
  EXPECT_TRUE(fuses(plan_of(gates + gated_halves(half(1, 3), half(1, 0)) + down + kEnd, kAll))) << "in any order";
  EXPECT_TRUE(fuses(plan_of(gates + one_call + down + norm(0, 1) + linear(1, 1, 2) + kEnd, kAll))) << "overwritten";
  EXPECT_FALSE(fuses(plan_of(gates + one_call + down + scale(half(1, 3), half(5, 0)) + kEnd, kAll))) << "read later";
  EXPECT_FALSE(fuses(plan_of(gates + scale(half(1, 0), half(5, 0)) + one_call + down + kEnd, kAll))) << "read before";
  EXPECT_FALSE(fuses(plan_of(gates + one_call + down + scale(half(0, 0), half(1, 0)) + kEnd, kAll)))
      << "half overwritten: the other half may be read yet";
  EXPECT_FALSE(fuses(plan_of(norm(0, 4) + linear(4, 0, 1, 0) + one_call + down + kEnd, kAll))) << "a residual";
  EXPECT_FALSE(fuses(plan_of(gates + gated_halves(half(0, 0), half(1, 3)) + down + kEnd, kAll))) << "other gates";
  EXPECT_FALSE(fuses(plan_of(gates + one_call + down + kEnd, [](int32_t left, int32_t) { return left != 0; })))
      << "a layer that reads floats";
}

TEST(RowQuantization, SlotsInUseAtATimeDiffer) {
  const auto plan =
      plan_of(norm(0, 1) + norm(0, 3) + linear(1, 0, 2) + linear(3, 1, 4) + norm(4, 5) + linear(5, 2, 2) + kEnd, kAll);
  EXPECT_EQ(slots(plan), (Slots{-1, 0, 1, 0, 1, 0, 0, -1}));
}

TEST(RowQuantization, ANormThatSomethingElseReadsStaysFloat) {
  const std::string fused = norm(0, 1) + linear(1, 0, 2);
  EXPECT_EQ(slots(plan_of(fused + kEnd, kAll)), (Slots{-1, 0, 0, -1}));
  EXPECT_EQ(slots(plan_of(norm(0, 2) + linear(2, 0, 3) + kEnd, kAll)), (Slots{-1, -1, -1, -1})) << "an output";
  EXPECT_EQ(slots(plan_of(norm(0, 1) + linear(1, 0, 2, 1) + kEnd, kAll)), (Slots{-1, -1, -1, -1})) << "a residual";
  EXPECT_EQ(slots(plan_of(norm(0, 1) + linear(1, 0, 3) + linear(3, 1, 2, 1) + kEnd, kAll)), (Slots{-1, -1, -1, 0, -1}))
      << "a residual of another op, and what a layer hands to the next";
  // The second reader has other rows: the norm writes floats, each quantizes its own.
  const auto unlike = [](int32_t left, int32_t right) { return left == right; };
  EXPECT_EQ(slots(plan_of(norm(0, 1) + linear(1, 0, 2) + linear(1, 1, 3) + kEnd, unlike)), (Slots{-1, -1, -1, -1, -1}));
  // Of three readers two are alike.
  const auto but_b = [](int32_t left, int32_t right) { return left != 1 && right != 1; };
  EXPECT_EQ(slots(plan_of(norm(0, 1) + linear(1, 0, 2) + linear(1, 1, 3) + linear(1, 2, 4) + kEnd, but_b)),
            (Slots{-1, -1, 0, -1, 0, -1}));
  EXPECT_EQ(slots(plan_of(norm(0, 1) + linear(1, 1, 2) + linear(1, 0, 3) + linear(1, 2, 4) + kEnd, but_b)),
            (Slots{-1, -1, -1, 0, 0, -1}));
}

TEST(RowQuantization, AValueEndsWhereItIsOverwritten) {
  // In place: the norm's input and out are one value, which the next norm writes again.
  EXPECT_EQ(slots(plan_of(norm(0, 0) + linear(0, 0, 1) + norm(1, 0) + linear(0, 1, 2) + kEnd, kAll)),
            (Slots{-1, 0, 0, 0, 0, -1}));
  // Half of it is overwritten: the other half may be read yet.
  const std::string half = R"({"op":"scale","factor":2,"input":{"buffer":3,"offset":0,"columns":3},"out":)"
                           R"({"buffer":1,"offset":0,"columns":3}},)";
  EXPECT_EQ(slots(plan_of(norm(0, 3) + norm(0, 1) + linear(1, 0, 2) + half + kEnd, kAll)),
            (Slots{-1, -1, -1, -1, -1, -1}));
}

class NarrowCache : public ::testing::TestWithParam<const char*> {};

TEST_P(NarrowCache, PrefillChunksDecodeAndBatchesGiveTheSameBits) {
  for (const std::string& program : {replace_all(tiny().program(), R"re("head_dim":4\})re",
                                                 R"("head_dim":4,"form":")" + std::string(GetParam()) + "\"}"),
                                     int8_program(R"({"threshold":1.5})", GetParam())}) {
    const std::vector<int32_t> ids = some_ids(70, 1);
    Runner runner(program);
    const std::vector<float> whole_run = runner.run({ids});
    EXPECT_EQ(Runner(program, 7).run({ids}), whole_run) << "chunks";

    const auto cache = runner.cache(), beside = runner.cache();
    std::vector<float> stepped = runner.run({{ids.begin(), ids.begin() + 37}}, {cache});
    for (size_t i = 37; i < ids.size(); ++i) {
      const std::vector<float> rows = runner.run({{ids[i]}, some_ids(3, 2)}, {cache, beside});
      stepped.insert(stepped.end(), rows.begin(), rows.begin() + TinyLlama::kVocabulary);
    }
    EXPECT_EQ(stepped, whole_run) << "decode in a batch";
  }
}

TEST_P(NarrowCache, ForksCopyOnWriteAndTruncationKeepTheBits) {
  const std::string program = int8_program("{}", GetParam());
  Runner runner(program);
  const std::vector<int32_t> prompt = some_ids(41, 3), left = some_ids(9, 4), right = some_ids(9, 5);
  const auto join = [](std::vector<int32_t> ids, const std::vector<int32_t>& more) {
    ids.insert(ids.end(), more.begin(), more.end());
    return ids;
  };
  const auto last = [](const std::vector<float>& logits, size_t tokens) {
    return std::vector<float>(logits.end() - static_cast<std::ptrdiff_t>(tokens * TinyLlama::kVocabulary),
                              logits.end());
  };
  const auto cache = runner.cache();
  runner.run({prompt}, {cache});
  EXPECT_EQ(cache->bytes(), 2 * runner.page_bytes());
  const std::shared_ptr<KeyValueCache> fork = cache->fork();
  EXPECT_EQ(cache->bytes(), runner.page_bytes());
  const std::vector<float> both = runner.run({left, right}, {cache, fork});
  EXPECT_EQ(std::vector<float>(both.begin(), both.begin() + 9 * TinyLlama::kVocabulary),
            last(runner.run({join(prompt, left)}), 9));
  EXPECT_EQ(last(both, 9), last(runner.run({join(prompt, right)}), 9));
  fork->truncate(33);
  const std::vector<int32_t> shorter(prompt.begin(), prompt.begin() + 33);
  EXPECT_EQ(runner.run({left}, {fork}), last(runner.run({join(shorter, left)}), 9));
}

INSTANTIATE_TEST_SUITE_P(Forms, NarrowCache, ::testing::Values("bfloat16", "int8"),
                         [](const auto& info) { return std::string(info.param); });

TEST(NarrowCacheLayout, AFormThatIsNotThereIsRefusedByPlace) {
  try {
    parse_program(int8_program("{}", "int4"));
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
    EXPECT_NE(std::string(error.what()).find("cache_layers[0].form"), std::string::npos) << error.what();
  }
}

// A number instead of four bytes and, for a head of 4 numbers, a scale for each 4 (values are padded to 16).
TEST(NarrowCacheLayout, PagesAreSmaller) {
  const size_t wide = Runner(int8_program()).page_bytes(), narrow = Runner(int8_program("{}", "int8")).page_bytes();
  EXPECT_EQ(wide, 2u * 32 * (4 + 16) * 4);
  EXPECT_EQ(narrow, 2u * 32 * (4 + 16 + 8));
}

}  // namespace
}  // namespace octoformer
