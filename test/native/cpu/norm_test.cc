#include <gtest/gtest.h>

#include <algorithm>
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

std::unique_ptr<Backend> backend_for(Isa isa, int threads) {
  return make_cpu_backend({.threads = threads, .isa = std::string(isa_name(isa))});
}

struct Case {
  NormKind kind;
  int64_t rows, columns, group;
  bool weight, bias;
  float weight_offset, epsilon;
};

const Case kCases[] = {
    {NormKind::rms, 1, 1, 1, true, false, 0.0f, 1e-6f},
    {NormKind::rms, 3, 97, 97, true, false, 0.0f, 1e-5f},
    {NormKind::rms, 5, 64, 64, true, true, 1.0f, 1e-6f},
    {NormKind::rms, 2, 7 * 12, 12, true, false, 0.0f, 1e-6f},
    {NormKind::rms, 2, 3 * 128, 128, false, false, 0.0f, 1e-6f},
    {NormKind::rms, 71, 576, 576, true, false, 0.0f, 1e-5f},
    {NormKind::layer, 1, 1, 1, true, true, 0.0f, 1e-5f},
    {NormKind::layer, 4, 97, 97, true, true, 0.0f, 1e-12f},
    {NormKind::layer, 3, 5 * 19, 19, false, false, 0.0f, 1e-5f},
    {NormKind::layer, 90, 384, 384, true, true, 0.0f, 1e-12f},
    {NormKind::layer, 2, 4099, 4099, true, true, 1.0f, 1e-5f},
};

/// Sums of n float32 in at least 4 chains lose less than n / 4 roundings, in practice a few; a handful of roundings
/// follow. 1e-6 relative to the largest output is 16 roundings.
constexpr double kTolerance = 1e-6;

std::vector<float> run(Backend& backend, const Case& c, const std::vector<float>& x, const std::vector<float>& weight,
                       const std::vector<float>& bias, bool in_place) {
  Strided input(c.rows, c.columns, x), output(c.rows, c.columns);
  Strided& out = in_place ? input : output;
  backend.norm({.kind = c.kind,
                .input = input.view(),
                .out = out.view(),
                .weight = c.weight ? weight.data() : nullptr,
                .bias = c.bias ? bias.data() : nullptr,
                .weight_offset = c.weight_offset,
                .epsilon = c.epsilon,
                .group = c.group});
  EXPECT_TRUE(out.gaps_untouched());
  return out.values();
}

TEST(Norm, IsWhatTheDefinitionSays) {
  for (const Isa isa : available_isas()) {
    const std::unique_ptr<Backend> backend = backend_for(isa, 2);
    for (const Case& c : kCases) {
      SCOPED_TRACE(std::string(isa_name(isa)) + " " + std::to_string(c.rows) + "x" + std::to_string(c.columns));
      Random random(17);
      const std::vector<float> x = random.vector(c.rows * c.columns, -3.0f, 5.0f);
      const std::vector<float> weight = random.vector(c.group), bias = random.vector(c.group);
      const std::vector<float> out = run(*backend, c, x, weight, bias, false);
      for (int64_t row = 0; row < c.rows; ++row) {
        const std::vector<double> exact = reference::norm(
            c.kind, x.data() + row * c.columns, c.columns, c.group, c.weight ? weight.data() : nullptr,
            c.bias ? bias.data() : nullptr, static_cast<double>(c.weight_offset), static_cast<double>(c.epsilon));
        double largest = 1.0;
        for (const double value : exact) largest = std::max(largest, std::fabs(value));
        for (int64_t i = 0; i < c.columns; ++i) {
          ASSERT_NEAR(out[static_cast<size_t>(row * c.columns + i)], exact[static_cast<size_t>(i)],
                      kTolerance * largest);
        }
      }
      EXPECT_EQ(run(*backend, c, x, weight, bias, true), out) << "in place";
    }
  }
}

TEST(Norm, ARowsBitsDependOnThatRowAlone) {
  for (const Isa isa : available_isas()) {
    for (const Case& c : kCases) {
      Random random(23);
      const std::vector<float> x = random.vector(c.rows * c.columns), weight = random.vector(c.group),
                               bias = random.vector(c.group);
      const std::vector<float> together = run(*backend_for(isa, 1), c, x, weight, bias, false);
      for (const int threads : {2, 3}) EXPECT_EQ(run(*backend_for(isa, threads), c, x, weight, bias, false), together);
      Case alone = c;
      alone.rows = 1;
      const std::vector<float> last(x.end() - c.columns, x.end());
      EXPECT_EQ(run(*backend_for(isa, 2), alone, last, weight, bias, false),
                std::vector<float>(together.end() - c.columns, together.end()));
    }
  }
}

TEST(Norm, AMeanFarFromZeroDoesNotCancelTheVariance) {
  // Values 10000 + {-1, 1}: one pass over x and x^2 in float32 would find a variance of 0 or worse.
  constexpr int64_t kColumns = 768;
  for (const Isa isa : available_isas()) {
    std::vector<float> x(kColumns);
    for (size_t i = 0; i < x.size(); ++i) x[i] = 10000.0f + (i % 2 == 0 ? 1.0f : -1.0f);
    const Case c{NormKind::layer, 1, kColumns, kColumns, false, false, 0.0f, 0.0f};
    const std::vector<float> out = run(*backend_for(isa, 1), c, x, {}, {}, false);
    // The mean has an error of up to a unit of 10000's last place, 1e-3.
    for (size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(out[i], i % 2 == 0 ? 1.0 : -1.0, 2e-3);
  }
}

TEST(Norm, ZerosStayZerosAndNaNStaysNaN) {
  for (const Isa isa : available_isas()) {
    for (const NormKind kind : {NormKind::rms, NormKind::layer}) {
      const Case c{kind, 2, 37, 37, false, false, 0.0f, 1e-6f};
      std::vector<float> x(2 * 37, 0.0f);
      x[40] = std::nanf("");
      const std::vector<float> out = run(*backend_for(isa, 1), c, x, {}, {}, false);
      for (size_t i = 0; i < 37; ++i) EXPECT_EQ(out[i], 0.0f);
      for (size_t i = 37; i < 74; ++i) EXPECT_TRUE(std::isnan(out[i]));
    }
  }
}

}  // namespace
}  // namespace octoformer
