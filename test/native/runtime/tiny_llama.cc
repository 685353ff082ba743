#include "runtime/tiny_llama.h"

#include <cmath>
#include <cstring>
#include <sstream>

#include "reference/random.h"

namespace octoformer {

namespace {

/// Collects the JSON of a Program.
class ProgramText {
 public:
  int weight(const std::string& name, const std::string& role, const std::vector<int64_t>& shape,
             const std::vector<std::pair<std::string, std::vector<int64_t>>>& parts) {
    std::ostringstream text;
    text << R"({"name":")" << name << R"(","role":")" << role << R"(","shape":)" << list(shape)
         << R"(,"form":"auto","compute":"float32","parts":[)";
    for (size_t i = 0; i < parts.size(); ++i) {
      text << (i ? "," : "") << R"({"tensor":")" << parts[i].first << R"(","shape":)" << list(parts[i].second) << "}";
    }
    text << "]}";
    weights_.push_back(text.str());
    return static_cast<int>(weights_.size()) - 1;
  }
  int matrix(const std::string& name, int64_t rows, int64_t columns) {
    return weight(name, "linear", {rows, columns}, {{name, {rows, columns}}});
  }
  int vector(const std::string& name, int64_t length) { return weight(name, "vector", {length}, {{name, {length}}}); }
  int buffer(const std::string& rows, int64_t columns) {
    buffers_.push_back(R"({"rows":")" + rows + R"(","columns":)" + std::to_string(columns) + "}");
    return static_cast<int>(buffers_.size()) - 1;
  }
  static std::string value(int buffer, int64_t offset, int64_t columns) {
    return R"({"buffer":)" + std::to_string(buffer) + R"(,"offset":)" + std::to_string(offset) + R"(,"columns":)" +
           std::to_string(columns) + "}";
  }
  void op(const std::string& name, const std::string& fields) {
    ops_.push_back(R"({"op":")" + name + "\"," + fields + "}");
  }
  void cache_layer(int64_t kv_heads, int64_t head_dim) {
    layers_.push_back(R"({"kv_heads":)" + std::to_string(kv_heads) + R"(,"head_dim":)" + std::to_string(head_dim) +
                      "}");
  }
  std::string text() const {
    return R"({"version":1,"weights":[)" + join(weights_) + R"(],"buffers":[)" + join(buffers_) +
           R"(],"cache_layers":[)" + join(layers_) + R"(],"ops":[)" + join(ops_) + "]}";
  }

 private:
  static std::string list(const std::vector<int64_t>& numbers) {
    std::string text = "[";
    for (size_t i = 0; i < numbers.size(); ++i) text += (i ? "," : "") + std::to_string(numbers[i]);
    return text + "]";
  }
  static std::string join(const std::vector<std::string>& texts) {
    std::string joined;
    for (size_t i = 0; i < texts.size(); ++i) joined += (i ? ",\n" : "") + texts[i];
    return joined;
  }

  std::vector<std::string> weights_, buffers_, layers_, ops_;
};

std::string tiny_program() {
  using Tiny = TinyLlama;
  constexpr int64_t qkv_columns = (Tiny::kHeads + 2) * Tiny::kHeadDim;
  const auto value = &ProgramText::value;
  const auto number = [](int64_t n) { return std::to_string(n); };
  ProgramText text;
  const auto whole = [&](const std::string& key, int buffer, int64_t columns) {
    return "\"" + key + "\":" + value(buffer, 0, columns);
  };
  const int embedding = text.matrix("embed", Tiny::kVocabulary, Tiny::kHidden);
  const int x = text.buffer("tokens", Tiny::kHidden);
  const int rope = text.buffer("tokens", Tiny::kHeadDim);
  text.op("embedding", R"("index":"input_ids","table":)" + number(embedding) + "," + whole("out", x, Tiny::kHidden));
  text.op("rope_table", whole("out", rope, Tiny::kHeadDim) + R"(,"inv_freq":[1,0.1],"attention_factor":1)");
  for (int64_t i = 0; i < Tiny::kLayers; ++i) {
    const std::string prefix = "layers." + number(i) + ".";
    text.cache_layer(1, Tiny::kHeadDim);
    const auto norm = [&](const std::string& name, int out) {
      text.op("norm", R"("kind":"rms",)" + whole("input", x, Tiny::kHidden) + "," + whole("out", out, Tiny::kHidden) +
                          R"(,"weight":)" + number(text.vector(prefix + name, Tiny::kHidden)) + R"(,"epsilon":1e-5)");
    };
    const auto linear = [&](int weight, int in, int64_t in_columns, int out, int64_t out_columns, bool residual) {
      text.op("linear", whole("input", in, in_columns) + R"(,"weight":)" + number(weight) + "," +
                            (residual ? whole("residual", out, out_columns) + "," : "") +
                            whole("out", out, out_columns));
    };
    text.op("output", R"("name":"hidden_states.)" + number(i) + "\"," + whole("input", x, Tiny::kHidden));
    const int normed = text.buffer("tokens", Tiny::kHidden);
    norm("norm1", normed);
    const int qkv_weight = text.weight(prefix + "qkv", "linear", {qkv_columns, Tiny::kHidden},
                                       {{prefix + "q", {Tiny::kHidden, Tiny::kHidden}},
                                        {prefix + "k", {Tiny::kHeadDim, Tiny::kHidden}},
                                        {prefix + "v", {Tiny::kHeadDim, Tiny::kHidden}}});
    const int qkv = text.buffer("tokens", qkv_columns);
    linear(qkv_weight, normed, Tiny::kHidden, qkv, qkv_columns, false);
    const auto rotate = [&](int64_t offset, int64_t heads) {
      text.op("rope", "\"x\":" + value(qkv, offset, heads * Tiny::kHeadDim) + "," +
                          whole("table", rope, Tiny::kHeadDim) + R"(,"heads":)" + number(heads) +
                          R"(,"head_dim":4,"pairing":"half")");
    };
    rotate(0, Tiny::kHeads);
    rotate(Tiny::kHidden, 1);
    const int attended = text.buffer("tokens", Tiny::kHidden);
    text.op("attention", whole("query", qkv, Tiny::kHidden) + ",\"key\":" + value(qkv, Tiny::kHidden, Tiny::kHeadDim) +
                             ",\"value\":" + value(qkv, Tiny::kHidden + Tiny::kHeadDim, Tiny::kHeadDim) + "," +
                             whole("out", attended, Tiny::kHidden) + R"(,"layer":)" + number(i) +
                             R"(,"heads":3,"scale":0.5,"pattern":{"kind":"causal"},"probabilities":"attentions.)" +
                             number(i) + "\"");
    linear(text.matrix(prefix + "o", Tiny::kHidden, Tiny::kHidden), attended, Tiny::kHidden, x, Tiny::kHidden, true);
    const int normed2 = text.buffer("tokens", Tiny::kHidden);
    norm("norm2", normed2);
    const int gate_up_weight = text.weight(prefix + "gate_up", "linear", {2 * Tiny::kIntermediate, Tiny::kHidden},
                                           {{prefix + "gate", {Tiny::kIntermediate, Tiny::kHidden}},
                                            {prefix + "up", {Tiny::kIntermediate, Tiny::kHidden}}});
    const int gate_up = text.buffer("tokens", 2 * Tiny::kIntermediate);
    linear(gate_up_weight, normed2, Tiny::kHidden, gate_up, 2 * Tiny::kIntermediate, false);
    const int product = text.buffer("tokens", Tiny::kIntermediate);
    text.op("gated_activation", "\"gate\":" + value(gate_up, 0, Tiny::kIntermediate) +
                                    ",\"up\":" + value(gate_up, Tiny::kIntermediate, Tiny::kIntermediate) +
                                    R"(,"activation":"silu",)" + whole("out", product, Tiny::kIntermediate));
    linear(text.matrix(prefix + "down", Tiny::kHidden, Tiny::kIntermediate), product, Tiny::kIntermediate, x,
           Tiny::kHidden, true);
  }
  const int rows = text.buffer("rows", Tiny::kHidden);
  const int logits = text.buffer("rows", Tiny::kVocabulary);
  text.op("gather_rows", whole("input", x, Tiny::kHidden) + "," + whole("out", rows, Tiny::kHidden));
  text.op("norm", R"("kind":"rms",)" + whole("input", rows, Tiny::kHidden) + "," + whole("out", rows, Tiny::kHidden) +
                      R"(,"weight":)" + number(text.vector("norm", Tiny::kHidden)) + R"(,"epsilon":1e-5)");
  text.op("linear", whole("input", rows, Tiny::kHidden) + R"(,"weight":)" +
                        number(text.matrix("head", Tiny::kVocabulary, Tiny::kHidden)) + "," +
                        whole("out", logits, Tiny::kVocabulary));
  text.op("output", R"("name":"logits",)" + whole("input", logits, Tiny::kVocabulary));
  return text.text();
}

void rotate(double* head, int64_t position) {
  for (int j = 0; j < 2; ++j) {
    const double angle = static_cast<double>(position) * kTinyInverseFrequencies[j];
    const double a = head[j];
    const double b = head[j + 2];
    head[j] = a * std::cos(angle) - b * std::sin(angle);
    head[j + 2] = b * std::cos(angle) + a * std::sin(angle);
  }
}

}  // namespace

std::string safetensors_of(const std::map<std::string, TinyTensor>& tensors) {
  std::string header = "{";
  std::string data;
  for (const auto& [name, tensor] : tensors) {
    header += (header.size() > 1 ? ",\"" : "\"") + name + R"(":{"dtype":"F32","shape":[)";
    for (size_t i = 0; i < tensor.shape.size(); ++i) header += (i ? "," : "") + std::to_string(tensor.shape[i]);
    const size_t begin = data.size();
    data.append(reinterpret_cast<const char*>(tensor.values.data()), tensor.values.size() * sizeof(float));
    header += R"(],"data_offsets":[)" + std::to_string(begin) + "," + std::to_string(data.size()) + "]}";
  }
  return safetensors_file(header + "}", data);
}

TinyLlama::TinyLlama() {
  reference::Random random(20);
  const auto matrix = [&](const std::string& name, int64_t rows, int64_t columns) {
    tensors_[name] = {{rows, columns}, random.vector(rows * columns, -0.6f, 0.6f)};
  };
  const auto vector = [&](const std::string& name) {
    tensors_[name] = {{kHidden}, random.vector(kHidden, 0.5f, 1.5f)};
  };
  matrix("embed", kVocabulary, kHidden);
  matrix("head", kVocabulary, kHidden);
  vector("norm");
  for (int64_t i = 0; i < kLayers; ++i) {
    const std::string prefix = "layers." + std::to_string(i) + ".";
    for (const char* name : {"norm1", "norm2"}) vector(prefix + name);
    matrix(prefix + "q", kHidden, kHidden);
    matrix(prefix + "k", kHeadDim, kHidden);
    matrix(prefix + "v", kHeadDim, kHidden);
    matrix(prefix + "o", kHidden, kHidden);
    matrix(prefix + "gate", kIntermediate, kHidden);
    matrix(prefix + "up", kIntermediate, kHidden);
    matrix(prefix + "down", kHidden, kIntermediate);
  }
  program_ = tiny_program();
  file_ = std::make_unique<TemporaryFile>(safetensors_of(tensors_), ".safetensors");
  checkpoint_ = open_one(file_->path());
}

std::vector<double> TinyLlama::norm(const std::vector<double>& x, const std::string& weight) const {
  const std::vector<float>& scale = tensors_.at(weight).values;
  double square = 0;
  for (const double value : x) square += value * value;
  const double factor = 1 / std::sqrt(square / static_cast<double>(x.size()) + kEpsilon);
  std::vector<double> out(x.size());
  for (size_t i = 0; i < x.size(); ++i) out[i] = x[i] * factor * scale[i];
  return out;
}

std::vector<double> TinyLlama::multiply(const std::vector<double>& x, const std::string& weight) const {
  const TinyTensor& matrix = tensors_.at(weight);
  std::vector<double> out(static_cast<size_t>(matrix.shape[0]));
  for (size_t n = 0; n < out.size(); ++n) {
    for (size_t k = 0; k < x.size(); ++k) out[n] += x[k] * matrix.values[n * x.size() + k];
  }
  return out;
}

std::vector<std::vector<double>> TinyLlama::layer(int64_t index, std::vector<std::vector<double>> x) const {
  const std::string prefix = "layers." + std::to_string(index) + ".";
  std::vector<std::vector<double>> queries, keys, values;
  for (size_t t = 0; t < x.size(); ++t) {
    const std::vector<double> normed = norm(x[t], prefix + "norm1");
    queries.push_back(multiply(normed, prefix + "q"));
    keys.push_back(multiply(normed, prefix + "k"));
    values.push_back(multiply(normed, prefix + "v"));
    for (int64_t head = 0; head < kHeads; ++head)
      rotate(&queries[t][static_cast<size_t>(head * kHeadDim)], static_cast<int64_t>(t));
    rotate(keys[t].data(), static_cast<int64_t>(t));
  }
  for (size_t t = 0; t < x.size(); ++t) {
    std::vector<double> attended(kHidden);
    for (size_t head = 0; head < kHeads; ++head) {
      std::vector<double> weights;
      double total = 0;
      for (size_t s = 0; s <= t; ++s) {
        double score = 0;
        for (size_t d = 0; d < kHeadDim; ++d) score += queries[t][head * kHeadDim + d] * keys[s][d];
        weights.push_back(std::exp(score * 0.5));
        total += weights.back();
      }
      for (size_t s = 0; s <= t; ++s) {
        for (size_t d = 0; d < kHeadDim; ++d) attended[head * kHeadDim + d] += weights[s] / total * values[s][d];
      }
    }
    const std::vector<double> projected = multiply(attended, prefix + "o");
    for (size_t i = 0; i < kHidden; ++i) x[t][i] += projected[i];
    const std::vector<double> normed = norm(x[t], prefix + "norm2");
    std::vector<double> gate = multiply(normed, prefix + "gate");
    const std::vector<double> up = multiply(normed, prefix + "up");
    for (size_t i = 0; i < gate.size(); ++i) gate[i] = gate[i] / (1 + std::exp(-gate[i])) * up[i];
    const std::vector<double> down = multiply(gate, prefix + "down");
    for (size_t i = 0; i < kHidden; ++i) x[t][i] += down[i];
  }
  return x;
}

std::vector<std::vector<double>> TinyLlama::logits(const std::vector<int32_t>& ids) const {
  std::vector<std::vector<double>> x;
  for (const int32_t id : ids) {
    const float* row = tensors_.at("embed").values.data() + id * kHidden;
    x.emplace_back(row, row + kHidden);
  }
  for (int64_t i = 0; i < kLayers; ++i) x = layer(i, std::move(x));
  for (std::vector<double>& row : x) row = multiply(norm(row, "norm"), "head");
  return x;
}

}  // namespace octoformer
