// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014) as a function of a
// counter: draw n depends on the seed and n only, so a generation can be repeated from any point.
#pragma once
#include <cstdint>

namespace octoformer {

inline constexpr uint64_t kGoldenGamma = 0x9e3779b97f4a7c15u;

/// The finalizer of SplitMix64: a bijection of 64 bits.
constexpr uint64_t split_mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

/// Draw number `counter` of `seed`: uniform in [0, 1), a multiple of 2^-53. The seed is mixed first, so that
/// neighbouring seeds don't give shifted copies of one stream.
constexpr double uniform_draw(uint64_t seed, uint64_t counter) {
  const uint64_t start = split_mix(seed + kGoldenGamma);
  return static_cast<double>(split_mix(start + (counter + 1) * kGoldenGamma) >> 11) * 0x1p-53;
}

}  // namespace octoformer
