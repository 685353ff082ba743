#include "cpu/log_probabilities.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "cpu/parallel_rows.h"

namespace octoformer {

namespace {

/// The one rounding of a score.
float log_probability(float x, double total) { return static_cast<float>(static_cast<double>(x) - total); }

struct Candidate {
  float log_probability;
  int32_t token;

  bool operator<(const Candidate& other) const {  // what is better comes first
    return log_probability > other.log_probability || (log_probability == other.log_probability && token < other.token);
  }
};

/// The `count` best ones, sorted; `total` is finite.
void find_likeliest(const RowKernels& kernels, const float* x, int64_t columns, double total,
                    std::vector<Candidate>& best, size_t count) {
  best.clear();
  int64_t column = 0;
  for (; column < static_cast<int64_t>(count); ++column) {
    best.push_back({log_probability(x[column], total), static_cast<int32_t>(column)});
  }
  std::make_heap(best.begin(), best.end());  // the worst one on top
  if (count == 0) return;
  // Numbers up to that of the worst one are no better: rounding keeps their order, and they come later.
  float bound = x[best.front().token];
  while ((column = kernels.find_above(x, column, columns, bound)) < columns) {
    const Candidate candidate = {log_probability(x[column], total), static_cast<int32_t>(column)};
    if (candidate < best.front()) {
      std::pop_heap(best.begin(), best.end());
      best.back() = candidate;
      std::push_heap(best.begin(), best.end());
      bound = x[best.front().token];
    } else {
      bound = x[column];  // rounded to the same score as the worst one
    }
    ++column;
  }
  std::sort_heap(best.begin(), best.end());
}

/// Where the first score is NaN: every x less a `total` of NaN or -infinity is one, infinity less itself is one.
int64_t first_nan(const float* x, int64_t columns, double total) {
  return total > 0 ? std::find(x, x + columns, std::numeric_limits<float>::infinity()) - x : 0;
}

}  // namespace

double log_sum_exp(const RowKernels& kernels, const float* x, int64_t columns) {
  const ExponentialSum sum = kernels.sum_exponentials(x, columns);
  if (std::isinf(sum.largest)) return sum.largest + sum.sum;
  if (std::isnan(sum.sum)) return sum.sum;
  constexpr double kLn2 = 0.693147180559945309417;
  const double rest = static_cast<double>(sum.largest) - sum.base - sum.power * kLn2;
  const double others = sum.sum - sum.of_largest;
  return sum.largest + std::log1p(others / std::exp(rest));
}

void run_log_softmax(const RowKernels& kernels, int threads, ConstMatrixView logits, MatrixView out) {
  parallel_rows(threads, out.rows, out.columns, [&](int64_t row) {
    const float* x = logits.row(row);
    float* scores = out.row(row);
    const double total = log_sum_exp(kernels, x, out.columns);
    for (int64_t i = 0; i < out.columns; ++i) scores[i] = log_probability(x[i], total);
  });
}

void run_likeliest_tokens(const RowKernels& kernels, int threads, const LikeliestTokensArguments& arguments) {
  const ConstMatrixView& logits = arguments.logits;
  const int64_t count = arguments.count;
  parallel_rows(threads, logits.rows, logits.columns, [&](int64_t row) {
    const float* x = logits.row(row);
    int32_t* tokens = arguments.tokens + row * count;
    float* scores = arguments.log_probabilities + row * count;
    const double total = log_sum_exp(kernels, x, logits.columns);
    if (!std::isfinite(total)) {
      std::fill_n(tokens, count, static_cast<int32_t>(first_nan(x, logits.columns, total)));
      std::fill_n(scores, count, std::numeric_limits<float>::quiet_NaN());
      return;
    }
    std::vector<Candidate> best;
    best.reserve(static_cast<size_t>(count));
    find_likeliest(kernels, x, logits.columns, total, best, static_cast<size_t>(count));
    for (const Candidate& candidate : best) {
      *tokens++ = candidate.token;
      *scores++ = candidate.log_probability;
    }
  });
}

}  // namespace octoformer
