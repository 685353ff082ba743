// A row of an embedding table, widened.
#pragma once
#include <stdint.h>

#include "cpu/gemm_int8_kernels.h"

namespace octoformer {
namespace {

/// `load(p)`: the vector of numbers at p.
template <class Number, class Load>
inline void add_table_row(const Number* row, int64_t count, float scale, bool accumulate, float* out,
                          const Load& load) {
  const Vec::F by = Vec::set1(scale);
  int64_t i = 0;
  for (; i + Vec::lanes <= count; i += Vec::lanes) {
    const Vec::F value = Vec::mul(load(row + i), by);
    Vec::store(out + i, accumulate ? Vec::add(Vec::load(out + i), value) : value);
  }
  if (const int64_t left = count - i; left > 0) {
    Number rest[Vec::lanes] = {};
    for (int64_t lane = 0; lane < left; ++lane) rest[lane] = row[i + lane];
    const Vec::F value = Vec::mul(load(rest), by);
    Vec::store_n(out + i, accumulate ? Vec::add(Vec::load_n(out + i, left), value) : value, left);
  }
}

void float32_table_row(const float* row, int64_t count, float scale, bool accumulate, float* out) {
  add_table_row(row, count, scale, accumulate, out, [](const float* p) { return Vec::load(p); });
}
void bfloat16_table_row(const uint16_t* row, int64_t count, float scale, bool accumulate, float* out) {
  add_table_row(row, count, scale, accumulate, out, [](const uint16_t* p) { return Vec::load_bfloat16(p); });
}
void float16_table_row(const uint16_t* row, int64_t count, float scale, bool accumulate, float* out) {
  add_table_row(row, count, scale, accumulate, out, [](const uint16_t* p) { return Vec::load_float16(p); });
}

void int8_table_row(const Int8TableRow& row, int64_t count, float* out) {
  const IntVec::I zero = IntVec::set1(row.zero_point);
  const Vec::F by = Vec::set1(row.weight_scale);
  add_table_row(row.values, count, row.scale, row.accumulate, out, [=](const int8_t* p) {
    return Vec::mul(IntVec::to_float(IntVec::sub(IntVec::load_bytes(p), zero)), by);
  });
}

}  // namespace
}  // namespace octoformer
