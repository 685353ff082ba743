// What one call of a model is given, and what it gives back (NativeRunRequest and NativeRunResult in
// ts/binding/native.ts).
#pragma once
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/input_statistics.h"
#include "runtime/key_value_cache.h"
#include "runtime/sampler.h"

namespace octoformer {

/// Sequences for the encoder, one a sequence of the request; those of no tokens have been encoded before.
struct EncoderInput {
  std::vector<int32_t> input_ids;
  std::vector<int32_t> lengths;
  std::optional<std::vector<int32_t>> position_ids;  // default: 0, 1, ...
};

struct RunRequest {
  std::vector<int32_t> input_ids;  // of all sequences, one after another
  std::vector<int32_t> lengths;    // new tokens of each sequence
  /// One a sequence; null: without a cache.
  std::vector<std::shared_ptr<KeyValueCache>> caches;
  std::optional<std::vector<int32_t>> position_ids;    // default: past, past + 1, ...
  std::optional<std::vector<int32_t>> token_type_ids;  // default: zeros
  /// Of encoder-decoders: runs first; what it makes stays with the caches.
  std::optional<EncoderInput> encoder;
  std::vector<int32_t> rows;  // token rows whose logits are wanted
  std::vector<std::string> outputs;
  std::vector<std::shared_ptr<Sampler>> samplers;  // none, or one a row
  /// Log-probabilities of what follows the rows are wanted: of so many likeliest tokens each, or (0) of all tokens.
  std::optional<int32_t> log_probabilities;
  /// Runs at most: in each but the first, the token that was sampled for a sequence is its input. More than one takes
  /// one token, cache and sampler a sequence, and no outputs or log-probabilities.
  int32_t steps = 1;
  /// No run follows one that samples any of these.
  std::vector<int32_t> last_ids;
  /// Once it is set no other run follows; null: never.
  const std::atomic<bool>* others_wait = nullptr;
  /// Statistics of what linear layers read are wanted: the magnitude from which entries are counted.
  std::optional<float> observe;
  /// Either one ends the run with ABORTED; null: never.
  const std::atomic<bool>* abort = nullptr;
  const std::atomic<bool>* abort_all = nullptr;
};

struct RunResult {
  std::vector<int32_t> sampled;  // one a row of each run when there were samplers
  std::map<std::string, std::vector<float>> outputs;
  /// Where they were asked for: [rows, vocabulary], or [rows, count] with the tokens that have them. Count is what the
  /// request says, or the vocabulary's size where that is less.
  std::vector<float> log_probabilities;
  std::vector<int32_t> likeliest;
  std::map<int32_t, InputStatistics> inputs;  // by weight, where they were asked for
};

}  // namespace octoformer
