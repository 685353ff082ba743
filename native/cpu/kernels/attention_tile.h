// The two products of attention on blocks of registers: scores (queries by keys) and weighted sums of values.
// Whatever the size of a block, a row's score is one chain of fused multiply-adds over head_dim, and a row's sum one
// chain over the keys: a row's bits do not depend on the rows beside it.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "cpu/attention_kernels.h"

namespace octoformer {
namespace {

/// Rows by vectors of accumulators. AVX2 has 16 registers, AVX-512 and NEON 32, of which the accumulators may take
/// about three quarters; more rows a block mean more uses of each load of keys or values.
constexpr int kScoreRows = Vec::lanes == 16 ? 8 : Vec::lanes == 1 ? 2 : 6;
constexpr int kScoreVectors = Vec::lanes == 4 ? 4 : Vec::lanes == 1 ? 4 : 2;
constexpr int kValueRows = Vec::lanes == 1 ? 2 : 6;
constexpr int kValueVectors = Vec::lanes == 8 ? 2 : 4;

/// Vectors of accumulators beside so many rows: a lone token's few heads take twice as many, and each of their queries
/// or weights serves twice as many products.
constexpr int vectors_beside(int rows, int vectors) {
  return Vec::lanes == 8 && rows <= kScoreRows / 2 ? 2 * vectors : vectors;
}

static_assert(kPageKeys % (vectors_beside(1, kScoreVectors) * Vec::lanes) == 0 && kHeadDimMultiple % Vec::lanes == 0);

template <int Size>
struct SizeTag {
  static constexpr int size = Size;
};

/// Calls body(SizeTag<size>) for size in [1, Limit].
template <int Limit, class Body>
inline void with_size(int64_t size, const Body& body) {
  if constexpr (Limit > 1) {
    if (size < Limit) return with_size<Limit - 1>(size, body);
  }
  body(SizeTag<Limit>{});
}

/// Asks for the cache line of p, for the second level: what is read next lies in other pages, where no prefetcher of
/// the machine looks.
inline void prefetch(const void* p) { __builtin_prefetch(p, 0, 2); }
constexpr int kLineFloats = 16, kLineHalves = 32;

/// Keys or values of a page as their blocks read them: float32 numbers. As many of `next_bytes` each, which are read
/// after them, are asked for meanwhile, line by line: of all at once a processor that waits for 24 (a Zen 3) drops
/// most.
struct FloatNumbers {
  static constexpr int together = 1;  // steps whose numbers lie in one another's vectors
  const float* numbers;
  const std::byte* next;
  int64_t next_bytes;

  /// Nothing comes after them.
  static FloatNumbers alone(const float* numbers) { return {numbers, reinterpret_cast<const std::byte*>(numbers), 0}; }

  /// Vector v of those from `at` on, a step's first number; `Part`: which of `together` steps it is.
  template <int Part, int Vectors>
  void load(int64_t at, Vec::F (&to)[Vectors]) const {
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) {
      to[v] = Vec::load(numbers + at + v * Vec::lanes);
      if (v * Vec::lanes % kLineFloats == 0) prefetch(next + (at + v * Vec::lanes) * next_bytes);
    }
  }
  /// Those of Vectors * lanes keys, from `key` on.
  template <int Vectors>
  FloatNumbers keys(int64_t key) const {
    return columns(key);
  }
  /// Values from a column on.
  FloatNumbers columns(int64_t column) const { return {numbers + column, next + column * next_bytes, next_bytes}; }
  FloatNumbers value(int64_t) const { return *this; }
};

inline Vec::F load_int8(const std::byte* from) {
  return IntVec::to_float(IntVec::load_bytes(reinterpret_cast<const int8_t*>(from)));
}

/// The same of bfloat16 pairs of steps (KeyValueForm), widened for one block of rows only: no room, no way there and
/// back.
struct PairNumbers {
  static constexpr int together = 2;
  const uint16_t* numbers;  // of a step of `width`
  const std::byte* next;
  int64_t width;

  template <int Part, int Vectors>
  void load(int64_t at, Vec::F (&to)[Vectors]) const {
    const uint16_t* pairs = numbers + at - Part * width;
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) {
      const uint16_t* of_vector = pairs + 2 * v * Vec::lanes;
      if (Part == 0 && 2 * v * Vec::lanes % kLineHalves == 0) {
        prefetch(next + (of_vector - numbers) * static_cast<int64_t>(sizeof(uint16_t)));
      }
      to[v] = Part == 0 ? Vec::load_first_bfloat16(of_vector) : Vec::load_second_bfloat16(of_vector);
    }
  }
  template <int Vectors>
  PairNumbers keys(int64_t key) const {
    return columns(key);
  }
  PairNumbers columns(int64_t column) const {
    return {numbers + 2 * column, next + 2 * column * static_cast<int64_t>(sizeof(uint16_t)), width};
  }
  PairNumbers value(int64_t) const { return *this; }
};

/// The same of int8 numbers and their scales.
struct Int8Numbers {
  static constexpr int together = 1;
  const std::byte* numbers;
  const std::byte* next;
  const float* scales;

  template <int Vectors>
  struct KeyRun {
    const std::byte* numbers;
    const std::byte* next;
    Vec::F scale[Vectors];
    template <int Part>
    void load(int64_t at, Vec::F (&to)[Vectors]) const {
      prefetch(next + at);
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) to[v] = Vec::mul(load_int8(numbers + at + v * Vec::lanes), scale[v]);
    }
  };
  template <int Vectors>
  KeyRun<Vectors> keys(int64_t key) const {
    KeyRun<Vectors> run;
    run.numbers = numbers + key;
    run.next = next + key;
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) run.scale[v] = Vec::load(scales + key + v * Vec::lanes);
    return run;
  }
  struct ValueRun {
    const std::byte* numbers;
    const std::byte* next;
    Vec::F scale;
    template <int Part, int Vectors>
    void load(int64_t at, Vec::F (&to)[Vectors]) const {
      prefetch(next + at);
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) to[v] = Vec::mul(load_int8(numbers + at + v * Vec::lanes), scale);
    }
  };
  Int8Numbers columns(int64_t column) const { return {numbers + column, next + column, scales}; }
  ValueRun value(int64_t key) const { return {numbers, next, Vec::set1(scales[key])}; }
};

/// scores[row][key] = queries[.][row] . keys[.][key] for a block of Rows by Vectors * lanes
template <int Rows, int Vectors, class Numbers>
__attribute__((always_inline)) inline void score_block(const float* queries, const Numbers& numbers, int64_t first_key,
                                                       int64_t head_dim, float* scores) {
  const auto keys = numbers.template keys<Vectors>(first_key);
  Vec::F sum[Rows][Vectors];
#pragma GCC unroll 8
  for (int row = 0; row < Rows; ++row) {
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) sum[row][v] = Vec::zero();
  }
  const auto step = [&](int64_t d, auto part) __attribute__((always_inline)) {
    Vec::F key[Vectors];
    keys.template load<decltype(part)::size>(d * kPageKeys, key);
#pragma GCC unroll 8
    for (int row = 0; row < Rows; ++row) {
      const Vec::F query = Vec::set1(queries[d * kMaximumTileRows + row]);
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) sum[row][v] = Vec::fma(query, key[v], sum[row][v]);
    }
  };
  if constexpr (Numbers::together == 1) {
    for (int64_t d = 0; d < head_dim; ++d) step(d, SizeTag<0>{});
  } else {
    int64_t d = 0;
    for (; d + 2 <= head_dim; d += 2) {
      step(d, SizeTag<0>{});
      step(d + 1, SizeTag<1>{});
    }
    if (d < head_dim) step(d, SizeTag<0>{});
  }
#pragma GCC unroll 8
  for (int row = 0; row < Rows; ++row) {
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) Vec::store(scores + row * kScoreStride + v * Vec::lanes, sum[row][v]);
  }
}

/// All scores of `rows` rows (up to kScoreRows) with a page's keys.
template <class Numbers>
inline void score_page(const float* queries, const Numbers& keys, int64_t head_dim, int64_t rows, float* scores) {
  with_size<kScoreRows>(rows, [=](auto tag) {
    constexpr int rows_at_once = decltype(tag)::size, vectors = vectors_beside(rows_at_once, kScoreVectors);
    for (int64_t key = 0; key < kPageKeys; key += vectors * Vec::lanes) {
      score_block<rows_at_once, vectors>(queries, keys, key, head_dim, scores + key);
    }
  });
}

/// sums[row][column] += weights[row][key] * values[key][column] over keys [first, end), for a block of columns
template <int Rows, int Vectors, class Numbers>
__attribute__((always_inline)) inline void value_block(const float* weights, const Numbers& values, int64_t stride,
                                                       int64_t first, int64_t end, float* sums) {
  Vec::F sum[Rows][Vectors];
#pragma GCC unroll 6
  for (int row = 0; row < Rows; ++row) {
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) sum[row][v] = Vec::load(sums + row * stride + v * Vec::lanes);
  }
  const auto step = [&](int64_t key, auto part) __attribute__((always_inline)) {
    Vec::F value[Vectors];
    values.value(key).template load<decltype(part)::size>(key * stride, value);
#pragma GCC unroll 6
    for (int row = 0; row < Rows; ++row) {
      const Vec::F weight = Vec::set1(weights[row * kScoreStride + key]);
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) sum[row][v] = Vec::fma(weight, value[v], sum[row][v]);
    }
  };
  if constexpr (Numbers::together == 1) {
    for (int64_t key = first; key < end; ++key) step(key, SizeTag<0>{});
  } else {
    int64_t key = first;
    if (key < end && key % 2 == 1) step(key++, SizeTag<1>{});
    for (; key + 2 <= end; key += 2) {
      step(key, SizeTag<0>{});
      step(key + 1, SizeTag<1>{});
    }
    if (key < end) step(key, SizeTag<0>{});
  }
#pragma GCC unroll 6
  for (int row = 0; row < Rows; ++row) {
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) Vec::store(sums + row * stride + v * Vec::lanes, sum[row][v]);
  }
}

/// The same over all columns (stride of them, a multiple of kHeadDimMultiple), for up to kValueRows rows.
template <class Numbers>
inline void add_values(const float* weights, const Numbers& values, int64_t stride, int64_t first, int64_t end,
                       int64_t rows, float* sums) {
  with_size<kValueRows>(rows, [=](auto tag) {
    constexpr int kRows = decltype(tag)::size, kVectors = vectors_beside(kRows, kValueVectors);
    constexpr int64_t kColumns = kVectors * Vec::lanes;
    int64_t column = 0;
    for (; column + kColumns <= stride; column += kColumns) {
      value_block<kRows, kVectors>(weights, values.columns(column), stride, first, end, sums + column);
    }
    if constexpr (kColumns > kHeadDimMultiple) {
      if (column < stride) {
        with_size<kVectors - 1>((stride - column) / Vec::lanes, [=](auto rest) {
          value_block<kRows, decltype(rest)::size>(weights, values.columns(column), stride, first, end, sums + column);
        });
      }
    }
  });
}

}  // namespace
}  // namespace octoformer
