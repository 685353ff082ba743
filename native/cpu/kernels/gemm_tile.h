// The innermost loop of the matrix products: a tile of accumulators, held in registers over a run of k.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "cpu/gemm_kernels.h"
#include "cpu/kernels/bfloat16_pairs.h"

namespace octoformer {
namespace {

/// Vectors across a panel and rows of a tile. Accumulators and one row of weights fill the register file but for the
/// broadcast activation: 6 x 4 + 4 of 32 registers, 6 x 2 + 2 of 16. The scalar tile has enough sums to be worth a
/// call.
template <int Lanes>
struct TileShape {
  static constexpr int vectors = 4, rows = 6;
};
template <>
struct TileShape<8> {
  static constexpr int vectors = 2, rows = 6;
};
template <>
struct TileShape<1> {
  static constexpr int vectors = 8, rows = 2;
};

constexpr int kPanelVectors = TileShape<Vec::lanes>::vectors;
constexpr int kPanel = kPanelVectors * Vec::lanes;
constexpr int kTileRows = TileShape<Vec::lanes>::rows;

/// Rows that few_rows takes: until products take much longer than weights come from memory (on a Zen 3, AVX2 does 6 to
/// 15 rows in that time), and many_rows, with its larger blocks, is as fast.
constexpr int kFewVectorRows = 32;

// A form says how one step of k is computed: `Depth` elements of A in each row with `Depth` x panel weights.
// Weight and Activation are the elements' types; step() adds one step to Rows x Vectors sums.

/// sums[r][v] += a[r] * b[v], one fused multiply-add each.
template <int Rows, int Vectors>
[[gnu::always_inline]] inline void multiply_add(const float* a, int64_t stride, const Vec::F (&b)[Vectors],
                                                Vec::F (&sums)[Rows][Vectors]) {
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
    const Vec::F x = Vec::set1(a[r * stride]);
#pragma GCC unroll 16
    for (int v = 0; v < Vectors; ++v) sums[r][v] = Vec::fma(x, b[v], sums[r][v]);
  }
}

struct Float32Form {
  using Activation = float;
  using Weight = float;
  static constexpr int depth = 1;
  static constexpr bool widens_pairs = false;

  template <int Rows, int Vectors>
  [[gnu::always_inline]] static inline void step(const float* a, int64_t stride, const float* const (&w)[Vectors],
                                                 int64_t k, Vec::F (&sums)[Rows][Vectors]) {
    Vec::F b[Vectors];
#pragma GCC unroll 16
    for (int v = 0; v < Vectors; ++v) b[v] = Vec::load(w[v] + k * kPanel);
    multiply_add(a + k, stride, b, sums);
  }
};

struct Float16Form {
  using Activation = float;
  using Weight = uint16_t;
  static constexpr int depth = 1;
  static constexpr bool widens_pairs = false;

  template <int Rows, int Vectors>
  [[gnu::always_inline]] static inline void step(const float* a, int64_t stride, const uint16_t* const (&w)[Vectors],
                                                 int64_t k, Vec::F (&sums)[Rows][Vectors]) {
    Vec::F b[Vectors];
#pragma GCC unroll 16
    for (int v = 0; v < Vectors; ++v) b[v] = Vec::load_float16(w[v] + k * kPanel);
    multiply_add(a + k, stride, b, sums);
  }
};

/// Pairs of bfloat16 weights, each widened to two float32.
struct Bfloat16Form {
  using Activation = float;
  using Weight = uint16_t;
  static constexpr int depth = 2;
  static constexpr bool widens_pairs = true;

  template <int Rows, int Vectors>
  [[gnu::always_inline]] static inline void first_of_pair(const float* a, int64_t stride,
                                                          const uint16_t* const (&w)[Vectors], int64_t k,
                                                          Vec::F (&sums)[Rows][Vectors]) {
    Vec::F b[Vectors];
#pragma GCC unroll 16
    for (int v = 0; v < Vectors; ++v) b[v] = Vec::load_first_bfloat16(w[v] + k * kPanel);
    multiply_add(a + k, stride, b, sums);
  }

  template <int Rows, int Vectors>
  [[gnu::always_inline]] static inline void step(const float* a, int64_t stride, const uint16_t* const (&w)[Vectors],
                                                 int64_t k, Vec::F (&sums)[Rows][Vectors]) {
    first_of_pair(a, stride, w, k, sums);
    Vec::F b[Vectors];
#pragma GCC unroll 16
    for (int v = 0; v < Vectors; ++v) b[v] = Vec::load_second_bfloat16(w[v] + k * kPanel);
    multiply_add(a + k + 1, stride, b, sums);
  }
};

#if defined(OCTOFORMER_BFLOAT16_UNIT)
/// Pairs of bfloat16 on both sides, multiplied and summed by the machine's unit.
struct Bfloat16UnitForm {
  using Activation = uint16_t;
  using Weight = uint16_t;
  static constexpr int depth = 2;
  static constexpr bool widens_pairs = false;

  template <int Rows, int Vectors>
  [[gnu::always_inline]] static inline void step(const uint16_t* a, int64_t stride, const uint16_t* const (&w)[Vectors],
                                                 int64_t k, Vec::F (&sums)[Rows][Vectors]) {
    Bfloat16Unit::Pairs b[Vectors];
#pragma GCC unroll 16
    for (int v = 0; v < Vectors; ++v) b[v] = Bfloat16Unit::load(w[v] + k * kPanel);
    multiply_pairs(a + k, stride, b, sums);
  }
};
#endif

/// sums [Rows, Panels * kPanel] += A [Rows, depth] x (Panels panels of W [depth, kPanel]); the sums start from 0 if
/// `fresh`. The loops over accumulators are unrolled by pragma: gcc 12 spills them otherwise, at a sixth of the speed.
template <class Form, int Rows, int Panels>
[[gnu::always_inline]] inline void multiply_tile(const typename Form::Activation* a, int64_t stride,
                                                 const typename Form::Weight* weights, int64_t panel_stride,
                                                 int64_t depth, bool fresh, float* sums) {
  constexpr int vectors = Panels * kPanelVectors;
  Vec::F sum[Rows][vectors];
  const typename Form::Weight* w[vectors];
#pragma GCC unroll 16
  for (int v = 0; v < vectors; ++v) {
    // A step's weights lie [kPanel][depth]: `depth` elements a lane.
    w[v] = weights + (v / kPanelVectors) * panel_stride + (v % kPanelVectors) * Vec::lanes * Form::depth;
  }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < vectors; ++v) {
      sum[r][v] = fresh ? Vec::zero() : Vec::load(sums + (r * vectors + v) * Vec::lanes);
    }
  }
  int64_t k = 0;
  for (; k + Form::depth <= depth; k += Form::depth) Form::step(a, stride, w, k, sum);
  if constexpr (Form::widens_pairs) {
    if (k < depth) Form::first_of_pair(a, stride, w, k, sum);  // odd K: the second weights of the pair are fill
  }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < vectors; ++v) Vec::store(sums + (r * vectors + v) * Vec::lanes, sum[r][v]);
  }
}

}  // namespace
}  // namespace octoformer
