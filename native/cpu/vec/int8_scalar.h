// int32 lanes beside Vec's float32 ones, and the dot products of four bytes: plain C++. Every ISA has exactly these
// members.
//
// An Int8Unit keeps Vec::lanes sums of products of activations (as stored: Int8Kernel::flip) and weights, four k a
// step. Its Sum may hold them in parts; total() adds those up.
#pragma once
#include <stddef.h>
#include <stdint.h>

namespace octoformer {
namespace {

struct IntVec {
  using I = int32_t;
  static inline I set1(int32_t x) { return x; }
  static inline I load(const int32_t* p) { return *p; }
  static inline void store(int32_t* p, I a) { *p = a; }
  /// Modulo 2^32, as every ISA's.
  static inline I add(I a, I b) { return static_cast<int32_t>(static_cast<uint32_t>(a) + static_cast<uint32_t>(b)); }
  static inline I sub(I a, I b) { return static_cast<int32_t>(static_cast<uint32_t>(a) - static_cast<uint32_t>(b)); }
  static inline I mul(I a, I b) { return static_cast<int32_t>(static_cast<uint32_t>(a) * static_cast<uint32_t>(b)); }
  static inline I times_256(I a) { return static_cast<int32_t>(static_cast<uint32_t>(a) << 8); }
  static inline Vec::F to_float(I a) { return static_cast<float>(a); }
  /// Byte `index` of each group of four at p, sign-extended.
  static inline I byte_of_four(const int8_t* p, int index) { return p[index]; }
  /// As many bytes as there are lanes, sign-extended.
  static inline I load_bytes(const int8_t* p) { return *p; }
  /// rint(x) + zero_point of four vectors as bytes, one vector after the other: clamped to [least, 127], xor `flip`.
  /// Any byte where |x| >= 2^31.
  static inline void store_bytes(uint8_t* p, const Vec::F (&x)[4], int32_t zero_point, int32_t least, uint8_t flip) {
    for (int i = 0; i < 4; ++i) {
      const Vec::F bounded = Vec::max(Vec::min(x[i], 1024.0f), -1024.0f);  // what no byte holds, with any zero point
      const int32_t value = static_cast<int32_t>(Vec::round(bounded)) + zero_point;
      p[i] = static_cast<uint8_t>(value < least ? least : value > 127 ? 127 : value) ^ flip;
    }
  }
  /// Bit i: a < b in lane i.
  static inline uint32_t mask_less(Vec::F a, Vec::F b) { return a < b ? 1u : 0u; }
};

struct ScalarInt8Unit {
  static constexpr uint8_t flip = 0x80;
  static constexpr int rows = 2;
  using Sum = int32_t;
  using Weights = const int8_t*;
  using Activation = const uint8_t*;
  static inline Sum zero() { return 0; }
  static inline Weights load(const int8_t* p) { return p; }
  static inline Activation broadcast(const uint8_t* p) { return p; }
  static inline Sum accumulate(Activation a, Weights w, Sum sum) {
    return sum + a[0] * w[0] + a[1] * w[1] + a[2] * w[2] + a[3] * w[3];
  }
  static inline IntVec::I total(Sum sum) { return sum; }
};

using Int8Unit = ScalarInt8Unit;
using GeneralInt8Unit = ScalarInt8Unit;

}  // namespace
}  // namespace octoformer
