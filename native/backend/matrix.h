// Row-major views. Everything that flows between ops is float32 with one row a token (or a sequence, or a logits row);
// a slice of columns is a view with the stride of the whole.
#pragma once
#include <cstdint>

namespace octoformer {

struct MatrixView {
  float* data = nullptr;
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t stride = 0;  // floats from one row to the next, >= columns

  float* row(int64_t index) const { return data + index * stride; }
};

struct ConstMatrixView {
  const float* data = nullptr;
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t stride = 0;

  ConstMatrixView() = default;
  ConstMatrixView(const float* data_, int64_t rows_, int64_t columns_, int64_t stride_)
      : data(data_), rows(rows_), columns(columns_), stride(stride_) {}
  ConstMatrixView(const MatrixView& view)  // NOLINT: a writable view reads as a constant one
      : data(view.data), rows(view.rows), columns(view.columns), stride(view.stride) {}

  const float* row(int64_t index) const { return data + index * stride; }
};

}  // namespace octoformer
