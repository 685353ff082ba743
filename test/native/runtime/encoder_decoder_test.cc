// A Program with an encoder, run by Model: what its cross attention reads, who shares it, and what is refused.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "cpu/cpu_backend.h"
#include "formats/checkpoint_files.h"
#include "reference/random.h"
#include "reference/reference_backend.h"
#include "runtime/model.h"
#include "runtime/tiny_llama.h"

namespace octoformer {
namespace {

constexpr int64_t kVocabulary = 13, kHeads = 2, kHeadDim = 3, kWidth = kHeads * kHeadDim;

std::string value(int buffer, int64_t columns = kWidth, int64_t offset = 0) {
  return R"({"buffer":)" + std::to_string(buffer) + R"(,"offset":)" + std::to_string(offset) + R"(,"columns":)" +
         std::to_string(columns) + "}";
}

std::string embedding(int table, int out) {
  return R"({"op":"embedding","index":"input_ids","table":)" + std::to_string(table) + R"(,"out":)" + value(out) + "}";
}

std::string attention(int in, int out, const char* kind) {
  return R"({"op":"attention","query":)" + value(in) + R"(,"key":)" + value(in) + R"(,"value":)" + value(in) +
         R"(,"out":)" + value(out) + R"(,"layer":0,"heads":2,"scale":0.5,"pattern":{"kind":")" + kind + "\"}}";
}

std::string output(const char* name, int buffer, int64_t columns = kWidth) {
  return std::string(R"({"op":"output","name":")") + name + R"(","input":)" + value(buffer, columns) + "}";
}

const std::string kStore =
    R"({"op":"store_cross","key":)" + value(2) + R"(,"value":)" + value(2, kWidth, kWidth) + R"(,"layer":0})";
const std::string kCross = R"({"op":"cross_attention","query":)" + value(1) + R"(,"out":)" + value(3) +
                           R"(,"layer":0,"heads":2,"scale":0.25,"probabilities":"cross_attentions.0"})";

/// The encoder: keys and values are a projection of full attention over one table. The decoder: causal attention over
/// another table, then attention to the encoder; logits by the second table.
std::string program(const std::string& encoder_end = kStore, const std::string& decoder_middle = kCross) {
  const auto weight = [](const char* name, int64_t rows) {
    const std::string shape = "[" + std::to_string(rows) + "," + std::to_string(kWidth) + "]";
    return std::string(R"({"name":")") + name + R"(","role":"linear","shape":)" + shape +
           R"(,"form":"auto","compute":"float32","parts":[{"tensor":")" + name + R"(","shape":)" + shape + "}]}";
  };
  const auto buffer = [](const char* rows, int64_t columns) {
    return std::string(R"({"rows":")") + rows + R"(","columns":)" + std::to_string(columns) + "}";
  };
  const std::string layer = R"([{"kv_heads":2,"head_dim":3}])";
  return R"({"version":1,"weights":[)" + weight("source", kVocabulary) + "," + weight("target", kVocabulary) + "," +
         weight("project", 2 * kWidth) + R"(],"buffers":[)" + buffer("tokens", kWidth) + "," +
         buffer("tokens", kWidth) + "," + buffer("tokens", 2 * kWidth) + "," + buffer("tokens", kWidth) + "," +
         buffer("rows", kWidth) + "," + buffer("rows", kVocabulary) + R"(],"cache_layers":)" + layer +
         R"(,"encoder":{"cache_layers":)" + layer + R"(,"cross_layers":)" + layer + R"(,"ops":[)" + embedding(0, 0) +
         "," + attention(0, 1, "full") + R"(,{"op":"linear","input":)" + value(1) + R"(,"weight":2,"out":)" +
         value(2, 2 * kWidth) + "}," + output("encoder_last_hidden_state", 1) + "," + encoder_end + R"(]},"ops":[)" +
         embedding(1, 0) + "," + attention(0, 1, "causal") + "," + decoder_middle + R"(,{"op":"gather_rows","input":)" +
         value(3) + R"(,"out":)" + value(4) + R"(},{"op":"linear","input":)" + value(4) + R"(,"weight":1,"out":)" +
         value(5, kVocabulary) + "}," + output("logits", 5, kVocabulary) + "]}";
}

using Matrix = std::vector<std::vector<double>>;

class TinyTranslator {
 public:
  TinyTranslator() {
    reference::Random random(9);
    for (const auto& [name, rows] :
         std::map<std::string, int64_t>{{"source", kVocabulary}, {"target", kVocabulary}, {"project", 2 * kWidth}}) {
      tensors_[name] = {{rows, kWidth}, random.vector(rows * kWidth, -1.0f, 1.0f)};
    }
    file_ = std::make_unique<TemporaryFile>(safetensors_of(tensors_), ".safetensors");
    checkpoint_ = Checkpoint::open(std::vector<std::string>{file_->path()});
  }

  std::unique_ptr<Model> load(std::unique_ptr<Backend> backend, const std::string& json = program()) const {
    return Model::load(json, *checkpoint_, std::move(backend), {});
  }

  /// Logits [tokens][vocabulary] of a decoder's sequence, in double.
  Matrix logits(const std::vector<int32_t>& source, const std::vector<int32_t>& target) const {
    const Matrix encoded =
        product(attend(rows("source", source), rows("source", source), rows("source", source), 0.5, false), "project");
    Matrix keys = encoded, values = encoded;
    for (auto& row : keys) row.resize(kWidth);
    for (auto& row : values) row.erase(row.begin(), row.begin() + kWidth);
    const Matrix own = rows("target", target);
    return product(attend(attend(own, own, own, 0.5, true), keys, values, 0.25, false), "target");
  }

 private:
  Matrix rows(const std::string& name, const std::vector<int32_t>& ids) const {
    Matrix result;
    for (const int32_t id : ids) {
      const float* row = tensors_.at(name).values.data() + id * kWidth;
      result.emplace_back(row, row + kWidth);
    }
    return result;
  }

  Matrix product(const Matrix& x, const std::string& name) const {
    const TinyTensor& weight = tensors_.at(name);
    Matrix result;
    for (const auto& row : x) {
      result.emplace_back();
      for (int64_t n = 0; n < weight.shape[0]; ++n) {
        result.back().push_back(std::inner_product(row.begin(), row.end(), weight.values.begin() + n * kWidth, 0.0));
      }
    }
    return result;
  }

  static Matrix attend(const Matrix& query, const Matrix& key, const Matrix& value, double scale, bool causal) {
    Matrix result(query.size(), std::vector<double>(kWidth));
    for (size_t i = 0; i < query.size(); ++i) {
      for (size_t head = 0; head < kHeads; ++head) {
        std::vector<double> weights;
        double total = 0;
        for (size_t j = 0; j < (causal ? i + 1 : key.size()); ++j) {
          double score = 0;
          for (size_t d = head * kHeadDim; d < (head + 1) * kHeadDim; ++d) score += query[i][d] * key[j][d];
          weights.push_back(std::exp(score * scale));
          total += weights.back();
        }
        for (size_t j = 0; j < weights.size(); ++j) {
          for (size_t d = head * kHeadDim; d < (head + 1) * kHeadDim; ++d) {
            result[i][d] += weights[j] / total * value[j][d];
          }
        }
      }
    }
    return result;
  }

  std::map<std::string, TinyTensor> tensors_;
  std::unique_ptr<TemporaryFile> file_;
  std::shared_ptr<Checkpoint> checkpoint_;
};

const TinyTranslator& tiny() {
  static const TinyTranslator model;
  return model;
}

struct Pair {
  std::vector<int32_t> source, target;
};

std::vector<int32_t> ids(int32_t count, int32_t seed) {
  std::vector<int32_t> result;
  for (int32_t i = 0; i < count; ++i) result.push_back((i * 5 + i * i + seed) % static_cast<int32_t>(kVocabulary));
  return result;
}

RunRequest request_for(const std::vector<Pair>& pairs) {
  RunRequest request;
  request.encoder.emplace();
  for (const Pair& pair : pairs) {
    request.input_ids.insert(request.input_ids.end(), pair.target.begin(), pair.target.end());
    request.lengths.push_back(static_cast<int32_t>(pair.target.size()));
    request.encoder->input_ids.insert(request.encoder->input_ids.end(), pair.source.begin(), pair.source.end());
    request.encoder->lengths.push_back(static_cast<int32_t>(pair.source.size()));
    request.caches.emplace_back();
  }
  request.rows.resize(request.input_ids.size());
  std::iota(request.rows.begin(), request.rows.end(), 0);
  request.outputs = {"logits", "cross_attentions.0", "encoder_last_hidden_state"};
  return request;
}

const std::vector<Pair>& some_pairs() {
  static const std::vector<Pair> pairs = {{ids(1, 1), ids(3, 2)}, {ids(40, 3), ids(1, 4)}, {ids(7, 5), ids(35, 6)}};
  return pairs;
}

std::unique_ptr<Backend> cpu(int threads = 1) { return make_cpu_backend({.threads = threads, .isa = ""}); }

TEST(EncoderDecoder, GivesTheLogitsOfAStraightforwardComputation) {
  for (auto& backend : {cpu, +[](int) -> std::unique_ptr<Backend> { return std::make_unique<ReferenceBackend>(); }}) {
    const auto model = tiny().load(backend(1));
    for (const Pair& pair : some_pairs()) {
      const RunResult result = model->run(request_for({pair}));
      const Matrix expected = tiny().logits(pair.source, pair.target);
      const std::vector<float>& logits = result.outputs.at("logits");
      ASSERT_EQ(logits.size(), pair.target.size() * kVocabulary);
      for (size_t i = 0; i < logits.size(); ++i) {
        EXPECT_NEAR(logits[i], expected[i / kVocabulary][i % kVocabulary], 2e-6);  // of values below 4, ten roundings
      }
      EXPECT_EQ(result.outputs.at("encoder_last_hidden_state").size(), pair.source.size() * kWidth);
      EXPECT_EQ(result.outputs.at("cross_attentions.0").size(), kHeads * pair.target.size() * pair.source.size());
    }
  }
}

TEST(EncoderDecoder, ASequenceInABatchHasTheBitsItHasAloneOnAnyNumberOfThreads) {
  const auto model = tiny().load(cpu());
  std::map<std::string, std::vector<float>> alone;
  for (const Pair& pair : some_pairs()) {
    for (const auto& [name, values] : model->run(request_for({pair})).outputs) {
      alone[name].insert(alone[name].end(), values.begin(), values.end());
    }
  }
  for (const int threads : {1, 2, 3}) {
    EXPECT_EQ(tiny().load(cpu(threads))->run(request_for(some_pairs())).outputs, alone) << threads << " threads";
  }
}

TEST(EncoderDecoder, StepsThroughTheCacheGiveTheSameBitsAndForksShareWhatWasEncoded) {
  const auto model = tiny().load(cpu());
  const Pair& pair = some_pairs()[2];
  const std::vector<float> whole = model->run(request_for({pair})).outputs.at("logits");

  // Encode alone; then token by token, half of it by a fork.
  RunRequest encode = request_for({{pair.source, {}}});
  encode.outputs = {};
  encode.caches = {model->create_cache()};
  model->run(encode);
  std::shared_ptr<KeyValueCache> cache = encode.caches[0];
  EXPECT_EQ(cache->length(), 0);
  ASSERT_NE(cache->encoded(), nullptr);
  EXPECT_EQ(cache->encoded()->length(), static_cast<int64_t>(pair.source.size()));
  std::vector<float> stepped;
  for (size_t i = 0; i < pair.target.size(); ++i) {
    if (i == pair.target.size() / 2) {
      const size_t bytes = cache->bytes();
      std::shared_ptr<KeyValueCache> fork = cache->fork();
      EXPECT_EQ(fork->encoded(), cache->encoded());
      EXPECT_LE(cache->bytes() + fork->bytes(), bytes + 2);  // each rounds its half down
      EXPECT_GE(cache->bytes() + fork->bytes(), bytes - 2);
      cache = fork;
    }
    RunRequest step;
    step.input_ids = {pair.target[i]};
    step.lengths = {1};
    step.caches = {cache};
    step.rows = {0};
    step.outputs = {"logits"};
    const std::vector<float> row = model->run(step).outputs.at("logits");
    stepped.insert(stepped.end(), row.begin(), row.end());
  }
  EXPECT_EQ(stepped, whole);
  cache->truncate(0);
  EXPECT_NE(cache->encoded(), nullptr);
}

TEST(EncoderDecoder, BeamsSideBySideHaveTheBitsThatEachHasAlone) {
  for (auto& backend : {cpu, +[](int) -> std::unique_ptr<Backend> { return std::make_unique<ReferenceBackend>(); }}) {
    const auto model = tiny().load(backend(2));
    // Beams of two inputs, of several lengths, one of them without new tokens; in the end the first input once more.
    const std::vector<std::pair<size_t, std::vector<int32_t>>> beams = {
        {1, ids(1, 1)}, {1, ids(35, 2)}, {1, {}}, {1, ids(2, 3)}, {2, ids(1, 4)}, {2, ids(1, 5)}, {1, ids(1, 6)},
    };
    for (const bool attentions : {false, true}) {
      RunRequest encode =
          request_for({{some_pairs()[0].source, {}}, {some_pairs()[1].source, {}}, {some_pairs()[2].source, {}}});
      encode.outputs = {};
      for (auto& cache : encode.caches) cache = model->create_cache();
      model->run(encode);
      const auto request_of = [&](std::span<const std::pair<size_t, std::vector<int32_t>>> some) {
        RunRequest request;
        for (const auto& [input, tokens] : some) {
          request.caches.push_back(encode.caches[input]->fork());
          request.lengths.push_back(static_cast<int32_t>(tokens.size()));
          request.input_ids.insert(request.input_ids.end(), tokens.begin(), tokens.end());
        }
        request.rows.resize(request.input_ids.size());
        std::iota(request.rows.begin(), request.rows.end(), 0);
        request.outputs = {"logits"};
        if (attentions) request.outputs.push_back("cross_attentions.0");
        return request;
      };
      std::map<std::string, std::vector<float>> alone;
      for (size_t i = 0; i < beams.size(); ++i) {
        for (const auto& [name, values] : model->run(request_of(std::span(beams).subspan(i, 1))).outputs) {
          alone[name].insert(alone[name].end(), values.begin(), values.end());
        }
      }
      EXPECT_EQ(model->run(request_of(beams)).outputs, alone);
    }
  }
}

TEST(EncoderDecoder, RefusesRequestsThatDontHoldTogether) {
  const auto model = tiny().load(cpu());
  const auto refused = [&](const RunRequest& request, const std::string& part) {
    expect_error(ErrorCode::invalid_argument, {part}, [&] { model->run(request); });
  };
  RunRequest request = request_for({{ids(3, 1), ids(2, 1)}});
  request.encoder.reset();
  request.outputs = {"logits"};
  refused(request, "sequence 0 has nothing to attend to");
  request.outputs = {"encoder_last_hidden_state"};
  refused(request, "no output 'encoder_last_hidden_state'");

  request = request_for({{ids(3, 1), ids(2, 1)}});
  request.encoder->lengths = {3, 0};
  refused(request, "2 lengths for 1 sequences");
  request.encoder->lengths = {-3};
  refused(request, "encoder.lengths[0] is -3");
  request.encoder->lengths = {2};
  refused(request, "lengths add up to 2 tokens, but there are 3 input_ids");
  request.encoder->lengths = {3};
  request.encoder->input_ids[1] = kVocabulary;
  refused(request, "token id 13 at position 1");
  request.encoder->input_ids[1] = 0;

  request.caches = {model->create_cache()};
  request.input_ids[1] = kVocabulary;
  refused(request, "token id 13 at position 1");
  EXPECT_EQ(request.caches[0]->encoded(), nullptr);  // as before
  request.input_ids[1] = 0;
  model->run(request);
  refused(request, "caches[0] has an encoded sequence already");

  const std::atomic<bool> abort = true;
  request.caches = {nullptr};
  request.abort = &abort;
  expect_error(ErrorCode::aborted, {}, [&] { model->run(request); });
}

TEST(EncoderDecoder, ProgramsThatDontFitTogetherAreRefused) {
  const auto refused = [&](const std::string& json, std::initializer_list<std::string_view> parts) {
    expect_error(ErrorCode::invalid_argument, parts, [&] { tiny().load(cpu(), json); });
  };
  refused(program(output("x", 2)), {"no op of the encoder stores cross layer 0"});
  refused(program(kStore + "," + kStore), {"encoder.ops[5] (store_cross)", "cross layer 0 is stored by an earlier op"});
  refused(program(kCross), {"encoder.ops[4] (cross_attention)", "the encoder has nothing to attend to but its own"});
  refused(program(kStore, kStore + "," + kCross), {"ops[2] (store_cross)", "belongs into the encoder"});
  refused(program(kStore + R"(,{"op":"gather_rows","input":)" + value(1) + R"(,"out":)" + value(4) + "}"),
          {"encoder.ops[5] (gather_rows)", "rows are asked of the decoder"});
  refused(program(kStore + "," + output("cross_attentions.0", 1)),
          {"encoder and decoder both have an output 'cross_attentions.0'"});
  std::string narrow = kCross;
  narrow.replace(narrow.find("\"columns\":6"), 11, "\"columns\":3");
  refused(program(kStore, narrow), {"ops[2] (cross_attention)", "query's columns is 3, but heads * head_dim is 6"});
  std::string layer = kCross;
  layer.replace(layer.find("\"layer\":0"), 9, "\"layer\":1");
  refused(program(kStore, layer), {"ops[2].layer", "cross layer 1 does not exist: there are 1"});
  std::string unread = kCross;
  unread.replace(unread.find("\"buffer\":1"), 10, "\"buffer\":3");
  refused(program(kStore, unread), {"ops[2] (cross_attention)", "before all of them are written"});
}

}  // namespace
}  // namespace octoformer
