// Plain C++ of the matrix products, to compare kernels with.
#pragma once
#include <cmath>
#include <cstdint>
#include <vector>

#include "backend/half.h"
#include "reference/random.h"

namespace octoformer::reference {

/// Row-major [rows, columns].
struct Matrix {
  int64_t rows = 0, columns = 0;
  std::vector<float> values;

  Matrix() = default;
  Matrix(int64_t rows_, int64_t columns_)
      : rows(rows_), columns(columns_), values(static_cast<size_t>(rows_ * columns_)) {}
  float& at(int64_t row, int64_t column) { return values[static_cast<size_t>(row * columns + column)]; }
  float at(int64_t row, int64_t column) const { return values[static_cast<size_t>(row * columns + column)]; }
};

inline Matrix random_matrix(int64_t rows, int64_t columns, uint64_t seed) {
  Matrix matrix(rows, columns);
  matrix.values = Random(seed).vector(rows * columns);
  return matrix;
}

inline Matrix rounded_to_bfloat16(Matrix matrix) {
  for (float& value : matrix.values) value = bfloat16_to_float(float_to_bfloat16(value));
  return matrix;
}

inline Matrix rounded_to_float16(Matrix matrix) {
  for (float& value : matrix.values) value = float16_to_float(float_to_float16(value));
  return matrix;
}

/// A [M, K] x W [N, K]^T as the float32 kernels promise it: one chain of fused multiply-adds over k from 0.
inline Matrix multiply_in_chain(const Matrix& a, const Matrix& w) {
  Matrix out(a.rows, w.rows);
  for (int64_t m = 0; m < a.rows; ++m) {
    for (int64_t n = 0; n < w.rows; ++n) {
      float sum = 0.0f;
      for (int64_t k = 0; k < a.columns; ++k) sum = std::fma(a.at(m, k), w.at(n, k), sum);
      out.at(m, n) = sum;
    }
  }
  return out;
}

/// The same in double, and the sum of |a| |w| that error bounds are multiples of.
struct ExactSum {
  double sum = 0, magnitudes = 0;
};
inline ExactSum exact_sum(const Matrix& a, int64_t m, const Matrix& w, int64_t n) {
  ExactSum result;
  for (int64_t k = 0; k < a.columns; ++k) {
    const double product = static_cast<double>(a.at(m, k)) * static_cast<double>(w.at(n, k));
    result.sum += product;
    result.magnitudes += std::fabs(product);
  }
  return result;
}

}  // namespace octoformer::reference
