// A fast hash of bytes, for damage and for names of cached files: no defence against somebody who means harm.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace octoformer {

namespace checksum_detail {

// Odd, with bits spread evenly: the fractional parts of the golden ratio and of the square roots of 2 and 3.
inline constexpr uint64_t kFactor = 0x9e3779b97f4a7c15u;
inline constexpr uint64_t kSeeds[8] = {0x6a09e667f3bcc908u, 0xbb67ae8584caa73bu, 0x3c6ef372fe94f82bu,
                                       0xa54ff53a5f1d36f1u, 0x510e527fade682d1u, 0x9b05688c2b3e6c1fu,
                                       0x1f83d9abfb41bd6bu, 0x5be0cd19137e2179u};

constexpr uint64_t step(uint64_t state, uint64_t word) {
  const uint64_t mixed = (state ^ word) * kFactor;
  return mixed << 31 | mixed >> 33;
}

}  // namespace checksum_detail

/// Each step maps states one to one, so a single changed word always changes the result; anything else goes unnoticed
/// once in 2^64. Eight chains, since each waits for its multiplication: about 10 GB/s, and memory is not faster.
inline uint64_t checksum(std::span<const std::byte> bytes, uint64_t seed = 0) {
  using namespace checksum_detail;
  uint64_t lanes[8];
  for (size_t i = 0; i < 8; ++i) lanes[i] = kSeeds[i] ^ seed;
  const std::byte* at = bytes.data();
  const auto add = [&](const std::byte* stripe) {
    uint64_t words[8];
    std::memcpy(words, stripe, sizeof words);
#pragma GCC unroll 8
    for (size_t i = 0; i < 8; ++i) lanes[i] = step(lanes[i], words[i]);
  };
  size_t left = bytes.size();
  for (; left >= 64; left -= 64, at += 64) add(at);
  if (left > 0) {
    std::byte rest[64] = {};
    std::memcpy(rest, at, left);
    add(rest);
  }
  uint64_t state = step(seed, bytes.size());
  for (const uint64_t lane : lanes) state = step(state, lane);
  state ^= state >> 32;
  return state * kFactor;
}

}  // namespace octoformer
