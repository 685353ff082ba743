// Runs a TinyLlama on a backend.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "runtime/executor.h"
#include "runtime/tiny_llama.h"

namespace octoformer {

inline const TinyLlama& tiny() {
  static const TinyLlama model;
  return model;
}

/// A compiled tiny model whose chunks can be cut small.
class Runner {
 public:
  /// @param program of the tiny model, or one that reads the same weights
  explicit Runner(std::unique_ptr<Backend> backend, int64_t chunk_tokens = Executor::kChunkTokens,
                  const std::string& program = tiny().program())
      : backend_(std::move(backend)),
        compiled_(compile_model(parse_program(program)).main),
        weights_(load_weights(compiled_.program.weights, tiny().checkpoint(), *backend_, {})),
        pool_(KeyValuePagePool::create(plan_key_value_layout(compiled_.program.cache_layers, *backend_))),
        executor_(compiled_, weights_, pool_, *backend_, chunk_tokens) {}

  RunResult run(const RunRequest& request) { return executor_.run(request); }
  std::shared_ptr<KeyValueCache> cache() const { return std::make_shared<KeyValueCache>(pool_); }
  size_t arena_bytes() const { return executor_.arena_bytes(); }
  size_t page_bytes() const { return pool_->bytes(); }

 private:
  std::unique_ptr<Backend> backend_;
  CompiledProgram compiled_;
  std::vector<LoadedWeight> weights_;
  std::shared_ptr<KeyValuePagePool> pool_;
  Executor executor_;
};

/// Sequences of these lengths with hidden states, and with the logits of every `row_step`th row, the last ones first.
inline RunRequest request_of_lengths(const std::vector<int32_t>& lengths, int32_t row_step) {
  RunRequest request;
  request.lengths = lengths;
  request.caches.resize(lengths.size());
  const int32_t total = std::accumulate(lengths.begin(), lengths.end(), 0);
  for (int32_t i = 0; i < total; ++i) request.input_ids.push_back((i * 7 + i % 31 * i) % TinyLlama::kVocabulary);
  for (int32_t i = total - 1; i >= 0; i -= row_step) request.rows.push_back(i);
  request.outputs = {"logits", "hidden_states.1"};
  return request;
}

}  // namespace octoformer
