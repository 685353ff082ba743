// The ops by rows as their definitions say, in double: for tests only.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <vector>

#include "backend/backend.h"

namespace octoformer::reference {

inline double activate(Activation kind, double x) {
  constexpr double kPi = 3.14159265358979323846;
  switch (kind) {
    case Activation::identity:
      return x;
    case Activation::relu:
      return x > 0.0 ? x : 0.0;
    case Activation::relu_squared:
      return x > 0.0 ? x * x : 0.0;
    case Activation::silu:
      return x / (1.0 + std::exp(-x));
    case Activation::gelu:
      return 0.5 * x * (1.0 + std::erf(x / std::sqrt(2.0)));
    case Activation::gelu_tanh:
      return 0.5 * x * (1.0 + std::tanh(std::sqrt(2.0 / kPi) * (x + 0.044715 * x * x * x)));
    case Activation::gelu_quick:
      return x / (1.0 + std::exp(-1.702 * x));
    case Activation::tanh:
      return std::tanh(x);
    case Activation::sigmoid:
      return 1.0 / (1.0 + std::exp(-x));
  }
  return x;
}

/// One row, normalized group by group. weight and bias may be null.
inline std::vector<double> norm(NormKind kind, const float* x, int64_t columns, int64_t group, const float* weight,
                                const float* bias, double weight_offset, double epsilon) {
  std::vector<double> out;
  for (int64_t first = 0; first < columns; first += group) {
    double mean = 0.0, squares = 0.0;
    for (int64_t i = 0; kind == NormKind::layer && i < group; ++i) mean += static_cast<double>(x[first + i]);
    mean /= static_cast<double>(group);
    for (int64_t i = 0; i < group; ++i) squares += std::pow(static_cast<double>(x[first + i]) - mean, 2);
    const double deviation = std::sqrt(squares / static_cast<double>(group) + epsilon);
    for (int64_t i = 0; i < group; ++i) {
      double value = (static_cast<double>(x[first + i]) - mean) / deviation;
      if (weight != nullptr) value *= static_cast<double>(weight[i]) + weight_offset;
      if (bias != nullptr) value += static_cast<double>(bias[i]);
      out.push_back(value);
    }
  }
  return out;
}

/// One token's heads, rotated; `table` has cosines, then sines.
inline std::vector<double> rope(RopePairing pairing, const float* x, const float* table, int64_t heads,
                                int64_t head_dim, int64_t rotary_dim) {
  std::vector<double> out(x, x + heads * head_dim);
  const int64_t pairs = rotary_dim / 2;
  for (int64_t head = 0; head < heads; ++head) {
    for (int64_t i = 0; i < pairs; ++i) {
      const int64_t a = head * head_dim + (pairing == RopePairing::half ? i : 2 * i);
      const int64_t b = pairing == RopePairing::half ? a + pairs : a + 1;
      const double cosine = static_cast<double>(table[i]), sine = static_cast<double>(table[pairs + i]);
      out[static_cast<size_t>(a)] = static_cast<double>(x[a]) * cosine - static_cast<double>(x[b]) * sine;
      out[static_cast<size_t>(b)] = static_cast<double>(x[b]) * cosine + static_cast<double>(x[a]) * sine;
    }
  }
  return out;
}

inline double log_sum_exp(const float* x, int64_t columns) {
  double largest = -std::numeric_limits<double>::infinity();
  for (int64_t i = 0; i < columns; ++i) {
    if (std::isnan(x[i])) return x[i];
    largest = std::max(largest, static_cast<double>(x[i]));
  }
  if (std::isinf(largest)) return largest;
  long double sum = 0;
  for (int64_t i = 0; i < columns; ++i) sum += std::exp(static_cast<long double>(x[i]) - largest);
  return static_cast<double>(largest + std::log(sum));
}

struct LikeliestTokens {
  std::vector<int32_t> tokens;
  std::vector<float> scores;
};

/// Of NaN the first.
inline LikeliestTokens likeliest_tokens(const std::vector<float>& scores, int64_t count) {
  const auto size = static_cast<size_t>(count);
  const auto nan = std::find_if(scores.begin(), scores.end(), [](float score) { return std::isnan(score); });
  if (nan != scores.end()) {
    return {std::vector<int32_t>(size, static_cast<int32_t>(nan - scores.begin())), std::vector<float>(size, *nan)};
  }
  std::vector<int32_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  const auto score = [&](int32_t token) { return scores[static_cast<size_t>(token)]; };
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return score(a) > score(b); });
  LikeliestTokens found;
  for (size_t i = 0; i < size; ++i) {
    found.tokens.push_back(order[i]);
    found.scores.push_back(score(order[i]));
  }
  return found;
}

}  // namespace octoformer::reference
