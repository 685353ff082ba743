// Look-ups in tables that lie in registers: AVX-512.
#pragma once
#include "cpu/vec/vec_avx512.h"

#define OCTOFORMER_TABLE_UNIT 1

namespace octoformer {
namespace {

struct TableUnit {
  static constexpr int entries = 32;
  /// In each lane the entry whose number the last five bits of the lane of `index` are. `table`: 64-byte aligned.
  static inline Vec::F look_up(const float* table, Vec::F index) {
    return _mm512_permutex2var_ps(_mm512_load_ps(table), _mm512_castps_si512(index), _mm512_load_ps(table + 16));
  }
};

}  // namespace
}  // namespace octoformer
