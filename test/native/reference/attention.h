// Attention as its definition says, in double: for tests only.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "backend/half.h"
#include "reference/attention_pattern.h"

namespace octoformer::reference {

inline double bfloat16_product(float left, float right) {
  const auto round = [](float value) { return bfloat16_to_float(float_to_bfloat16(value)); };
  return static_cast<double>(round(round(left) * round(right)));
}

/// One sequence: queries of its last `count` positions, keys and values of all of them, one row a position.
struct Attention {
  int64_t heads, kv_heads, head_dim;
  int64_t count, keys;  // keys = past + count
  const float* query;   // [count, heads * head_dim]
  const float* key;     // [keys, kv_heads * head_dim]
  const float* value;   // [keys, kv_heads * head_dim]
  double scale = 1.0;
  bool causal = true;
  int64_t window = 0;
  double softcap = 0.0;
  const float* slopes = nullptr;
  bool bfloat16_slopes = false;
  const float* distance_bias = nullptr;  // [heads][distance_stride]; at distance 0 in each: distance_zero
  int64_t distance_stride = 0, distance_zero = 0;
  SparsePattern sparse{};

  bool attends(int64_t position, int64_t at) const { return reference::attends(causal, window, sparse, position, at); }

  /// [heads, count, keys]
  std::vector<double> probabilities() const {
    std::vector<double> result(static_cast<size_t>(heads * count * keys));
    for (int64_t head = 0; head < heads; ++head) {
      const int64_t kv_head = head / (heads / kv_heads);
      for (int64_t row = 0; row < count; ++row) {
        const int64_t position = keys - count + row;
        double* scores = result.data() + (head * count + row) * keys;
        double maximum = -std::numeric_limits<double>::infinity();
        for (int64_t at = 0; at < keys; ++at) {
          if (!attends(position, at)) continue;
          double score = 0.0;
          for (int64_t d = 0; d < head_dim; ++d) {
            score += static_cast<double>(query[(row * heads + head) * head_dim + d]) *
                     static_cast<double>(key[(at * kv_heads + kv_head) * head_dim + d]);
          }
          score *= scale;
          if (softcap > 0.0) score = softcap * std::tanh(score / softcap);
          if (slopes != nullptr) {
            score += bfloat16_slopes ? scale * bfloat16_product(slopes[head], static_cast<float>(at))
                                     : static_cast<double>(slopes[head]) * static_cast<double>(at - position);
          }
          if (distance_bias != nullptr) {
            score += static_cast<double>(distance_bias[head * distance_stride + distance_zero + at - position]);
          }
          scores[at] = score;
          maximum = std::max(maximum, score);
        }
        double total = 0.0;
        for (int64_t at = 0; at < keys; ++at) {
          scores[at] = attends(position, at) ? std::exp(scores[at] - maximum) : 0.0;
          total += scores[at];
        }
        for (int64_t at = 0; at < keys; ++at) scores[at] /= total;
      }
    }
    return result;
  }

  /// [count, heads * head_dim]
  std::vector<double> output(const std::vector<double>& probability) const {
    std::vector<double> result(static_cast<size_t>(count * heads * head_dim));
    for (int64_t head = 0; head < heads; ++head) {
      const int64_t kv_head = head / (heads / kv_heads);
      for (int64_t row = 0; row < count; ++row) {
        for (int64_t at = 0; at < keys; ++at) {
          const double weight = probability[static_cast<size_t>((head * count + row) * keys + at)];
          if (weight == 0.0) continue;
          for (int64_t d = 0; d < head_dim; ++d) {
            result[static_cast<size_t>((row * heads + head) * head_dim + d)] +=
                weight * static_cast<double>(value[(at * kv_heads + kv_head) * head_dim + d]);
          }
        }
      }
    }
    return result;
  }
};

}  // namespace octoformer::reference
