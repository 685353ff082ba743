#include "runtime/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "backend/error.h"
#include "runtime/random.h"

namespace octoformer {

namespace {

constexpr float kExcluded = -std::numeric_limits<float>::infinity();

/// Numbers looked at together, so that compilers take vectors for them.
constexpr size_t kTogether = 16;
/// Numbers that are looked at for one thing, then for the next: they stay in the first-level cache.
constexpr size_t kRun = 1024;

/// The largest number (-infinity if there is none; a NaN is none).
float largest_of(std::span<const float> numbers) {
  float best[kTogether];
  std::fill_n(best, kTogether, kExcluded);
  size_t i = 0;
  for (; i + kTogether <= numbers.size(); i += kTogether) {
    const float* some = numbers.data() + i;
    for (size_t j = 0; j < kTogether; ++j) best[j] = some[j] > best[j] ? some[j] : best[j];
  }
  for (; i < numbers.size(); ++i) best[0] = std::max(best[0], numbers[i]);
  return *std::max_element(best, best + kTogether);
}

bool has_nan(std::span<const float> numbers) {
  uint32_t found[kTogether] = {};
  size_t i = 0;
  for (; i + kTogether <= numbers.size(); i += kTogether) {
    const float* some = numbers.data() + i;
    for (size_t j = 0; j < kTogether; ++j) found[j] |= some[j] != some[j] ? 1u : 0u;
  }
  for (; i < numbers.size(); ++i) found[0] |= std::isnan(numbers[i]) ? 1u : 0u;
  return std::any_of(found, found + kTogether, [](uint32_t any) { return any != 0; });
}

/// What one pass over the memory of scores tells.
struct Largest {
  float value = kExcluded;  // -infinity if there is none; a NaN is none
  size_t run = 0;           // where the first run begins that has it
  bool nan = false;
};

Largest find_largest(std::span<const float> numbers) {
  Largest largest;
  for (size_t first = 0; first < numbers.size(); first += kRun) {
    const std::span<const float> run = numbers.subspan(first, std::min(kRun, numbers.size() - first));
    largest.nan |= has_nan(run);
    const float value = largest_of(run);
    if (value > largest.value) {
      largest.value = value;
      largest.run = first;
    }
  }
  return largest;
}

[[noreturn]] void fail_for_nan(std::span<const float> logits, int64_t row) {
  const auto nan = std::find_if(logits.begin(), logits.end(), [](float logit) { return std::isnan(logit); });
  fail(ErrorCode::internal, "the logit of token ", nan - logits.begin(), " in row ", row,
       " is NaN: the model overflowed; check the checkpoint, or load it with dtype float32");
}

/// The first of the largest scores.
int32_t likeliest(std::span<const float> scores, const Largest& largest, int64_t row) {
  if (largest.value == kExcluded) {
    fail(ErrorCode::internal, "no token of row ", row, " can be chosen: every logit is -infinity");
  }
  const auto place = std::find(scores.begin() + static_cast<std::ptrdiff_t>(largest.run), scores.end(), largest.value);
  return static_cast<int32_t>(place - scores.begin());
}

}  // namespace

Sampler::Sampler(SamplerOptions options) : options_(std::move(options)) {
  const auto require = [](bool holds, const char* name, double value, const char* rule) {
    if (!holds) fail(ErrorCode::invalid_argument, name, " must be ", rule, ", found ", value);
  };
  require(std::isfinite(options_.temperature) && options_.temperature > 0, "temperature", options_.temperature,
          "above 0 (for greedy choices say do_sample: false)");
  require(options_.top_k >= 0, "top_k", static_cast<double>(options_.top_k), "0 (off) or above");
  require(options_.top_p > 0 && options_.top_p <= 1, "top_p", options_.top_p, "in (0, 1]");
  require(options_.min_p >= 0 && options_.min_p <= 1, "min_p", options_.min_p, "in [0, 1]");
  require(std::isfinite(options_.repetition_penalty) && options_.repetition_penalty > 0, "repetition_penalty",
          options_.repetition_penalty, "above 0");
  require(options_.min_new_tokens >= 0, "min_new_tokens", static_cast<double>(options_.min_new_tokens), "0 or above");
  for (const int32_t id : options_.eos_token_ids) require(id >= 0, "an id of eos_token_ids", id, "0 or above");
  for (const int32_t id : options_.prompt_ids) require(id >= 0, "an id of prompt_ids", id, "0 or above");
  if (options_.repetition_penalty != 1.0f) said_.insert(options_.prompt_ids.begin(), options_.prompt_ids.end());
}

int32_t Sampler::choose(std::span<const float> logits, int64_t row) {
  const Largest largest = find_largest(logits);
  if (largest.nan) fail_for_nan(logits, row);
  if (takes_likeliest()) return likeliest(logits, largest, row);
  adjust(logits);
  return options_.do_sample ? draw(row) : likeliest(scores_, find_largest(scores_), row);
}

bool Sampler::takes_likeliest() const {
  const bool forbids_ending = accepted_ < options_.min_new_tokens && !options_.eos_token_ids.empty();
  return !options_.do_sample && said_.empty() && !forbids_ending;
}

void Sampler::accept(int32_t token) {
  ++accepted_;
  if (options_.do_sample) ++draws_;
  if (options_.repetition_penalty != 1.0f) said_.insert(token);
}

void Sampler::adjust(std::span<const float> logits) {
  scores_.assign(logits.begin(), logits.end());
  const auto score_of = [&](int32_t token) -> float& {
    if (static_cast<size_t>(token) >= scores_.size()) {
      fail(ErrorCode::invalid_argument, "token id ", token, " of the sampler's options is outside the vocabulary of ",
           scores_.size());
    }
    return scores_[static_cast<size_t>(token)];
  };
  for (const int32_t token : said_) {  // each once, as Hugging Face's gather and scatter do
    float& score = score_of(token);
    score = score < 0 ? score * options_.repetition_penalty : score / options_.repetition_penalty;
  }
  if (accepted_ < options_.min_new_tokens) {
    for (const int32_t token : options_.eos_token_ids) score_of(token) = kExcluded;
  }
}

int32_t Sampler::draw(int64_t row) {
  candidates_.clear();
  for (size_t i = 0; i < scores_.size(); ++i) {
    const float score = scores_[i] / options_.temperature;
    if (score > kExcluded) candidates_.push_back({score, static_cast<int32_t>(i)});
  }
  if (candidates_.empty()) return likeliest(scores_, find_largest(scores_), row);  // fails
  keep_top_k();
  double total = weigh_candidates();
  keep_top_p(total);
  keep_min_p(total);
  // The inverse of the cumulative distribution, in a fixed order of the candidates.
  double left = uniform_draw(options_.seed, draws_) * total;
  for (size_t i = 0; i < candidates_.size(); ++i) {
    left -= weights_[i];
    if (left < 0) return candidates_[i].token;
  }
  size_t last = candidates_.size() - 1;  // rounding of the sum left a little over
  while (weights_[last] == 0) --last;
  return candidates_[last].token;
}

/// TopKLogitsWarper: removes scores below the k-th largest, so that ties with it stay.
void Sampler::keep_top_k() {
  const auto k = static_cast<size_t>(options_.top_k);
  if (k == 0 || k >= candidates_.size()) return;
  const auto kth = candidates_.begin() + static_cast<std::ptrdiff_t>(k - 1);
  std::vector<Candidate>& all = candidates_;
  weights_.clear();
  for (const Candidate& candidate : all) weights_.push_back(candidate.score);  // scratch: the order of all is kept
  std::nth_element(weights_.begin(), weights_.begin() + (kth - candidates_.begin()), weights_.end(), std::greater<>());
  const double threshold = weights_[k - 1];
  std::erase_if(all, [&](const Candidate& candidate) { return candidate.score < threshold; });
}

/// Fills weights_ with exp(score - largest score); returns their sum.
double Sampler::weigh_candidates() {
  float largest_score = kExcluded;
  for (const Candidate& candidate : candidates_) largest_score = std::max(largest_score, candidate.score);
  const bool infinite = std::isinf(largest_score);  // a logit of +infinity takes everything
  double total = 0;
  weights_.clear();
  for (const Candidate& candidate : candidates_) {
    const double weight = infinite ? (candidate.score == largest_score ? 1.0 : 0.0)
                                   : std::exp(static_cast<double>(candidate.score) - largest_score);
    weights_.push_back(weight);
    total += weight;
  }
  return total;
}

/// TopPLogitsWarper: sorted ascending, removes while the cumulative probability is <= 1 - top_p, and never the last.
/// Read from the top: a token stays while the probability of those above it is below top_p. Of equal scores the higher
/// id counts as larger, as in a stable ascending sort.
void Sampler::keep_top_p(double& total) {
  if (options_.top_p >= 1.0f) return;
  std::vector<std::pair<double, int32_t>> heap;
  heap.reserve(candidates_.size());
  for (size_t i = 0; i < candidates_.size(); ++i) heap.emplace_back(weights_[i], static_cast<int32_t>(i));
  std::make_heap(heap.begin(), heap.end());
  const double limit = static_cast<double>(options_.top_p) * total;
  double above = 0;
  std::vector<int32_t> kept;
  do {
    std::pop_heap(heap.begin(), heap.end());
    kept.push_back(heap.back().second);
    above += heap.back().first;
    heap.pop_back();
  } while (!heap.empty() && above < limit);
  std::sort(kept.begin(), kept.end());  // back to the order of ids
  total = 0;
  for (size_t i = 0; i < kept.size(); ++i) {
    const auto from = static_cast<size_t>(kept[i]);
    candidates_[i] = candidates_[from];
    weights_[i] = weights_[from];
    total += weights_[i];
  }
  candidates_.resize(kept.size());
  weights_.resize(kept.size());
}

/// MinPLogitsWarper: removes tokens less likely than min_p times the most likely one.
void Sampler::keep_min_p(double& total) {
  if (options_.min_p <= 0.0f) return;
  const double limit = options_.min_p * *std::max_element(weights_.begin(), weights_.end());
  size_t kept = 0;
  total = 0;
  for (size_t i = 0; i < candidates_.size(); ++i) {
    if (weights_[i] < limit) continue;
    candidates_[kept] = candidates_[i];
    weights_[kept] = weights_[i];
    total += weights_[kept];
    ++kept;
  }
  candidates_.resize(kept);
  weights_.resize(kept);
}

}  // namespace octoformer
