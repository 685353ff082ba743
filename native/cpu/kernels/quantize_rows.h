// Rows of activations (and of weights, when they are packed) become int8: one look over a row finds its range and its
// squares, another, for rows that have outliers, where these are, and a last one writes the bytes, with the row in the
// first-level cache all along. Bit for bit what native/quantization says.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "cpu/gemm_int8_kernels.h"

namespace octoformer {
namespace {

/// The vector at x + k of a row of `count`, zeros past its end.
inline Vec::F load_of_row(const float* x, int64_t k, int64_t count) {
  const int64_t rest = count - k;
  if (rest >= Vec::lanes) return Vec::load(x + k);
  return Vec::load_n(x + (rest > 0 ? k : 0), rest > 0 ? rest : 0);
}

/// Whether the values are finite, but for outliers.
inline bool is_finite_row(const float* x, int64_t count, float below) {
  const Vec::F limit = Vec::set1(below), nothing = Vec::zero();
  Vec::F poison = nothing;  // NaN and infinities make it NaN
  for (int64_t k = 0; k < count; k += Vec::lanes) {
    Vec::F value = load_of_row(x, k, count);
    if (below >= 0.0f) value = Vec::select_less(limit, Vec::abs(value), nothing, value);
    poison = Vec::fma(value, nothing, poison);
  }
  const float sum = Vec::reduce_add(poison);
  return sum == sum;
}

void scan_row(const float* x, int64_t count, RowPart* parts, RowScan* scan) {
  constexpr int kChains = 32, kVectors = kChains / Vec::lanes, kRanges = kVectors < 2 ? kVectors : 2;
  static_assert(kChains % Vec::lanes == 0, "every ISA has the same chains");
  static_assert(kScanPart % kChains == 0 && Vec::lanes <= RowPart::kMostLanes);
  Vec::F sum[kVectors], low = Vec::zero(), high = Vec::zero();
#pragma GCC unroll 32
  for (int v = 0; v < kVectors; ++v) sum[v] = Vec::zero();
  for (int64_t k = 0; k < count;) {
    Vec::F part_low[kRanges], part_high[kRanges];
#pragma GCC unroll 2
    for (int r = 0; r < kRanges; ++r) part_low[r] = part_high[r] = Vec::zero();
    const auto take = [&](Vec::F value, int v) {
      sum[v] = Vec::fma(value, value, sum[v]);
      // NaN, as the first operand, leaves the range as it is.
      part_low[v % kRanges] = Vec::min(value, part_low[v % kRanges]);
      part_high[v % kRanges] = Vec::max(value, part_high[v % kRanges]);
    };
    const int64_t end = count - k < kScanPart ? count : k + kScanPart;
    for (; k + kChains <= end; k += kChains) {
#pragma GCC unroll 32
      for (int v = 0; v < kVectors; ++v) take(Vec::load(x + k + v * Vec::lanes), v);
    }
    if (k < end) {  // zeros change neither sums nor ranges
#pragma GCC unroll 32
      for (int v = 0; v < kVectors; ++v) take(load_of_row(x, k + v * Vec::lanes, count), v);
      k = end;
    }
    part_low[0] = Vec::min(part_low[0], part_low[kRanges - 1]);
    part_high[0] = Vec::max(part_high[0], part_high[kRanges - 1]);
    if (parts != nullptr) {
      Vec::store(parts->low, part_low[0]);
      Vec::store(parts->high, part_high[0]);
      ++parts;
    }
    low = Vec::min(low, part_low[0]);
    high = Vec::max(high, part_high[0]);
  }
#pragma GCC unroll 5
  for (int width = kVectors / 2; width > 0; width /= 2) {
#pragma GCC unroll 16
    for (int v = 0; v < width; ++v) sum[v] = Vec::add(sum[v], sum[v + width]);
  }
  scan->squares = Vec::reduce_add(sum[0]);
  scan->low = -Vec::reduce_max(Vec::sub(Vec::zero(), low));
  scan->high = Vec::reduce_max(high);
  // Squares that overflow need not be those of infinities.
  scan->finite = scan->squares < __builtin_inff() || is_finite_row(x, count, -1.0f);
}

int64_t scan_outliers(const float* x, int64_t count, float below, const RowPart* parts, int32_t* outliers,
                      RowScan* scan) {
  constexpr int kWord = 64;
  static_assert(kScanPart % kWord == 0);
  const Vec::F limit = Vec::set1(below), nothing = Vec::zero();
  Vec::F low = nothing, high = nothing;
  int64_t number = 0;
  // Columns [k, end), a word of them at most.
  const auto scan_word = [&](int64_t k, int64_t end) __attribute__((always_inline)) {
    uint64_t word = 0;
    const auto take = [&](Vec::F value, int lane) {
      const Vec::F magnitude = Vec::abs(value);
      word |= static_cast<uint64_t>(IntVec::mask_less(limit, magnitude)) << lane;
      value = Vec::select_less(limit, magnitude, nothing, value);
      low = Vec::min(value, low);
      high = Vec::max(value, high);
    };
    if (end - k == kWord) {
#pragma GCC unroll 4
      for (int lane = 0; lane < kWord; lane += Vec::lanes) take(Vec::load(x + k + lane), lane);
    } else {
      for (int lane = 0; k + lane < end; lane += Vec::lanes) take(load_of_row(x, k + lane, end), lane);
    }
    for (; word != 0; word &= word - 1) outliers[number++] = static_cast<int32_t>(k) + __builtin_ctzll(word);
  };
  for (int64_t first = 0; first < count; first += kWord * kScanPart, parts += kWord) {
    const int64_t left = row_parts(count - first), here = left < kWord ? left : kWord;
    uint64_t found = 0;  // parts that have some: a few, and a branch for each part would be hard to foresee
    for (int64_t part = 0; part < here; ++part) {
      const Vec::F negative = Vec::sub(nothing, Vec::load(parts[part].low)), positive = Vec::load(parts[part].high);
      found |= static_cast<uint64_t>(Vec::any_less(limit, Vec::max(negative, positive))) << part;
      // What a lane has beyond the limit hides the range of its others, which is found below.
      low = Vec::min(low, Vec::sub(nothing, Vec::select_less(limit, negative, nothing, negative)));
      high = Vec::max(high, Vec::select_less(limit, positive, nothing, positive));
    }
    for (; found != 0; found &= found - 1) {
      const int64_t begin = first + __builtin_ctzll(found) * kScanPart;
      const int64_t end = count - begin < kScanPart ? count : begin + kScanPart;
      for (int64_t k = begin; k < end; k += kWord) scan_word(k, end - k < kWord ? end : k + kWord);
    }
  }
  scan->low = -Vec::reduce_max(Vec::sub(nothing, low));
  scan->high = Vec::reduce_max(high);
  scan->finite = scan->finite || is_finite_row(x, count, below);
  return number;
}

/// x * multiplier
struct ScaleByMultiplier {
  Vec::F multiplier;
  explicit ScaleByMultiplier(const RowGrid& grid) : multiplier(Vec::set1(grid.multiplier)) {}
  Vec::F operator()(Vec::F x) const { return Vec::mul(x, multiplier); }
};

/// x / step
struct DivideByStep {
  Vec::F step;
  explicit DivideByStep(const RowGrid& grid) : step(Vec::set1(grid.step)) {}
  Vec::F operator()(Vec::F x) const { return Vec::div(x, step); }
};

/// The same without a division: the reciprocal has two parts, so that head + tail is off by 2^-48 of itself, and
/// x * head + x * tail by 2^-47 before it is rounded (Brisebarre and Muller, "Correctly rounded multiplication by
/// arbitrary precision constants", 2008). That may round otherwise than the division, but never beside a tie t = n +
/// 1/2, which is where it would make another integer. There the step, S 2^s with 2^23 <= S < 2^24, has x - t step = j
/// 2^(s - 1), j an integer; so for t in [2^p, 2^(p + 1)) the quotient is |j 2^23 - 2^p S| / (2^24 S) away from where
/// rounding turns to or from t, at least 2^p d / (2^24 S) where d is the distance of S from the next multiple of
/// 2^(23 - p): more than the product's error if d > 4. Beyond t = 2^8, where d is no longer kept up, all bytes are the
/// largest or the least. Below t = 1, p = -1, the same holds of |j 2^24 - S| / (2^25 S).
struct MultiplyByReciprocal {
  static constexpr uint32_t kDistance = 8, kMultiple = 1u << 16;
  /// Whether the step is one for it. Its parts and their products must not underflow either.
  static bool takes(float step) {
    uint32_t bits;
    __builtin_memcpy(&bits, &step, sizeof bits);
    return (bits + kDistance) % kMultiple >= 2 * kDistance && step > 0x1p-100f && step < 0x1p90f;
  }

  Vec::F head, tail;
  explicit MultiplyByReciprocal(const RowGrid& grid) {
    const float reciprocal = 1.0f / grid.step;
    head = Vec::set1(reciprocal);
    tail = Vec::set1(__builtin_fmaf(-grid.step, reciprocal, 1.0f) / grid.step);
  }
  Vec::F operator()(Vec::F x) const { return Vec::fma(x, head, Vec::mul(x, tail)); }
};

template <class Scale>
inline void quantize_row_by(const float* x, int64_t count, const RowGrid& given, uint8_t* out, int64_t stride) {
  constexpr int kStep = 4 * Vec::lanes;
  static_assert(kByteRun % kStep == 0, "what is stored at a time lies in one run");
  const RowGrid grid = given;  // one of its own: bytes that are stored might be anybody's
  const Scale scale(grid);
  int64_t k = 0;
  for (; k + kStep <= count; k += kStep) {
    const Vec::F values[4] = {scale(Vec::load(x + k)), scale(Vec::load(x + k + Vec::lanes)),
                              scale(Vec::load(x + k + 2 * Vec::lanes)), scale(Vec::load(x + k + 3 * Vec::lanes))};
    IntVec::store_bytes(out + k / kByteRun * stride + k % kByteRun, values, grid.zero_point, grid.least, grid.flip);
  }
  if (k < count) {
    Vec::F values[4];
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) values[v] = scale(load_of_row(x, k + v * Vec::lanes, count));
    uint8_t rest[kStep];
    IntVec::store_bytes(rest, values, grid.zero_point, grid.least, grid.flip);
    uint8_t* place = out + k / kByteRun * stride + k % kByteRun;
    for (int64_t i = 0; k + i < count; ++i) place[i] = rest[i];
  }
}

void quantize_row(const float* x, int64_t count, const RowGrid& grid, uint8_t* out, int64_t stride) {
  if (!(grid.step > 0.0f)) {
    quantize_row_by<ScaleByMultiplier>(x, count, grid, out, stride);
  } else if (Vec::lanes == 1 || !MultiplyByReciprocal::takes(grid.step)) {  // one lane divides as fast
    quantize_row_by<DivideByStep>(x, count, grid, out, stride);
  } else {
    quantize_row_by<MultiplyByReciprocal>(x, count, grid, out, stride);
  }
}

}  // namespace
}  // namespace octoformer
