// AMX tile operations, as the instructions or, where OCTOFORMER_EMULATE_TILES is defined, as plain C++ with the same
// bits, so that the kernels' logic is tested on every machine and under sanitizers.
//
// Macros, since gcc pastes the number of a tile into the instruction's text.
//   TILE_LOAD(tile, from, stride), TILE_STORE: strides in bytes from a row to the next
//   TILE_MULTIPLY_BFLOAT16(sums, a, b): sums [rows, n] += a [rows, 2 d] x b [d, n, 2], pairs of bfloat16
//   TILE_MULTIPLY_UINT8_INT8(sums, a, b): sums [rows, n] += a [rows, 4 d] x b [d, n, 4], four bytes of each
#pragma once
#include <stddef.h>
#include <stdint.h>

#define OCTOFORMER_TILES 1

// gcc does not know that loading a tile reads memory: where it could tell what was stored before, it has to be told not
// to move that.
#define LET_TILES_SEE_MEMORY() __asm__ volatile("" : : : "memory")

#if !defined(OCTOFORMER_EMULATE_TILES)
#include <immintrin.h>
#endif

namespace octoformer {
namespace {

/// The operand of ldtilecfg (palette 1): eight tiles of up to 16 rows of 64 bytes.
struct alignas(64) TileConfiguration {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};
static_assert(sizeof(TileConfiguration) == 64, "ldtilecfg reads 64 bytes");

#if !defined(OCTOFORMER_EMULATE_TILES)

// gcc believes that the instruction reads 8 bytes: tell it of all of them.
#define TILE_CONFIGURE(configuration)            \
  do {                                           \
    __asm__ volatile("" : : "m"(configuration)); \
    _tile_loadconfig(&(configuration));          \
  } while (false)
#define TILE_RELEASE() _tile_release()
#define TILE_ZERO(tile) _tile_zero(tile)
#define TILE_LOAD(tile, from, stride) _tile_loadd(tile, from, stride)
#define TILE_STORE(tile, to, stride) _tile_stored(tile, to, stride)
#define TILE_MULTIPLY_BFLOAT16(sums, a, b) _tile_dpbf16ps(sums, a, b)
#define TILE_MULTIPLY_UINT8_INT8(sums, a, b) _tile_dpbusd(sums, a, b)

#else

/// Traps where the processor would fault: a tile that is not configured, shapes that do not fit each other.
struct EmulatedTiles {
  struct State {
    TileConfiguration configuration;
    uint8_t tile[8][16][64];
    bool configured;
  };
  static State& state() {
    static thread_local State state = {};
    return state;
  }
  static void require(bool condition) {
    if (!condition) __builtin_trap();
  }
  static void configure(const TileConfiguration& configuration) {
    require(configuration.palette == 1);
    for (int i = 0; i < 16; ++i) {
      require(configuration.rows[i] <= 16 && configuration.row_bytes[i] <= 64);
      require(i < 8 || (configuration.rows[i] == 0 && configuration.row_bytes[i] == 0));
    }
    state().configuration = configuration;
    state().configured = true;
    __builtin_memset(state().tile, 0, sizeof state().tile);
  }
  static void release() { state().configured = false; }
  static int rows(int tile) { return state().configuration.rows[tile]; }
  static int row_bytes(int tile) { return state().configuration.row_bytes[tile]; }
  static void require_tile(int tile) { require(state().configured && rows(tile) > 0 && row_bytes(tile) > 0); }
  static void zero(int tile) {
    require_tile(tile);
    __builtin_memset(state().tile[tile], 0, sizeof state().tile[tile]);
  }
  static void load(int tile, const void* from, int64_t stride) {
    zero(tile);
    for (int r = 0; r < rows(tile); ++r) {
      __builtin_memcpy(state().tile[tile][r], static_cast<const uint8_t*>(from) + r * stride, row_bytes(tile));
    }
  }
  static void store(int tile, void* to, int64_t stride) {
    require_tile(tile);
    for (int r = 0; r < rows(tile); ++r) {
      __builtin_memcpy(static_cast<uint8_t*>(to) + r * stride, state().tile[tile][r], row_bytes(tile));
    }
  }
  template <class T>
  static T element(int tile, int row, int index) {
    T value;
    __builtin_memcpy(&value, &state().tile[tile][row][index * sizeof(T)], sizeof value);
    return value;
  }
  /// Denormals are zeros, as inputs and as results.
  static float flush(float x) { return __builtin_fabsf(x) < 0x1p-126f ? __builtin_copysignf(0.0f, x) : x; }
  static float widen(uint16_t half) {
    const uint32_t bits = static_cast<uint32_t>(half) << 16;
    float value;
    __builtin_memcpy(&value, &bits, sizeof value);
    return flush(value);
  }
  static void require_product(int sums, int a, int b) {
    require_tile(sums), require_tile(a), require_tile(b);
    require(sums != a && sums != b && a != b);
    require(rows(sums) == rows(a) && row_bytes(sums) == row_bytes(b) && row_bytes(a) == 4 * rows(b));
  }
  static void multiply_uint8_int8(int sums, int a, int b) {
    require_product(sums, a, b);
    for (int m = 0; m < rows(sums); ++m) {
      for (int n = 0; n < row_bytes(sums) / 4; ++n) {
        uint32_t sum = element<uint32_t>(sums, m, n);  // wraps, as the instruction's
        for (int k = 0; k < row_bytes(a); ++k) {
          sum += static_cast<uint32_t>(element<uint8_t>(a, m, k) * element<int8_t>(b, k / 4, 4 * n + k % 4));
        }
        __builtin_memcpy(&state().tile[sums][m][n * sizeof sum], &sum, sizeof sum);
      }
    }
  }
  /// The first and the second products of pairs are summed apart from 0 by fused multiply-adds (nearest even), then
  /// both sums are added, then the sum is (compared with the instruction on hardware).
  static void multiply_bfloat16(int sums, int a, int b) {
    require_product(sums, a, b);
    for (int m = 0; m < rows(sums); ++m) {
      for (int n = 0; n < row_bytes(sums) / 4; ++n) {
        float part[2] = {0.0f, 0.0f};
        for (int pair = 0; pair < rows(b); ++pair) {
          for (int i = 0; i < 2; ++i) {
            const float left = widen(element<uint16_t>(a, m, 2 * pair + i));
            const float right = widen(element<uint16_t>(b, pair, 2 * n + i));
            part[i] = flush(__builtin_fmaf(left, right, part[i]));
          }
        }
        const float sum = flush(flush(element<float>(sums, m, n)) + flush(part[0] + part[1]));
        __builtin_memcpy(&state().tile[sums][m][n * sizeof sum], &sum, sizeof sum);
      }
    }
  }
};

#define TILE_CONFIGURE(configuration) EmulatedTiles::configure(configuration)
#define TILE_RELEASE() EmulatedTiles::release()
#define TILE_ZERO(tile) EmulatedTiles::zero(tile)
#define TILE_LOAD(tile, from, stride) EmulatedTiles::load(tile, from, stride)
#define TILE_STORE(tile, to, stride) EmulatedTiles::store(tile, to, stride)
#define TILE_MULTIPLY_BFLOAT16(sums, a, b) EmulatedTiles::multiply_bfloat16(sums, a, b)
#define TILE_MULTIPLY_UINT8_INT8(sums, a, b) EmulatedTiles::multiply_uint8_int8(sums, a, b)

#endif

}  // namespace
}  // namespace octoformer
