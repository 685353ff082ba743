// Sums, products and scales of rows.
#pragma once
#include <stdint.h>

#include "cpu/kernels/math.h"
#include "cpu/kernels/row_map.h"

namespace octoformer {
namespace {

void add_row(const float* left, const float* right, float* out, int64_t columns) {
  map_rows(left, right, out, columns, [](Vec::F a, Vec::F b) { return Vec::add(a, b); });
}

void multiply_row(const float* left, const float* right, float* out, int64_t columns) {
  map_rows(left, right, out, columns, [](Vec::F a, Vec::F b) { return Vec::mul(a, b); });
}

void scale_row(const float* input, float factor, float softcap, float* out, int64_t columns) {
  const Vec::F by = Vec::set1(factor);
  if (softcap > 0.0f) {
    const Vec::F cap = Vec::set1(softcap);
    map_row(input, out, columns, [=](Vec::F x) { return soft_cap(Vec::mul(x, by), cap); });
  } else {
    map_row(input, out, columns, [=](Vec::F x) { return Vec::mul(x, by); });
  }
}

void weighted_sum_row(const float* input, const float* weights, int64_t pieces, const float* residual, float* out,
                      int64_t columns) {
  map_columns(out, columns, [=](int64_t i, const auto& load) {
    Vec::F total = Vec::mul(Vec::set1(weights[0]), load(input + i));
    for (int64_t piece = 1; piece < pieces; ++piece) {
      total = Vec::fma(Vec::set1(weights[piece]), load(input + piece * columns + i), total);
    }
    return residual == nullptr ? total : Vec::add(load(residual + i), total);
  });
}

void exp_row(const float* input, float* out, int64_t columns) {
  map_row(input, out, columns, [](Vec::F x) { return exponential(x); });
}

void softmax_exp2_row(const float* input, float* out, int64_t columns) {
  map_row(input, out, columns, [](Vec::F x) { return softmax_exponential2(x); });
}

}  // namespace
}  // namespace octoformer
