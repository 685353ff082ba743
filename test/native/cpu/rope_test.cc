#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "cpu/cpu_backend.h"
#include "cpu/isa.h"
#include "reference/random.h"
#include "reference/rows.h"
#include "reference/strided.h"

namespace octoformer {
namespace {

using reference::Random;
using reference::Strided;

struct Case {
  int64_t tokens, heads, head_dim, rotary_dim;
};

// All of a head, the first part of it (GPT-J, Phi), pairs that fill no vector.
const Case kCases[] = {{1, 1, 2, 2},   {3, 2, 12, 12}, {5, 9, 64, 64},  {2, 3, 80, 32},
                       {7, 1, 22, 14}, {0, 4, 16, 16}, {60, 8, 96, 96}, {3, 2, 256, 64}};

std::vector<float> angles(const Case& c) {
  std::vector<float> table;
  for (int64_t token = 0; token < c.tokens; ++token) {
    for (const bool sine : {false, true}) {
      for (int64_t i = 0; i < c.rotary_dim / 2; ++i) {
        const double angle = static_cast<double>(token + 5) *
                             std::pow(10000.0, -2.0 * static_cast<double>(i) / static_cast<double>(c.rotary_dim));
        table.push_back(static_cast<float>(sine ? std::sin(angle) : std::cos(angle)));
      }
    }
  }
  return table;
}

std::vector<float> run(Isa isa, int threads, const Case& c, RopePairing pairing, const std::vector<float>& x,
                       const std::vector<float>& table) {
  Strided matrix(c.tokens, c.heads * c.head_dim, x), angle(c.tokens, c.rotary_dim, table, 1);
  make_cpu_backend({.threads = threads, .isa = std::string(isa_name(isa))})
      ->rope({.x = matrix.view(),
              .table = angle.view(),
              .heads = c.heads,
              .head_dim = c.head_dim,
              .rotary_dim = c.rotary_dim,
              .pairing = pairing});
  EXPECT_TRUE(matrix.gaps_untouched());
  return matrix.values();
}

TEST(Rope, RotatesPairsAndLeavesTheRest) {
  for (const Isa isa : available_isas()) {
    for (const Case& c : kCases) {
      for (const RopePairing pairing : {RopePairing::half, RopePairing::adjacent}) {
        SCOPED_TRACE(std::string(isa_name(isa)) + " head_dim " + std::to_string(c.head_dim));
        Random random(29);
        const int64_t columns = c.heads * c.head_dim;
        const std::vector<float> x = random.vector(c.tokens * columns), table = angles(c);
        const std::vector<float> out = run(isa, 1, c, pairing, x, table);
        for (int64_t token = 0; token < c.tokens; ++token) {
          const std::vector<double> exact =
              reference::rope(pairing, x.data() + token * columns, table.data() + token * c.rotary_dim, c.heads,
                              c.head_dim, c.rotary_dim);
          for (int64_t i = 0; i < columns; ++i) {
            const size_t at = static_cast<size_t>(token * columns + i);
            // Two products below 1 and their sum: three roundings of at most 2^-24 each.
            ASSERT_NEAR(out[at], exact[static_cast<size_t>(i)], 3 * 0x1p-24);
            if (i % c.head_dim >= c.rotary_dim) {
              ASSERT_EQ(out[at], x[at]) << "beyond rotary_dim";
            }
          }
        }
        EXPECT_EQ(run(isa, 3, c, pairing, x, table), out) << "threads";
      }
    }
  }
}

TEST(Rope, EveryIsaGivesTheSameBits) {
  // No fused operations, no reductions: nothing may differ.
  const Case c = kCases[3];
  Random random(31);
  const std::vector<float> x = random.vector(c.tokens * c.heads * c.head_dim), table = angles(c);
  for (const RopePairing pairing : {RopePairing::half, RopePairing::adjacent}) {
    const std::vector<float> expected = run(Isa::scalar, 1, c, pairing, x, table);
    for (const Isa isa : available_isas()) EXPECT_EQ(run(isa, 1, c, pairing, x, table), expected) << isa_name(isa);
  }
}

}  // namespace
}  // namespace octoformer
