// What attention uses of AVX512_BF16, for tests on every machine. Included after vec_scalar.h.
#pragma once
#include <cstdint>

#include "backend/half.h"

namespace octoformer {
namespace {

/// One lane wide.
struct Bfloat16Unit {
  struct Pairs {
    uint16_t number[2];
  };
  static Pairs load(const uint16_t* p) { return broadcast(p); }
  static Pairs broadcast(const uint16_t* p) { return {{p[0], p[1]}}; }
  static Pairs narrow(float first, float second) { return {{float_to_bfloat16(first), float_to_bfloat16(second)}}; }
  static void store(uint16_t* p, Pairs a) { __builtin_memcpy(p, a.number, sizeof a.number); }
  static float accumulate(Pairs a, Pairs b, float sum) {
    const auto product = [&](int i) { return bfloat16_to_float(a.number[i]) * bfloat16_to_float(b.number[i]); };
    return sum + product(1) + product(0);
  }
  static void reduce_max(const float (&rows)[4], float* out) { __builtin_memcpy(out, rows, sizeof rows); }
  static void reduce_add(const float (&rows)[4], float* out) { __builtin_memcpy(out, rows, sizeof rows); }
  static float fraction(float x) { return __builtin_isinf(x) ? 0.0f : x - __builtin_floorf(x); }
  static float times_power_of_floor(float a, float x) {
    return x != x ? x : x < -1000.0f ? 0.0f : __builtin_ldexpf(a, static_cast<int>(__builtin_floorf(x)));
  }
};

}  // namespace
}  // namespace octoformer
