// The one epilogue of every matrix product: finished sums become output, each value once through registers.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "cpu/gemm_kernels.h"
#include "cpu/kernels/activation.h"

namespace octoformer {
namespace {

/// The first `lanes_left` lanes at most (any number of them: none, or more than there are).
inline int64_t lanes_of(int64_t lanes_left) {
  return lanes_left < 0 ? 0 : lanes_left < Vec::lanes ? lanes_left : Vec::lanes;
}

/// Which columns rows end in, and whether a residual is added: a loop for each, as what one of them needs would push
/// what stays the same for all rows out of the registers of the others.
enum class RowsEnd { whole, whole_with_residual, part };

/// Rows of `columns` columns, at most `Vectors` vectors of them: out = sums + bias + residual. `sums(r)` gives what
/// stands for row r: a function of the number of a vector. A missing residual (null) is not added at all.
template <RowsEnd End, int Vectors, class Sums>
[[gnu::always_inline]] inline void write_rows(const Sums& sums, const Vec::F (&bias)[Vectors], int64_t rows,
                                              int64_t columns, const float* residual, int64_t residual_stride,
                                              float* out, int64_t out_stride) {
#pragma GCC unroll 1
  for (int64_t r = 0; r < rows; ++r, out += out_stride) {
    const auto row_sums = sums(r);
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v) {
      Vec::F x = Vec::add(row_sums(v), bias[v]);
      const int64_t i = v * Vec::lanes;
      if constexpr (End == RowsEnd::part) {
        if (residual != nullptr) x = Vec::add(x, Vec::load_n(residual + i, lanes_of(columns - i)));
        Vec::store_n(out + i, x, lanes_of(columns - i));
      } else {
        if constexpr (End == RowsEnd::whole_with_residual) x = Vec::add(x, Vec::load(residual + i));
        Vec::store(out + i, x);
      }
    }
    if (End != RowsEnd::whole && residual != nullptr) residual += residual_stride;
  }
}

/// `x` [rows], `stride` floats from row to row and filled up to whole vectors, become activation(x) + residual in rows
/// [row, row + rows) and columns [column, column + columns).
[[gnu::noinline]] inline void activate_rows(const GemmEpilogue& epilogue, const float* x, int64_t stride, int64_t row,
                                            int64_t rows, int64_t column, int64_t columns) {
  with_activation(epilogue.activation, [&](auto tag) {
    constexpr Activation kind = decltype(tag)::kind;
    for (int64_t r = 0; r < rows; ++r) {
      const float* from = x + r * stride;
      const float* residual =
          epilogue.residual != nullptr ? epilogue.residual + (row + r) * epilogue.residual_stride + column : nullptr;
      float* out = epilogue.out + (row + r) * epilogue.out_stride + column;
      int64_t i = 0;
      for (; i + Vec::lanes <= columns; i += Vec::lanes) {
        Vec::F value = activate<kind>(Vec::load(from + i));
        if (residual != nullptr) value = Vec::add(value, Vec::load(residual + i));
        Vec::store(out + i, value);
      }
      if (i < columns) {
        Vec::F value = activate<kind>(Vec::load(from + i));
        if (residual != nullptr) value = Vec::add(value, Vec::load_n(residual + i, columns - i));
        Vec::store_n(out + i, value, columns - i);
      }
    }
  });
}

/// Rows that are finished at a time.
constexpr int64_t kFinishedRows = 16;

/// Rows [row, row + rows), at most kFinishedRows, of the columns [column, column + columns) become output: those of the
/// first `Vectors` vectors. A missing bias is -0, which changes nothing: -0 stays -0. What is the same for all rows is
/// read once. Activations would push it out of the registers with their constants: they have a pass of their own.
template <int Vectors, class Sums>
[[gnu::always_inline]] inline void finish_rows(const GemmEpilogue& epilogue, int64_t row, int64_t rows, int64_t column,
                                               int64_t columns, const Sums& sums) {
  constexpr int kWidth = Vectors * Vec::lanes;
  Vec::F bias[Vectors];
#pragma GCC unroll 8
  for (int v = 0; v < Vectors; ++v) {
    bias[v] = Vec::set1(-0.0f);
    const int64_t i = v * Vec::lanes;
    if (epilogue.bias != nullptr) bias[v] = Vec::load_n(epilogue.bias + column + i, lanes_of(columns - i));
  }
  alignas(64) float held[kFinishedRows * kWidth];
  const bool activates = epilogue.activation != Activation::identity;
  float* out = activates ? held : epilogue.out + row * epilogue.out_stride + column;
  const int64_t out_stride = activates ? kWidth : epilogue.out_stride;
  const float* residual =
      activates || epilogue.residual == nullptr ? nullptr : epilogue.residual + row * epilogue.residual_stride + column;
  if (columns < kWidth && !activates) {
    write_rows<RowsEnd::part>(sums, bias, rows, columns, residual, epilogue.residual_stride, out, out_stride);
  } else if (residual != nullptr) {
    write_rows<RowsEnd::whole_with_residual>(sums, bias, rows, columns, residual, epilogue.residual_stride, out,
                                             out_stride);
  } else {
    write_rows<RowsEnd::whole>(sums, bias, rows, columns, nullptr, 0, out, out_stride);
  }
  if (activates) activate_rows(epilogue, held, kWidth, row, rows, column, columns < kWidth ? columns : kWidth);
}

/// What PlainRows end in: at most one of an activation and a residual.
template <Activation Kind, bool Residual>
struct PlainEnding {
  static constexpr Activation kind = Kind;
  static constexpr bool residual = Residual;
};

/// Activations between two layers, in few instructions.
inline bool has_plain_ending(const GemmEpilogue& epilogue) {
  switch (epilogue.activation) {
    case Activation::identity:
      return true;
    case Activation::relu:
    case Activation::silu:
    case Activation::gelu:
    case Activation::gelu_tanh:
      return epilogue.residual == nullptr;
    default:
      return false;
  }
}

/// Calls body(PlainEnding) where has_plain_ending().
template <class Body>
inline void with_plain_ending(const GemmEpilogue& epilogue, const Body& body) {
  switch (epilogue.activation) {
    case Activation::relu:
      return body(PlainEnding<Activation::relu, false>{});
    case Activation::silu:
      return body(PlainEnding<Activation::silu, false>{});
    case Activation::gelu:
      return body(PlainEnding<Activation::gelu, false>{});
    case Activation::gelu_tanh:
      return body(PlainEnding<Activation::gelu_tanh, false>{});
    default:
      if (epilogue.residual != nullptr) return body(PlainEnding<Activation::identity, true>{});
      return body(PlainEnding<Activation::identity, false>{});
  }
}

/// The same for whole panels with a plain ending, a row after another: few enough instructions and registers to go
/// between the products of the next sums. Meanwhile the lines that results of a later block go to are fetched (each row
/// is two cache lines on a page of its own, out of reach of the processor's prefetching).
template <int Panel>
struct PlainRows {
  static constexpr int kVectors = Panel / Vec::lanes;
  Vec::F bias[kVectors];
  const float* residual;  // of the next row; null: none
  float* out;             // of the next row
  int64_t residual_stride, out_stride;
  int64_t ahead;  // from a result to the one to fetch

  /// From `row` on; results of the later block begin at `next_row` and `next_column`.
  PlainRows(const GemmEpilogue& epilogue, int64_t row, int64_t column, int64_t next_row, int64_t next_column)
      : residual(epilogue.residual != nullptr ? epilogue.residual + row * epilogue.residual_stride + column : nullptr),
        out(epilogue.out + row * epilogue.out_stride + column),
        residual_stride(epilogue.residual_stride),
        out_stride(epilogue.out_stride),
        ahead((next_row - row) * out_stride + next_column - column) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      bias[v] = epilogue.bias != nullptr ? Vec::load(epilogue.bias + column + v * Vec::lanes) : Vec::set1(-0.0f);
    }
  }
  static bool fits(const GemmEpilogue& epilogue, int64_t columns) {
    return has_plain_ending(epilogue) && columns >= Panel;
  }
  /// `sums(v)`: vector v of the row's sums.
  template <class Ending, class Sums>
  [[gnu::always_inline]] void write_row(const Sums& sums) {
    __builtin_prefetch(out + ahead, 1, 2);
    __builtin_prefetch(out + ahead + Panel / 2, 1, 2);
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      Vec::F x = activate<Ending::kind>(Vec::add(sums(v), bias[v]));
      if constexpr (Ending::residual) x = Vec::add(x, Vec::load(residual + v * Vec::lanes));
      Vec::store(out + v * Vec::lanes, x);
    }
    out += out_stride;
    if constexpr (Ending::residual) residual += residual_stride;
  }
};

/// `sums` [rows, Panel] with `sums_stride` floats from row to row are those of rows [row, row + rows) and of the panel
/// that begins at `column`, of which there are `columns`.
template <int Panel>
[[gnu::noinline]] void finish_tile(const GemmEpilogue& epilogue, const float* sums, int64_t sums_stride, int64_t row,
                                   int64_t rows, int64_t column, int64_t columns) {
  constexpr int kVectors = Panel / Vec::lanes;
  finish_rows<kVectors>(epilogue, row, rows, column, columns, [&](int64_t r) {
    return [sum = sums + r * sums_stride](int v) { return Vec::load(sum + v * Vec::lanes); };
  });
}

}  // namespace
}  // namespace octoformer
