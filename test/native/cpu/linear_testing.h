// What the tests of weights and products share.
#pragma once
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "cpu/isa_dispatch.h"
#include "cpu/linear.h"
#include "cpu/packed_weight.h"
#include "reference/gemm.h"

namespace octoformer::testing_linear {

using reference::Matrix;

class MatrixRows final : public RowSource {
 public:
  explicit MatrixRows(const Matrix& matrix) : matrix_(matrix) {}
  void read_rows(int64_t first, int64_t count, float* out) const override {
    if (count == 0 || matrix_.columns == 0) return;
    std::memcpy(out, matrix_.values.data() + first * matrix_.columns,
                static_cast<size_t>(count * matrix_.columns) * sizeof(float));
  }

 private:
  const Matrix& matrix_;
};

inline std::unique_ptr<LinearWeight> pack(const LinearDriver& driver, const Matrix& w, WeightForm form,
                                          ComputeType compute = ComputeType::float32) {
  return driver.pack({"test.weight", w.rows, w.columns, form, compute}, MatrixRows(w), nullptr);
}

inline ConstMatrixView view(const Matrix& matrix) {
  return {matrix.values.data(), matrix.rows, matrix.columns, matrix.columns};
}
inline MatrixView view(Matrix& matrix) { return {matrix.values.data(), matrix.rows, matrix.columns, matrix.columns}; }

inline Matrix multiply(LinearDriver& driver, const Matrix& a, const LinearWeight& weight) {
  Matrix out(a.rows, weight.description().out_features);
  LinearArguments arguments;
  arguments.input = view(a);
  arguments.weight = &weight;
  arguments.out = view(out);
  driver.linear(arguments);
  return out;
}

inline bool same_bits(const Matrix& a, const Matrix& b) {
  return a.rows == b.rows && a.columns == b.columns &&
         (a.values.empty() || std::memcmp(a.values.data(), b.values.data(), a.values.size() * sizeof(float)) == 0);
}

inline Matrix row_of(const Matrix& matrix, int64_t row) {
  Matrix result(1, matrix.columns);
  for (int64_t k = 0; k < matrix.columns; ++k) result.at(0, k) = matrix.at(row, k);
  return result;
}

/// As a test parameter's name.
struct IsaPrinter {
  template <class Info>
  std::string operator()(const Info& info) const {
    return std::string(isa_name(info.param));
  }
};

}  // namespace octoformer::testing_linear
