#include "peak.h"

#include PEAK_VEC

#include PEAK_INT8

#if defined(PEAK_UNIT)
#include PEAK_UNIT
#endif
#if defined(PEAK_TILES)
#include PEAK_TILES
#endif

namespace octoformer {
namespace {

/// Latency 4 or 5 times two units: 10 chains at least; 12 leave registers of 16 for the operands.
constexpr int kChains = 12;

double peak_float32(int64_t rounds) {
  // Unknown to the compiler, and different for each chain: equal chains would become one.
  volatile float memory[2] = {1.0f, 0.0f};
  const Vec::F factor = Vec::set1(memory[0]), addend = Vec::set1(memory[1]);
  Vec::F sum[kChains];
#pragma GCC unroll 16
  for (int c = 0; c < kChains; ++c) sum[c] = Vec::set1(memory[0] + static_cast<float>(c));
  for (int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 16
    for (int c = 0; c < kChains; ++c) sum[c] = Vec::fma(sum[c], factor, addend);
  }
  Vec::F total = Vec::zero();
#pragma GCC unroll 16
  for (int c = 0; c < kChains; ++c) total = Vec::add(total, sum[c]);
  memory[0] = Vec::reduce_add(total);
  return static_cast<double>(rounds) * kChains * Vec::lanes;
}

#if defined(PEAK_TILES)

double peak_bfloat16(int64_t rounds) {
  TileConfiguration configuration;
  for (int tile = 0; tile < 8; ++tile) {
    configuration.rows[tile] = 16;
    configuration.row_bytes[tile] = 64;
  }
  TILE_CONFIGURE(configuration);
  TILE_ZERO(0);
  TILE_ZERO(1);
  TILE_ZERO(2);
  TILE_ZERO(3);
  TILE_ZERO(4);
  TILE_ZERO(5);
  TILE_ZERO(6);
  TILE_ZERO(7);
  for (int64_t i = 0; i < rounds; ++i) {
    TILE_MULTIPLY_BFLOAT16(0, 4, 6);
    TILE_MULTIPLY_BFLOAT16(1, 4, 7);
    TILE_MULTIPLY_BFLOAT16(2, 5, 6);
    TILE_MULTIPLY_BFLOAT16(3, 5, 7);
  }
  alignas(64) float result[16 * 16];
  TILE_STORE(0, result, 64);
  TILE_RELEASE();
  volatile float sink = result[0];
  (void)sink;
  return static_cast<double>(rounds) * 4 * 16 * 16 * 32;
}

#elif defined(PEAK_UNIT)

double peak_bfloat16(int64_t rounds) {
  const uint16_t one[2 * Vec::lanes] = {0x3f80};
  volatile float memory = 1.0f;
  Vec::F sum[kChains];
#pragma GCC unroll 16
  for (int c = 0; c < kChains; ++c) sum[c] = Vec::set1(memory + static_cast<float>(c));
  Bfloat16Unit::Pairs a = Bfloat16Unit::load(one), b = Bfloat16Unit::broadcast(one);
  for (int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 16
    for (int c = 0; c < kChains; ++c) sum[c] = Bfloat16Unit::accumulate(a, b, sum[c]);
  }
  Vec::F total = Vec::zero();
#pragma GCC unroll 16
  for (int c = 0; c < kChains; ++c) total = Vec::add(total, sum[c]);
  volatile float sink = Vec::reduce_add(total);
  (void)sink;
  return static_cast<double>(rounds) * kChains * Vec::lanes * 2;
}

#endif

#if defined(PEAK_TILES)

double peak_int8(int64_t rounds) {
  TileConfiguration configuration;
  for (int tile = 0; tile < 8; ++tile) {
    configuration.rows[tile] = 16;
    configuration.row_bytes[tile] = 64;
  }
  TILE_CONFIGURE(configuration);
  for (int64_t i = 0; i < rounds; ++i) {
    TILE_MULTIPLY_UINT8_INT8(0, 4, 6);
    TILE_MULTIPLY_UINT8_INT8(1, 4, 7);
    TILE_MULTIPLY_UINT8_INT8(2, 5, 6);
    TILE_MULTIPLY_UINT8_INT8(3, 5, 7);
  }
  alignas(64) int32_t result[16 * 16];
  TILE_STORE(0, result, 64);
  TILE_RELEASE();
  volatile int32_t sink = result[0];
  (void)sink;
  return static_cast<double>(rounds) * 4 * 16 * 16 * 64;
}

#else

double peak_int8(int64_t rounds) {
  int8_t weights[4 * Vec::lanes] = {1};
  uint8_t activation[4] = {1};
  __asm__ volatile("" : : "r"(weights), "r"(activation) : "memory");  // unknown to the compiler
  const Int8Unit::Weights w = Int8Unit::load(weights);
  const Int8Unit::Activation a = Int8Unit::broadcast(activation);
  Int8Unit::Sum sum[kChains];
  int32_t start[Vec::lanes];
#pragma GCC unroll 16
  for (int c = 0; c < kChains; ++c) {
    sum[c] = Int8Unit::zero();
    for (int repeat = 0; repeat <= c; ++repeat) sum[c] = Int8Unit::accumulate(a, w, sum[c]);  // no two chains are equal
  }
  for (int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 16
    for (int c = 0; c < kChains; ++c) sum[c] = Int8Unit::accumulate(a, w, sum[c]);
  }
  IntVec::I total = IntVec::set1(0);
#pragma GCC unroll 16
  for (int c = 0; c < kChains; ++c) total = IntVec::add(total, Int8Unit::total(sum[c]));
  IntVec::store(start, total);
  volatile int32_t sink = start[0];
  (void)sink;
  return static_cast<double>(rounds) * kChains * Vec::lanes * 4;
}

#endif

/// Whole cache lines, of four runs at a time: a core gets up to a quarter more of them than of one.
float read_all(const float* values, int64_t count) {
  constexpr int kRuns = 4, kLine = 16, kVectors = kLine / Vec::lanes;
  const int64_t run = count / kRuns / kLine * kLine;
  Vec::F sum[kRuns][kVectors];
#pragma GCC unroll 4
  for (int r = 0; r < kRuns; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) sum[r][v] = Vec::zero();
  }
  for (int64_t i = 0; i < run; i += kLine) {
#pragma GCC unroll 4
    for (int r = 0; r < kRuns; ++r) {
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) {
        sum[r][v] = Vec::add(sum[r][v], Vec::load(values + r * run + i + v * Vec::lanes));
      }
    }
  }
  Vec::F total = Vec::zero();
#pragma GCC unroll 4
  for (int r = 0; r < kRuns; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) total = Vec::add(total, sum[r][v]);
  }
  return Vec::reduce_add(total);
}

}  // namespace

#if defined(PEAK_UNIT)
const PeakKernels PEAK_KERNELS = {peak_float32, peak_bfloat16, peak_int8, read_all};
#else
const PeakKernels PEAK_KERNELS = {peak_float32, nullptr, peak_int8, read_all};
#endif

}  // namespace octoformer
