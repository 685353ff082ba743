#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "cpu/cpu_backend.h"
#include "cpu/isa.h"
#include "cpu/isa_dispatch.h"
#include "reference/random.h"
#include "reference/rows.h"
#include "reference/strided.h"

namespace octoformer {
namespace {

using reference::Random;
using reference::Strided;

constexpr Activation kAll[] = {Activation::identity,   Activation::relu, Activation::relu_squared,
                               Activation::silu,       Activation::gelu, Activation::gelu_tanh,
                               Activation::gelu_quick, Activation::tanh, Activation::sigmoid};

std::unique_ptr<Backend> backend_for(Isa isa, int threads) {
  return make_cpu_backend({.threads = threads, .isa = std::string(isa_name(isa))});
}

/// The gelus multiply 1 + erf or 1 + tanh, which for negative x cancels to an absolute error of a few 2^-24, as in
/// PyTorch. For the others the functions' own bounds and a rounding or two: below 4 units in the last place.
double tolerance(Activation kind, double x, double exact) {
  const double relative = 8 * 0x1p-24 * std::fabs(exact);
  const bool cancels = kind == Activation::gelu || kind == Activation::gelu_tanh;
  // The argument of e^-rate x is rounded, which the power amplifies by its size; from 2^-100 on it stays as it is.
  const double rate = kind == Activation::silu ? 1.0 : kind == Activation::gelu_quick ? 1.702 : 0.0;
  const double amplified = std::fabs(rate * x * exact) * 0x1p-23 + (rate > 0.0 ? 100.0 * 0x1p-100 : 0.0);
  return relative + amplified + (cancels ? 8 * 0x1p-24 * std::fabs(x) : 0.0) + 0x1p-149;
}

TEST(Activation, IsWhatTheDefinitionSays) {
  std::vector<float> x;
  for (float value = -30.0f; value < 30.0f; value += 0.0173f) x.push_back(value);
  for (const float value : {0.0f, -0.0f, 1e-30f, -1e-30f, 80.0f, -80.0f, 1e4f, -1e4f}) x.push_back(value);
  const int64_t count = static_cast<int64_t>(x.size());
  Random random(41);
  const std::vector<float> up = random.vector(count, -2.0f, 2.0f);
  for (const Isa isa : available_isas()) {
    const std::unique_ptr<Backend> backend = backend_for(isa, 1);
    for (const Activation kind : kAll) {
      Strided input(1, count, x), out(1, count), gated(1, count), other(1, count, up);
      backend->activation({kind, input.view(), out.view()});
      backend->gated_activation({kind, input.view(), other.view(), gated.view()});
      for (int64_t i = 0; i < count; ++i) {
        const double value = static_cast<double>(x[static_cast<size_t>(i)]);
        const double exact = reference::activate(kind, value);
        ASSERT_NEAR(out.at(0, i), exact, tolerance(kind, value, exact))
            << static_cast<int>(kind) << " at " << value << " " << isa_name(isa);
        ASSERT_EQ(gated.at(0, i), out.at(0, i) * up[static_cast<size_t>(i)]) << "gated";
      }
      EXPECT_TRUE(out.gaps_untouched() && gated.gaps_untouched());
    }
  }
}

TEST(Activation, NaNStaysNaNAndInfinityKeepsItsLimit) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const Isa isa : available_isas()) {
    for (const Activation kind : kAll) {
      const float x[] = {std::nanf(""), kInfinity};
      float y[2];
      kernel_table(isa).rows.activation(kind, x, y, 2);
      EXPECT_TRUE(std::isnan(y[0])) << static_cast<int>(kind) << " " << isa_name(isa);
      const bool bounded = kind == Activation::tanh || kind == Activation::sigmoid;
      EXPECT_EQ(y[1], bounded ? 1.0f : kInfinity) << static_cast<int>(kind) << " " << isa_name(isa);
    }
  }
}

TEST(Activation, ShapesPlacesAndThreads) {
  for (const Isa isa : available_isas()) {
    for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{0, 8}, {1, 1}, {3, 17}, {2, 31}, {61, 1536}}) {
      Random random(43);
      const std::vector<float> gate = random.vector(rows * columns, -4.0f, 4.0f), up = random.vector(rows * columns);
      std::vector<float> expected;
      for (const int threads : {1, 2, 3}) {
        const std::unique_ptr<Backend> backend = backend_for(isa, threads);
        Strided left(rows, columns, gate), right(rows, columns, up), out(rows, columns);
        backend->gated_activation({Activation::silu, left.view(), right.view(), out.view()});
        if (threads == 1) expected = out.values();
        EXPECT_EQ(out.values(), expected) << threads << " threads";
        backend->gated_activation({Activation::silu, left.view(), right.view(), left.view()});
        EXPECT_EQ(left.values(), expected) << "in place of the gate";
        EXPECT_TRUE(out.gaps_untouched() && left.gaps_untouched());
        Strided again(rows, columns, gate);
        backend->activation({Activation::gelu, again.view(), again.view()});
        const std::vector<float> together = again.values();
        for (int64_t i = 0; i < rows * columns; i += 1 + i / 50) {
          float alone;
          kernel_table(isa).rows.activation(Activation::gelu, &gate[static_cast<size_t>(i)], &alone, 1);
          ASSERT_EQ(together[static_cast<size_t>(i)], alone) << "a value depends on its place";
        }
      }
    }
  }
}

TEST(Elementwise, SumsProductsScalesAndGathers) {
  for (const Isa isa : available_isas()) {
    for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{0, 5}, {1, 1}, {7, 19}, {40, 1024}}) {
      for (const int threads : {1, 3}) {
        const std::unique_ptr<Backend> backend = backend_for(isa, threads);
        Random random(47);
        const std::vector<float> a = random.vector(rows * columns, -60.0f, 60.0f), b = random.vector(rows * columns);
        Strided left(rows, columns, a), right(rows, columns, b), sum(rows, columns), product(rows, columns),
            scaled(rows, columns), capped(rows, columns);
        backend->elementwise(ElementwiseKind::add, left.view(), right.view(), sum.view());
        backend->elementwise(ElementwiseKind::multiply, left.view(), right.view(), product.view());
        backend->scale(left.view(), 0.37f, 0.0f, scaled.view());
        backend->scale(left.view(), 1.5f, 30.0f, capped.view());
        for (int64_t row = 0; row < rows; ++row) {
          for (int64_t column = 0; column < columns; ++column) {
            const size_t at = static_cast<size_t>(row * columns + column);
            ASSERT_EQ(sum.at(row, column), a[at] + b[at]);
            ASSERT_EQ(product.at(row, column), a[at] * b[at]);
            ASSERT_EQ(scaled.at(row, column), a[at] * 0.37f);
            const double exact = 30.0 * std::tanh(1.5 * static_cast<double>(a[at]) / 30.0);
            // Roundings of the product, the quotient, tanh (1.5 units) and the last product.
            ASSERT_NEAR(capped.at(row, column), exact, 8 * 0x1p-24 * std::fabs(exact));
          }
        }
        backend->elementwise(ElementwiseKind::add, left.view(), right.view(), left.view());
        EXPECT_EQ(left.values(), sum.values()) << "in place";
        EXPECT_TRUE(sum.gaps_untouched() && product.gaps_untouched() && scaled.gaps_untouched() &&
                    capped.gaps_untouched() && left.gaps_untouched());

        std::vector<int32_t> chosen;
        for (int64_t row = rows - 1; row >= 0; row -= 2) chosen.push_back(static_cast<int32_t>(row));
        const int64_t count = static_cast<int64_t>(chosen.size());
        Strided gathered(count, columns);
        backend->gather_rows(right.view(), chosen, gathered.view());
        for (int64_t row = 0; row < count; ++row) {
          for (int64_t column = 0; column < columns; ++column) {
            ASSERT_EQ(gathered.at(row, column), right.at(chosen[static_cast<size_t>(row)], column));
          }
        }
        EXPECT_TRUE(gathered.gaps_untouched());
      }
    }
  }
}

TEST(Softmax, IsWhatTheDefinitionSays) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const Isa isa : available_isas()) {
    const auto softmax = kernel_table(isa).rows.softmax;
    for (const int64_t count : {1, 2, 15, 16, 17, 1009}) {
      Random random(53);
      std::vector<float> x = random.vector(count, -20.0f, 20.0f), y(x.size());
      if (count > 2) x[1] = -kInfinity;
      softmax(x.data(), y.data(), count);
      double total = 0.0;
      for (const float value : x) total += std::exp(static_cast<double>(value));
      for (size_t i = 0; i < x.size(); ++i) {
        const double exact = std::exp(static_cast<double>(x[i])) / total;
        // x - max is rounded (up to 40, half a unit of its last place is 2^-19), the rest are last places.
        ASSERT_NEAR(y[i], exact, exact * (0x1p-19 + 8 * 0x1p-24)) << count << " " << isa_name(isa);
      }
      if (count > 2) {
        EXPECT_EQ(y[1], 0.0f);
      }
    }
    const float nothing[] = {-kInfinity, -kInfinity, -kInfinity};
    float y[3];
    softmax(nothing, y, 3);
    EXPECT_TRUE(std::isnan(y[0]) && std::isnan(y[2]));
    softmax(nothing, y, 0);  // no columns: nothing happens
  }
}

}  // namespace
}  // namespace octoformer
