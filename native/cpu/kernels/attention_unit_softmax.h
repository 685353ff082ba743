// The softmax between the products on bfloat16 units: scores become weights, rounded to bfloat16, some rows side by
// side and over whole pages. Rows that end in different places would leave loops at different times, and a processor
// that guesses wrong when loses more than the keys too many take.
#pragma once
#include <stdint.h>

#include "cpu/kernels/attention.h"

namespace octoformer {
namespace {

/// Pages of a group: [first, end), counted from its start.
struct PageRange {
  int64_t first;
  int64_t end;
};

inline PageRange pages_of(KeyRange keys) { return {keys.first / kPageKeys, (keys.end + kPageKeys - 1) / kPageKeys}; }

/// 2^x for x <= 0, before it is rounded to bfloat16 (whose numbers are up to 2^-8 away): 1 at 0, with a relative error
/// below 8.6e-5 down to 2^-126, less than that below, which rounding makes 0; 0 for -inf.
inline Vec::F rough_exponential2(Vec::F x) {
  constexpr float kCoefficients[] = {1.0f, 0x1.63e658p-1f, 0x1.d2378ap-3f, 0x1.3baaa6p-4f};
  return Bfloat16Unit::times_power_of_floor(polynomial(Bfloat16Unit::fraction(x), kCoefficients), x);
}

/// Gives -inf to the scores of keys in the pages that their row does not attend to.
inline void mask_pages(const KeyRange* ranges, KeyRange all, PageRange pages, int64_t rows, float* scores) {
  const Vec::F none = Vec::set1(-__builtin_inff());
  for (int64_t key = pages.first * kPageKeys; key < pages.end * kPageKeys; key += Vec::lanes) {
    if (all.first <= key && key + Vec::lanes <= all.end) continue;
    const Vec::F index = Vec::add(Vec::set1(static_cast<float>(key)), Vec::load(kLaneIndex));
    for (int64_t row = 0; row < rows; ++row) {
      float* at = scores + row * kScoreStride + key;
      const Vec::F first = Vec::set1(static_cast<float>(ranges[row].first));
      const Vec::F end = Vec::set1(static_cast<float>(ranges[row].end));
      Vec::store(at, Vec::select_less(index, first, none, Vec::select_less(index, end, Vec::load(at), none)));
    }
  }
}

/// Rows side by side: enough for the processor not to wait for results of one.
constexpr int kSoftmaxRows = 4;

/// Weights 2^(factor * score - maximum) in place of scores; a row's weights lie at the start of where its scores lay.
/// `maxima`: the exponents of the largest scores; `totals`: sums of the weights as rounded, so that a row's mean of
/// equal values is that value. A row without a key gets weights 0 and the state of nothing.
template <int Rows>
inline void softmax_rows(PageRange pages, float factor, float* scores, float* maxima, float* totals) {
  const int64_t first = pages.first * kPageKeys, end = pages.end * kPageKeys;
  Vec::F part[kSoftmaxRows];
  for (Vec::F& maximum : part) maximum = Vec::set1(kLowestMaximum);
  for (int64_t key = first; key < end; key += kSoftmaxKeys) {
#pragma GCC unroll 4
    for (int row = 0; row < Rows; ++row) {
      const float* at = scores + row * kScoreStride + key;
      // NaN does not pass, but has weight NaN below.
      part[row] = Vec::max(Vec::load(at), part[row]);
      part[row] = Vec::max(Vec::load(at + Vec::lanes), part[row]);
    }
  }
  float largest[kSoftmaxRows];
  Bfloat16Unit::reduce_max(part, largest);
  Vec::F shift[Rows];
  for (int row = 0; row < Rows; ++row) {
    maxima[row] = largest_exponent(largest[row], factor);
    shift[row] = Vec::set1(-maxima[row]);
  }

  const Vec::F scale = Vec::set1(factor);
  const uint16_t one[2] = {0x3f80, 0x3f80};  // 1.0
  const Bfloat16Unit::Pairs ones = Bfloat16Unit::broadcast(one);
  for (Vec::F& total : part) total = Vec::zero();
  for (int64_t key = first; key < end; key += kSoftmaxKeys) {
#pragma GCC unroll 4
    for (int row = 0; row < Rows; ++row) {
      float* from = scores + row * kScoreStride;
      const Vec::F even = rough_exponential2(Vec::fma(Vec::load(from + key), scale, shift[row]));
      const Vec::F odd = rough_exponential2(Vec::fma(Vec::load(from + key + Vec::lanes), scale, shift[row]));
      const Bfloat16Unit::Pairs rounded = Bfloat16Unit::narrow(even, odd);
      Bfloat16Unit::store(reinterpret_cast<uint16_t*>(from) + key, rounded);
      part[row] = Bfloat16Unit::accumulate(rounded, ones, part[row]);
    }
  }
  float sums[kSoftmaxRows];
  Bfloat16Unit::reduce_add(part, sums);
  for (int row = 0; row < Rows; ++row) totals[row] = sums[row];
}

/// The weights of all rows, in place of the products of their queries with a group's keys. Calls meanwhile() before
/// every kSoftmaxRows of them.
template <class Meanwhile>
inline void softmax_tile(const AttentionTile& tile, int64_t group, const KeyRange* ranges, KeyRange all,
                         PageRange pages, float* scores, float* maxima, float* totals, const Meanwhile& meanwhile) {
  if (!only_scaled(tile)) finish_tile_scores(tile, group, ranges, scores);
  mask_pages(ranges, all, pages, tile.rows, scores);
  const float factor = exponents_of_score(tile);
  for (int64_t row = 0; row < tile.rows; row += kSoftmaxRows) {
    meanwhile();
    with_size<kSoftmaxRows>(tile.rows - row, [=](auto tag) {
      softmax_rows<decltype(tag)::size>(pages, factor, scores + row * kScoreStride, maxima + row, totals + row);
    });
  }
}

}  // namespace
}  // namespace octoformer
