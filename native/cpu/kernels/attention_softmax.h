// The softmax of a row's scores with one group of keys: what scale, softcap and biases make of products, and powers of
// 2 of them. A score s counts as the exponent s / ln 2 of a power of 2, which takes fewer steps than e^s. Where nothing
// but the scale meets the products, it is part of the factor that turns them into exponents.
#pragma once
#include <stdint.h>

#include "backend/half.h"
#include "cpu/attention_kernels.h"
#include "cpu/kernels/attention_sparse.h"
#include "cpu/kernels/math.h"
#include "cpu/kernels/softmax.h"

namespace octoformer {
namespace {

constexpr float kLaneIndex[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
constexpr float kExponentsPerScore = 1.44269504f;  // 1 / ln 2

/// Keys that a step of the softmax takes: two vectors, so that two chains of maxima and of sums run side by side.
constexpr int64_t kSoftmaxKeys = 2 * Vec::lanes;
static_assert(kPageKeys % kSoftmaxKeys == 0);

/// Biases of keys [first, first + lanes) as Falcon computes them (AttentionArguments::alibi_bfloat16). The product of
/// two bfloat16 numbers is exact in float32, so that it is rounded once.
inline Vec::F bfloat16_bias(float slope, float scale, int64_t first) {
  const auto round = [](float value) { return bfloat16_to_float(float_to_bfloat16(value)); };
  float bias[Vec::lanes];
  for (int64_t lane = 0; lane < Vec::lanes; ++lane) {
    bias[lane] = scale * round(round(slope) * round(static_cast<float>(first + lane)));
  }
  return Vec::load(bias);
}

/// `score` where its key lies in the range, else -inf; the first lane's key is `key`.
inline Vec::F in_range(KeyRange range, int64_t key, Vec::F score) {
  if (key >= range.first && key + Vec::lanes <= range.end) return score;
  const Vec::F index = Vec::add(Vec::set1(static_cast<float>(key)), Vec::load(kLaneIndex));
  const Vec::F first = Vec::set1(static_cast<float>(range.first)), end = Vec::set1(static_cast<float>(range.end));
  const Vec::F none = Vec::set1(-__builtin_inff());
  return Vec::select_less(index, first, none, Vec::select_less(index, end, score, none));
}

/// Scales, caps and biases a row's scores over whole vectors around its range; keys outside of it get -inf. Returns
/// the maximum (kLowestMaximum at least).
inline float finish_scores(const AttentionTile& tile, int64_t row, int64_t group, KeyRange range, float* scores) {
  const int64_t token = (tile.first_row + row) / tile.heads_per_kv, head = (tile.first_row + row) % tile.heads_per_kv;
  const Vec::F scale = Vec::set1(tile.scale), softcap = Vec::set1(tile.softcap);
  const bool biased = tile.slopes != nullptr;
  const Vec::F slope = Vec::set1(biased ? tile.slopes[head] : 0.0f);
  const Vec::F distance = Vec::set1(static_cast<float>(group * kGroupKeys - (tile.past + token)));
  const float* distance_bias = tile.distance_bias == nullptr ? nullptr
                                                             : tile.distance_bias + head * tile.distance_stride +
                                                                   group * kGroupKeys - (tile.past + token);
  Vec::F maximum = Vec::set1(kLowestMaximum);
  for (int64_t key = range.first / Vec::lanes * Vec::lanes; key < range.end; key += Vec::lanes) {
    Vec::F score = Vec::mul(Vec::load(scores + key), scale);
    if (tile.softcap > 0.0f) score = soft_cap(score, softcap);
    if (tile.bfloat16_slopes && biased) {
      score = Vec::add(score, bfloat16_bias(tile.slopes[head], tile.scale, group * kGroupKeys + key));
    } else if (biased) {
      const Vec::F index = Vec::add(Vec::set1(static_cast<float>(key)), Vec::load(kLaneIndex));
      score = Vec::fma(slope, Vec::add(index, distance), score);
    }
    if (distance_bias != nullptr) score = Vec::add(score, Vec::load(distance_bias + key));
    score = in_range(range, key, score);
    Vec::store(scores + key, score);
    maximum = Vec::max(score, maximum);
  }
  return Vec::reduce_max(maximum);
}

/// finish_scores of all rows of the tile that attend to something in the group.
inline void finish_tile_scores(const AttentionTile& tile, int64_t group, const KeyRange* ranges, float* scores) {
  for (int64_t row = 0; row < tile.rows; ++row) {
    if (ranges[row].first < ranges[row].end) finish_scores(tile, row, group, ranges[row], scores + row * kScoreStride);
  }
}

/// Whether exponents are products times a factor (that leaves their order as it is; 0 times -inf would be NaN).
inline bool only_scaled(const AttentionTile& tile) {
  return tile.scale > 0.0f && tile.softcap <= 0.0f && tile.slopes == nullptr && tile.distance_bias == nullptr;
}

/// The largest product of a row (kLowestMaximum at least); those outside of the range, in steps of kSoftmaxKeys around
/// it, become -inf.
inline float largest_product(KeyRange range, float* scores) {
  Vec::F even = Vec::set1(kLowestMaximum), odd = even;
  for (int64_t key = range.first / kSoftmaxKeys * kSoftmaxKeys; key < range.end; key += kSoftmaxKeys) {
    Vec::F first = Vec::load(scores + key), second = Vec::load(scores + key + Vec::lanes);
    if (key < range.first || key + kSoftmaxKeys > range.end) {
      first = in_range(range, key, first);
      second = in_range(range, key + Vec::lanes, second);
      Vec::store(scores + key, first);
      Vec::store(scores + key + Vec::lanes, second);
    }
    even = Vec::max(first, even);
    odd = Vec::max(second, odd);
  }
  return Vec::reduce_max(Vec::max(even, odd));
}

/// The exponent of the largest score; never -inf, so that -inf minus it is not NaN.
inline float largest_exponent(float largest, float factor) {
  const float exponent = largest * factor;
  return exponent < kLowestMaximum ? kLowestMaximum : exponent;
}

/// Turns scores into weights 2^(factor * score - maximum), in steps of kSoftmaxKeys around the range; returns their
/// sum. Two sums, of even and of odd vectors, wherever the range begins.
inline float softmax_weights(KeyRange range, float factor, float maximum, float* scores) {
  const Vec::F scale = Vec::set1(factor), shift = Vec::set1(-maximum);
  Vec::F even = Vec::zero(), odd = even;
  for (int64_t key = range.first / kSoftmaxKeys * kSoftmaxKeys; key < range.end; key += kSoftmaxKeys) {
    const Vec::F first = softmax_exponential2(Vec::fma(Vec::load(scores + key), scale, shift));
    const Vec::F second = softmax_exponential2(Vec::fma(Vec::load(scores + key + Vec::lanes), scale, shift));
    Vec::store(scores + key, first);
    Vec::store(scores + key + Vec::lanes, second);
    even = Vec::add(even, first);
    odd = Vec::add(odd, second);
  }
  return Vec::reduce_add(Vec::add(even, odd));
}

/// What the scores that finish_maximum leaves are multiplied with to get exponents.
inline float exponents_of_score(const AttentionTile& tile) {
  return only_scaled(tile) ? tile.scale * kExponentsPerScore : kExponentsPerScore;
}

/// Makes scores of products where there is more to do than scaling, and -inf outside of the range, in steps of
/// kSoftmaxKeys around it; returns the largest exponent.
inline float finish_maximum(const AttentionTile& tile, int64_t row, int64_t group, KeyRange range, float* scores) {
  if (!only_scaled(tile)) finish_scores(tile, row, group, range, scores);
  return largest_exponent(largest_product(range, scores), exponents_of_score(tile));
}

/// The weights of a row, 0 outside of its range; the exponent of its largest score and their sum.
inline void row_softmax(const AttentionTile& tile, int64_t row, int64_t group, KeyRange range, float* scores,
                        float& maximum, float& total) {
  maximum = finish_maximum(tile, row, group, range, scores);
  total = softmax_weights(range, exponents_of_score(tile), maximum, scores);
}

/// finish_scores of one page of a sparse pattern. Gives -inf to what the row does not attend to, and the maximum of the
/// rest.
inline float finish_page(const AttentionTile& tile, int64_t row, int64_t group, int64_t page, KeyMask mask,
                         float* scores) {
  const int64_t start = page * kPageKeys, keys = tile.keys - group * kGroupKeys;
  finish_scores(tile, row, group, {start, keys < start + kPageKeys ? keys : start + kPageKeys}, scores);
  return mask_scores(mask, scores + start);
}

/// row_softmax of a sparse pattern.
inline void sparse_softmax(const AttentionTile& tile, int64_t row, int64_t group, const KeyMask* masks, float* scores,
                           float& maximum, float& total) {
  float largest = kLowestMaximum;
  for (int64_t page = 0; page < kGroupPages; ++page) {
    if (masks[page] == 0) continue;
    const float score = finish_page(tile, row, group, page, masks[page], scores);
    if (score > largest) largest = score;
  }
  maximum = largest_exponent(largest, kExponentsPerScore);
  total = 0.0f;
  for (int64_t page = 0; page < kGroupPages; ++page) {
    if (masks[page] == 0) continue;
    total += softmax_weights({page * kPageKeys, (page + 1) * kPageKeys}, kExponentsPerScore, maximum, scores);
  }
}

}  // namespace
}  // namespace octoformer
