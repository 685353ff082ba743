// What log-probabilities of a row are made of: the sum of exponentials, and the search for large numbers.
#pragma once
#include <stdint.h>

#include "cpu/kernels/math.h"
#include "cpu/row_kernels.h"

namespace octoformer {
namespace {

/// Column k belongs to chain k mod 16, whatever the number of lanes: that gives all ISAs the same sum.
constexpr int kSumChains = 16;
constexpr int kSumVectors = kSumChains / Vec::lanes;

/// Numbers so far below the largest one don't count: all that there can be add up to less than 2^31 e^-86, nothing
/// beside 1 in double precision. Their powers of 2 would leave what a float32 has.
constexpr float kExponentialRange = 86.0f;

/// From this magnitude of the largest number on, it is taken from the others, exactly: within kExponentialRange below
/// it they are within a factor of 2 (Sterbenz's lemma). Below, its difference from them need not be a float32, so that
/// numbers are split into a power of 2 and a rest as they are.
constexpr float kLargeMagnitude = 256.0f;

inline float largest_in_row(const float* input, int64_t columns) {
  float largest = -__builtin_inff();
  int64_t i = 0;
  if (columns >= kSumChains) {
    Vec::F maxima[kSumVectors];
#pragma GCC unroll 16
    for (int v = 0; v < kSumVectors; ++v) maxima[v] = Vec::set1(largest);
    for (; i + kSumChains <= columns; i += kSumChains) {
#pragma GCC unroll 16
      for (int v = 0; v < kSumVectors; ++v) maxima[v] = Vec::max(Vec::load(input + i + v * Vec::lanes), maxima[v]);
    }
#pragma GCC unroll 16
    for (int v = 0; v < kSumVectors; ++v) {
      const float some = Vec::reduce_max(maxima[v]);
      largest = some > largest ? some : largest;
    }
  }
  for (; i < columns; ++i) largest = input[i] > largest ? input[i] : largest;
  return largest;
}

ExponentialSum sum_exponentials_row(const float* input, int64_t columns) {
  ExponentialSum result = {largest_in_row(input, columns), 0.0f, 0.0f, 0.0f, 0.0};
  const float largest = result.largest;
  if (largest - largest != 0.0f) {  // infinite
    for (int64_t i = 0; i < columns; ++i) {
      if (input[i] != input[i]) result.sum = static_cast<double>(input[i]);
    }
    return result;
  }
  if (__builtin_fabsf(largest) >= kLargeMagnitude) result.base = largest;
  const Vec::F base = Vec::set1(result.base);
  const Vec::F lowest = Vec::set1(largest - result.base - kExponentialRange);
  const Vec::F power = nearest_power(Vec::set1(largest - result.base));
  const auto term = [&](const float* p) {
    const Vec::F x = Vec::sub(Vec::load(p), base);
    const Vec::F bounded = Vec::max(lowest, x);  // NaN passes, being the second operand
    const Vec::F n = nearest_power(bounded);
    const Vec::F e = Vec::times_power_of_two(exponential_of_rest(bounded, n), Vec::sub(n, power));
    return Vec::select_less(x, lowest, Vec::zero(), e);
  };

  Vec::Wide sums[kSumVectors];
#pragma GCC unroll 16
  for (int v = 0; v < kSumVectors; ++v) sums[v] = Vec::wide_zero();
  int64_t i = 0;
  for (; i + kSumChains <= columns; i += kSumChains) {
#pragma GCC unroll 16
    for (int v = 0; v < kSumVectors; ++v) sums[v] = Vec::add_wide(sums[v], term(input + i + v * Vec::lanes));
  }
  float rest[kSumChains];
  for (int j = 0; j < kSumChains; ++j) rest[j] = i + j < columns ? input[i + j] : -__builtin_inff();
  double chains[kSumChains];
#pragma GCC unroll 16
  for (int v = 0; v < kSumVectors; ++v) {
    sums[v] = Vec::add_wide(sums[v], term(rest + v * Vec::lanes));
    Vec::store_wide(chains + v * Vec::lanes, sums[v]);
  }
  for (int half = kSumChains / 2; half > 0; half /= 2) {
    for (int j = 0; j < half; ++j) chains[j] += chains[j + half];
  }
  result.sum = chains[0];

  float lanes[Vec::lanes];
  Vec::store(lanes, power);
  result.power = lanes[0];
  for (int j = 0; j < kSumChains; ++j) rest[j] = largest;
  Vec::store(lanes, term(rest));
  result.of_largest = lanes[0];
  return result;
}

int64_t find_above_row(const float* input, int64_t first, int64_t columns, float bound) {
  constexpr int kVectors = Vec::lanes == 1 ? 1 : 4;  // looked at together
  const Vec::F low = Vec::set1(bound);
  int64_t i = first;
  for (; i + kVectors * Vec::lanes <= columns; i += kVectors * Vec::lanes) {
    Vec::F largest = low;
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) largest = Vec::max(Vec::load(input + i + v * Vec::lanes), largest);
    if (Vec::any_less(low, largest)) break;
  }
  for (; i < columns && !(input[i] > bound); ++i) {
  }
  return i;
}

}  // namespace
}  // namespace octoformer
