// The bounds that native/cpu/kernels/math.h states, against long double, over every ISA. Inputs run through the bit
// patterns of float32 in steps of a prime, so every exponent and all kinds of mantissas occur.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <numbers>
#include <string>
#include <vector>

#include "backend/half.h"
#include "cpu/isa_dispatch.h"
#include "reference/effort.h"

namespace octoformer {
namespace {

using RowFunction = std::function<void(const RowKernels&, const float*, float*, int64_t)>;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

const RowFunction kExponential = [](const RowKernels& k, const float* x, float* y, int64_t n) { k.exp(x, y, n); };
const RowFunction kSoftmaxExponential2 = [](const RowKernels& k, const float* x, float* y, int64_t n) {
  k.softmax_exp2(x, y, n);
};
const RowFunction kGelu = [](const RowKernels& k, const float* x, float* y, int64_t n) {
  k.activation(Activation::gelu, x, y, n);
};
const RowFunction kTanh = [](const RowKernels& k, const float* x, float* y, int64_t n) {
  k.activation(Activation::tanh, x, y, n);
};
const RowFunction kSigmoid = [](const RowKernels& k, const float* x, float* y, int64_t n) {
  k.activation(Activation::sigmoid, x, y, n);
};

/// |got - exact| in units of the last place of the float32 next to `exact` (2^-149 for subnormal ones).
double error_in_last_places(float got, long double exact) {
  if (std::isnan(got)) return kInfinity;
  if (std::isinf(got)) return std::fabs(exact) > static_cast<long double>(0x1.ffffffp127) ? 0.0 : kInfinity;
  int exponent = 0;
  std::frexp(exact, &exponent);
  const long double unit = std::ldexp(1.0L, std::max(exponent - 24, -149));
  return static_cast<double>(std::fabs(static_cast<long double>(got) - exact) / unit);
}

/// From one of the bit patterns that are tried to the next.
const uint32_t kStride = reference::slow() ? 524287 : 8191;

/// visit(x, f(x), f(-x)) for finite x >= 0.
template <class Visit>
void for_each_magnitude(const RowKernels& kernels, Activation f, const Visit& visit) {
  for (uint32_t bits = 0; bits < 0x7f800000u; bits += kStride) {
    const float x[] = {float_of(bits), -float_of(bits)};
    float y[2];
    kernels.activation(f, x, y, 2);
    visit(x[0], y[0], y[1]);
  }
}

/// The largest error over finite float32, both signs.
double largest_error(const RowKernels& kernels, const RowFunction& function, long double (*exact)(long double),
                     float* worst) {
  constexpr size_t kBatch = 4096;
  std::vector<float> x, y(kBatch);
  double largest = 0.0;
  const auto flush = [&] {
    function(kernels, x.data(), y.data(), static_cast<int64_t>(x.size()));
    for (size_t i = 0; i < x.size(); ++i) {
      const double error = error_in_last_places(y[i], exact(static_cast<long double>(x[i])));
      if (error > largest) {
        largest = error;
        *worst = x[i];
      }
    }
    x.clear();
  };
  for (uint64_t bits = 0; bits < 0x7f800000u; bits += kStride) {
    x.push_back(float_of(static_cast<uint32_t>(bits)));
    x.push_back(float_of(static_cast<uint32_t>(bits) | 0x80000000u));
    if (x.size() == kBatch) flush();
  }
  flush();
  return largest;
}

struct Bound {
  const char* name;
  const RowFunction* function;
  long double (*exact)(long double);
  double last_places;
};

long double exact_sigmoid(long double x) { return 1.0L / (1.0L + std::exp(-x)); }

TEST(Math, ErrorsStayWithinTheStatedBounds) {
  const Bound bounds[] = {
      {"exp", &kExponential, [](long double x) { return std::exp(x); }, 1.0},
      {"tanh", &kTanh, [](long double x) { return std::tanh(x); }, 1.5},
      {"sigmoid", &kSigmoid, exact_sigmoid, 2.5},
  };
  for (const Isa isa : available_isas()) {
    for (const Bound& bound : bounds) {
      float worst = 0.0f;
      const double error = largest_error(kernel_table(isa).rows, *bound.function, bound.exact, &worst);
      EXPECT_LE(error, bound.last_places) << bound.name << " at " << worst << ", " << isa_name(isa);
      RecordProperty(std::string(bound.name) + "_" + std::string(isa_name(isa)), std::to_string(error));
    }
  }
}

TEST(Math, SpecialValues) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  struct Case {
    const char* name;
    const RowFunction* function;
    float at_minus_infinity, at_infinity, at_zero;
    bool odd;
  };
  const Case cases[] = {
      {"exp", &kExponential, 0.0f, kInfinity, 1.0f, false},
      {"tanh", &kTanh, -1.0f, 1.0f, 0.0f, true},
      {"sigmoid", &kSigmoid, 0.0f, 1.0f, 0.5f, false},
  };
  for (const Isa isa : available_isas()) {
    for (const Case& c : cases) {
      const float x[] = {-kInfinity, kInfinity, 0.0f, -0.0f, nan, -nan, 1e30f, -1e30f, 0x1p-149f, -0x1p-149f};
      float y[10];
      (*c.function)(kernel_table(isa).rows, x, y, 10);
      EXPECT_EQ(y[0], c.at_minus_infinity) << c.name << " " << isa_name(isa);
      EXPECT_EQ(y[1], c.at_infinity) << c.name << " " << isa_name(isa);
      EXPECT_EQ(y[2], c.at_zero) << c.name << " " << isa_name(isa);
      EXPECT_EQ(y[3], c.at_zero) << c.name << " " << isa_name(isa);
      EXPECT_EQ(std::signbit(y[3]), c.odd) << c.name << " " << isa_name(isa);
      EXPECT_TRUE(std::isnan(y[4]) && std::isnan(y[5])) << c.name << " " << isa_name(isa);
      EXPECT_EQ(y[6], c.at_infinity) << c.name << " " << isa_name(isa);
      EXPECT_EQ(y[7], c.at_minus_infinity) << c.name << " " << isa_name(isa);
    }
  }
}

struct Gelu {
  Activation kind;
  long double (*left)(long double);  // gelu(-x) / -x for x > 0; gelu(x) / x is the rest of 1
};

TEST(Math, GeluStaysWithinTheStatedBounds) {
  const Gelu gelus[] = {
      {Activation::gelu, [](long double x) { return 0.5L * std::erfc(x * std::sqrt(0.5L)); }},
      {Activation::gelu_tanh,
       [](long double x) {
         return 1.0L / (1.0L + std::exp(2.0L * std::sqrt(2.0L / std::numbers::pi_v<long double>) * x *
                                        (1.0L + 0.044715L * x * x)));
       }},
  };
  for (const Isa isa : available_isas()) {
    const RowKernels& kernels = kernel_table(isa).rows;
    for (const Gelu& gelu : gelus) {
      double largest = 0.0, left_of_zero = 0.0;
      for_each_magnitude(kernels, gelu.kind, [&](float x, float at_x, float at_minus_x) {
        const auto magnitude = static_cast<long double>(x);
        const long double left = gelu.left(magnitude);
        largest = std::max(largest, error_in_last_places(at_x, magnitude * (1.0L - left)));
        // Half of the smallest number, where the result is subnormal.
        const long double error = std::fabs(static_cast<long double>(at_minus_x) + magnitude * left) - 0x1p-150L;
        if (magnitude > 0.0L) left_of_zero = std::max(left_of_zero, static_cast<double>(error / magnitude));
      });
      EXPECT_LE(largest, 3.5) << isa_name(isa);
      EXPECT_LE(left_of_zero, 0x1p-23) << isa_name(isa);
      const std::string name = std::to_string(static_cast<int>(gelu.kind)) + "_" + std::string(isa_name(isa));
      RecordProperty("gelu_" + name, std::to_string(largest));
      RecordProperty("gelu_left_" + name, std::to_string(left_of_zero * 0x1p23));
      const float edges[] = {0.0f, -0.0f, -11.0f, -3e38f, -kInfinity, kInfinity, -std::nanf("")};
      float y[7];
      kernels.activation(gelu.kind, edges, y, 7);
      for (int i = 0; i < 5; ++i) EXPECT_NEAR(y[i], 0.0f, 2e-28f) << edges[i] << " " << isa_name(isa);
      EXPECT_FALSE(std::signbit(y[0]));
      EXPECT_TRUE(std::signbit(y[1]));
      EXPECT_EQ(y[5], kInfinity);
      EXPECT_TRUE(std::isnan(y[6]));
    }
  }
}

TEST(Math, SiluStaysWithinTheStatedBounds) {
  struct Case {
    Activation kind;
    long double rate;
  };
  for (const Isa isa : available_isas()) {
    const RowKernels& kernels = kernel_table(isa).rows;
    for (const Case& c : {Case{Activation::silu, 1.0L}, Case{Activation::gelu_quick, 1.702L}}) {
      double right = 0.0, left = 0.0;
      for_each_magnitude(kernels, c.kind, [&](float x, float at_x, float at_minus_x) {
        const auto magnitude = static_cast<long double>(x);
        const long double weight = c.rate * magnitude;
        right = std::max(right, error_in_last_places(at_x, magnitude / (1.0L + std::exp(-weight))));
        if (weight < 69.0L) {
          left = std::max(left, error_in_last_places(at_minus_x, -magnitude / (1.0L + std::exp(weight))) /
                                    static_cast<double>(4.0L + 2.0L * weight));
        } else {
          ASSERT_NEAR(at_minus_x, 0.0f, 1e-28f) << -x << " " << isa_name(isa);
        }
      });
      EXPECT_LE(right, 3.0) << isa_name(isa);
      EXPECT_LE(left, 1.0) << isa_name(isa);
      const std::string name = std::to_string(static_cast<int>(c.kind)) + "_" + std::string(isa_name(isa));
      RecordProperty("silu_" + name, std::to_string(right));
      RecordProperty("silu_left_" + name, std::to_string(left));
      const float edges[] = {0.0f, -0.0f, -kInfinity, kInfinity, std::nanf("")};
      float y[5];
      kernels.activation(c.kind, edges, y, 5);
      EXPECT_TRUE(y[0] == 0.0f && !std::signbit(y[0]) && y[1] == 0.0f && std::signbit(y[1])) << isa_name(isa);
      EXPECT_NEAR(y[2], 0.0f, 1e-28f) << isa_name(isa);
      EXPECT_EQ(y[3], kInfinity) << isa_name(isa);
      EXPECT_TRUE(std::isnan(y[4])) << isa_name(isa);
    }
  }
}

TEST(Math, ExponentialAtTheEdgesOfFloat32) {
  // Around the largest finite result, the smallest normal one, and the smallest of all (e^-103.97 rounds to 2^-149).
  const float x[] = {88.7228f, 88.72284f, 88.8f, -87.33654f, -87.4f, -103.2789f, -103.97f, -103.98f, -104.5f, -1000.0f};
  constexpr int64_t kCount = sizeof x / sizeof x[0];
  for (const Isa isa : available_isas()) {
    float y[kCount];
    kernel_table(isa).rows.exp(x, y, kCount);
    for (int64_t i = 0; i < kCount; ++i) {
      EXPECT_LE(error_in_last_places(y[i], std::exp(static_cast<long double>(x[i]))), 1.0) << x[i];
    }
    EXPECT_EQ(y[2], kInfinity);
    EXPECT_EQ(y[6], 0x1p-149f);
    EXPECT_EQ(y[7], 0.0f);
  }
}

TEST(Math, PowersOf2OfASoftmaxStayWithinTheStatedBound) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const Isa isa : available_isas()) {
    const RowKernels& kernels = kernel_table(isa).rows;
    std::vector<float> x, y;
    for (uint32_t bits = 0; float_of(bits) <= 126.0f; bits += kStride) {
      x.push_back(-float_of(bits));
    }
    y.resize(x.size());
    kernels.softmax_exp2(x.data(), y.data(), static_cast<int64_t>(x.size()));
    double largest = 0.0;
    for (size_t i = 0; i < x.size(); ++i) {
      largest = std::max(largest, error_in_last_places(y[i], std::exp2(static_cast<long double>(x[i]))));
    }
    EXPECT_LE(largest, 2.5) << isa_name(isa);

    const float edges[] = {0.0f, -0.0f, -126.0f, -126.00001f, -127.0f, -1e30f, -kInfinity, nan};
    float out[8];
    kernels.softmax_exp2(edges, out, 8);
    EXPECT_EQ(out[0], 1.0f);
    EXPECT_EQ(out[1], 1.0f);
    EXPECT_EQ(out[2], 0x1p-126f);
    for (int i = 3; i < 7; ++i) EXPECT_EQ(out[i], 0.0f) << edges[i] << " " << isa_name(isa);
    EXPECT_TRUE(std::isnan(out[7]));
  }
}

TEST(Math, AValueDoesNotDependOnItsPlaceInTheRow) {
  for (const Isa isa : available_isas()) {
    for (const RowFunction* function : {&kExponential, &kSoftmaxExponential2, &kTanh, &kGelu, &kSigmoid}) {
      std::vector<float> x(67, -0.7321f), y(67);
      for (int64_t count : {1, 2, 3, 7, 16, 31, 67}) {
        (*function)(kernel_table(isa).rows, x.data(), y.data(), count);
        for (int64_t i = 0; i < count; ++i) EXPECT_EQ(y[static_cast<size_t>(i)], y[0]) << isa_name(isa);
      }
    }
  }
}

}  // namespace
}  // namespace octoformer
