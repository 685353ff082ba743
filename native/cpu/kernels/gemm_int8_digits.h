// The products of what rows have beyond their bytes (Int8Digit): few numbers, each times the weights of its feature, as
// they lie in the panel, in registers while sums become output.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "cpu/gemm_int8_kernels.h"
#include "cpu/kernels/gemm_tile.h"

namespace octoformer {
namespace {

/// From the four weights of a vector of output features to those of vector v of a panel of `PanelVectors`.
template <int PanelVectors>
constexpr int64_t quad_offset(int v) {
#if defined(OCTOFORMER_TILES)
  constexpr int kTileVectors = 16 / Vec::lanes, kDepth = kByteRun;  // of a tile of weights
#else
  constexpr int kTileVectors = PanelVectors, kDepth = 4;
#endif
  return (v / kTileVectors * kDepth * kTileVectors + v % kTileVectors * 4) * Vec::lanes;
}

/// Digits of rows by one panel of weights.
template <int Panel>
struct DigitRows {
  static constexpr int kVectors = Panel / Vec::lanes;
  const int8_t* weights = nullptr;  // the panel's
  const Int8DigitRow* rows = nullptr;
  const Int8Digit* digits = nullptr;
  int64_t stride = 0;

  [[gnu::always_inline]] DigitRows(const Int8Task& task, int64_t row, int64_t column)
      : weights(task.weights + column / Panel * task.panel_stride),
        rows(task.epilogue.digit_rows != nullptr ? task.epilogue.digit_rows + row : nullptr),
        digits(task.epilogue.digits + row * task.epilogue.digits_stride),
        stride(task.epilogue.digits_stride) {}

  /// sums[v] += 256 times the products of row r.
  template <class Unit = Int8Unit>
  [[gnu::always_inline]] void add(int64_t r, IntVec::I (&sums)[kVectors]) const {
    const Int8DigitRow row = rows[r];
    const Int8Digit *digit = digits + r * stride, *const end = digit + row.count;
    IntVec::I products[kVectors];
    if constexpr (requires { Unit::begin_digits(row.sum); }) {
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) products[v] = Unit::begin_digits(row.sum);
#pragma GCC unroll 1
      for (; digit != end; ++digit) {
        const int8_t* w = weights + digit->weights;
#pragma GCC unroll 8
        for (int v = 0; v < kVectors; ++v) {
          products[v] = Unit::add_digits(products[v], w + quad_offset<kVectors>(v), digit->digits);
        }
      }
    } else {
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) products[v] = IntVec::set1(0);
#pragma GCC unroll 1
      for (; digit != end; ++digit) {
        const int8_t* w = weights + digit->weights;
        const int index = digit->digits == 0 ? 0 : __builtin_ctz(static_cast<uint32_t>(digit->digits)) / 8;
        const IntVec::I x = IntVec::set1(static_cast<int8_t>(static_cast<uint32_t>(digit->digits) >> 8 * index));
#pragma GCC unroll 8
        for (int v = 0; v < kVectors; ++v) {
          products[v] =
              IntVec::add(products[v], IntVec::mul(IntVec::byte_of_four(w + quad_offset<kVectors>(v), index), x));
        }
      }
    }
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) sums[v] = IntVec::add(sums[v], IntVec::times_256(products[v]));
  }
};

}  // namespace
}  // namespace octoformer
