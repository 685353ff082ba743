// Chooses a token from a row of logits, in Hugging Face's order and with its semantics (transformers'
// generation/logits_process.py): repetition penalty, minimum of new tokens, temperature, top-k, top-p, min-p, a draw.
#pragma once
#include <cstdint>
#include <span>
#include <unordered_set>
#include <utility>
#include <vector>

namespace octoformer {

struct SamplerOptions {
  bool do_sample = false;
  float temperature = 1.0f;         // > 0
  int64_t top_k = 0;                // 0: off
  float top_p = 1.0f;               // in (0, 1]; 1: off
  float min_p = 0.0f;               // in [0, 1]; 0: off
  float repetition_penalty = 1.0f;  // > 0; 1: off
  uint64_t seed = 0;
  std::vector<int32_t> eos_token_ids;  // never chosen while fewer than min_new_tokens were accepted
  int64_t min_new_tokens = 0;
  std::vector<int32_t> prompt_ids;  // counted as said by the repetition penalty
};

class Sampler {
 public:
  /// Throws INVALID_ARGUMENT naming an option and its value when it is out of range.
  explicit Sampler(SamplerOptions options);

  /// Chooses a token; `row` is for messages. Same history and logits, same choice: accept() moves on. Throws
  /// INTERNAL for a NaN among the logits or when every token is excluded, INVALID_ARGUMENT for an id of the options
  /// beyond the logits.
  int32_t choose(std::span<const float> logits, int64_t row);
  /// Whether choose() gives the first of the largest logits now, whatever they are.
  bool takes_likeliest() const;
  /// Adds a choice to the history.
  void accept(int32_t token);

 private:
  struct Candidate {
    float score;
    int32_t token;
  };

  void adjust(std::span<const float> logits);
  int32_t draw(int64_t row);
  void keep_top_k();
  double weigh_candidates();
  void keep_top_p(double& total);
  void keep_min_p(double& total);

  const SamplerOptions options_;
  std::unordered_set<int32_t> said_;  // prompt and choices, for the penalty
  int64_t accepted_ = 0;
  uint64_t draws_ = 0;
  // Scratch, kept between calls.
  std::vector<float> scores_;
  std::vector<Candidate> candidates_;
  std::vector<double> weights_;  // of candidates_: exp(score - largest)
};

}  // namespace octoformer
