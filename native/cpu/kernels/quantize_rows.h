// Rows of activations (and of weights, when they are packed) become int8: one look over a row finds its range and its
// outliers, a second, with the row still in the first-level cache, writes the bytes. Bit for bit what
// native/quantization says.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "cpu/gemm_int8_kernels.h"

namespace octoformer {
namespace {

template <bool Outliers>
inline void scan_row_of(const float* x, int64_t count, float below, uint64_t* bits, RowScan* scan) {
  const Vec::F limit = Vec::set1(below), nothing = Vec::zero();
  Vec::F low = nothing, high = nothing, poison = nothing;
  uint32_t any = 0;
  for (int64_t k = 0; k < count; k += Vec::lanes) {
    Vec::F value = count - k >= Vec::lanes ? Vec::load(x + k) : Vec::load_n(x + k, count - k);
    if constexpr (Outliers) {
      const Vec::F magnitude = Vec::abs(value);
      const uint32_t mask = IntVec::mask_less(limit, magnitude);
      if (mask != 0) {  // lanes divide 64: a vector's bits lie in one word
        bits[k / 64] |= static_cast<uint64_t>(mask) << (k % 64);
        any = 1;
        value = Vec::select_less(limit, magnitude, nothing, value);
      }
    }
    // NaN, as the first operand, leaves the range as it is; NaN and infinities make the poison NaN.
    low = Vec::min(value, low);
    high = Vec::max(value, high);
    poison = Vec::fma(value, nothing, poison);
  }
  const float sum = Vec::reduce_add(poison);
  scan->low = -Vec::reduce_max(Vec::sub(nothing, low));
  scan->high = Vec::reduce_max(high);
  scan->finite = sum == sum;
  scan->outliers = any != 0;
}

void scan_row(const float* x, int64_t count, float below, uint64_t* bits, RowScan* scan) {
  if (below < 0.0f) {
    scan_row_of<false>(x, count, below, bits, scan);
  } else {
    scan_row_of<true>(x, count, below, bits, scan);
  }
}

float sum_squares(const float* x, int64_t count) {
  constexpr int kChains = 16, kVectors = kChains / Vec::lanes;
  static_assert(kChains % Vec::lanes == 0, "every ISA has the same chains");
  Vec::F sum[kVectors];
#pragma GCC unroll 16
  for (int v = 0; v < kVectors; ++v) sum[v] = Vec::zero();
  int64_t k = 0;
  for (; k + kChains <= count; k += kChains) {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) {
      const Vec::F value = Vec::load(x + k + v * Vec::lanes);
      sum[v] = Vec::fma(value, value, sum[v]);
    }
  }
  float chain[kChains];
#pragma GCC unroll 16
  for (int v = 0; v < kVectors; ++v) Vec::store(chain + v * Vec::lanes, sum[v]);
  for (; k < count; ++k) chain[k % kChains] = __builtin_fmaf(x[k], x[k], chain[k % kChains]);
  for (int width = kChains / 2; width > 0; width /= 2) {
    for (int i = 0; i < width; ++i) chain[i] += chain[i + width];
  }
  return chain[0];
}

template <bool Affine, bool Outliers>
inline void quantize_row_of(const float* x, int64_t count, const RowGrid& grid, uint8_t* out) {
  const Vec::F limit = Vec::set1(grid.below), factor = Vec::set1(Affine ? grid.step : grid.multiplier);
  const Vec::F zero_point = Vec::set1(static_cast<float>(grid.zero_point));
  const Vec::F least = Vec::set1(static_cast<float>(grid.least)), most = Vec::set1(127.0f);
  const auto quantize = [&](Vec::F value) {
    if constexpr (Outliers) value = Vec::select_less(limit, Vec::abs(value), Vec::zero(), value);
    if constexpr (Affine) {
      value = Vec::add(Vec::round(Vec::div(value, factor)), zero_point);
    } else {
      value = Vec::round(Vec::mul(value, factor));
    }
    return Vec::max(Vec::min(value, most), least);
  };
  int64_t k = 0;
  for (; k + Vec::lanes <= count; k += Vec::lanes) {
    IntVec::store_bytes(out + k, quantize(Vec::load(x + k)), grid.flip);
  }
  if (k < count) {
    uint8_t rest[Vec::lanes];
    IntVec::store_bytes(rest, quantize(Vec::load_n(x + k, count - k)), grid.flip);
    for (int64_t i = 0; k + i < count; ++i) out[k + i] = rest[i];
  }
}

void quantize_row(const float* x, int64_t count, const RowGrid& grid, uint8_t* out) {
  const bool affine = grid.step > 0.0f, outliers = grid.below >= 0.0f;
  if (affine) {
    outliers ? quantize_row_of<true, true>(x, count, grid, out) : quantize_row_of<true, false>(x, count, grid, out);
  } else {
    outliers ? quantize_row_of<false, true>(x, count, grid, out) : quantize_row_of<false, false>(x, count, grid, out);
  }
}

}  // namespace
}  // namespace octoformer
