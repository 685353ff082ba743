// The AMX kernels over emulated tiles: on every machine, and against the hardware where there is some.
#include <gtest/gtest.h>

#define OCTOFORMER_EMULATE_TILES

#include "cpu/vec/vec_scalar.h"

#include "cpu/vec/amx_tile.h"

#include "cpu/kernels/gemm_amx.h"
#include "cpu/kernels/row_table.h"  // uses what the epilogue's headers define

#include "linear_testing.h"
#include "reference/effort.h"

namespace octoformer {
namespace {

using namespace testing_linear;

/// The table of a machine without other units whose bfloat16 products run on emulated tiles.
GemmKernels emulated_kernels() {
  GemmKernels kernels = {};
  kernels.narrow_row_to_bfloat16 = [](const float* input, int64_t count, uint16_t* out) {
    for (int64_t i = 0; i < count; ++i) out[i] = float_to_bfloat16(input[i]);
  };
  kernels.bfloat16_units = kBfloat16TileKernel;
  return kernels;
}

struct Shape {
  int64_t rows, out_features, in_features;
};
constexpr Shape kShapes[] = {{1, 1, 1},    {3, 65, 33},   {16, 64, 64},   {17, 31, 100},
                             {31, 97, 32}, {33, 130, 95}, {50, 200, 600}, {70, 290, 1100}};

TEST(AmxEmulation, ProductsAreWithinTheBound) {
  const GemmKernels kernels = emulated_kernels();
  LinearDriver driver(kernels, 2);
  for (const Shape& shape : kShapes) {
    if (!reference::tries_product(shape.rows, shape.out_features, shape.in_features)) continue;
    const Matrix a = reference::random_matrix(shape.rows, shape.in_features, 1);
    const Matrix w = reference::random_matrix(shape.out_features, shape.in_features, 2);
    const auto weight = pack(driver, w, WeightForm::bfloat16, ComputeType::bfloat16);
    const Matrix out = multiply(driver, a, *weight);
    const Matrix rounded = reference::rounded_to_bfloat16(a), held = reference::rounded_to_bfloat16(w);
    // The bound of gemm_test.cc.
    const double gamma = static_cast<double>(shape.in_features + 1) * 0x1p-24 * 1.001;
    for (int64_t m = 0; m < shape.rows; ++m) {
      for (int64_t n = 0; n < shape.out_features; ++n) {
        const reference::ExactSum exact = reference::exact_sum(rounded, m, held, n);
        ASSERT_LE(std::fabs(out.at(m, n) - exact.sum), gamma * exact.magnitudes) << m << ", " << n;
      }
    }
    for (int64_t m = 0; m < shape.rows; ++m) {
      ASSERT_TRUE(same_bits(multiply(driver, row_of(a, m), *weight), row_of(out, m))) << "row " << m;
    }
  }
}

TEST(AmxEmulation, HasTheBitsOfTheHardware) {
  const auto& isas = available_isas();
  if (std::find(isas.begin(), isas.end(), Isa::amx) == isas.end()) GTEST_SKIP() << "this machine has no AMX";
  const GemmKernels kernels = emulated_kernels();
  LinearDriver emulated(kernels, 1), hardware(kernel_table(Isa::amx).gemm, 1);
  for (const Shape& shape : kShapes) {
    for (const float scale : {1.0f, 0x1p-65f}) {  // products of the second are denormal: flushed
      Matrix a = reference::random_matrix(shape.rows, shape.in_features, 3);
      Matrix w = reference::random_matrix(shape.out_features, shape.in_features, 4);
      for (float& value : a.values) value *= scale;
      for (float& value : w.values) value *= scale;
      const auto first = pack(emulated, w, WeightForm::bfloat16, ComputeType::bfloat16);
      const auto second = pack(hardware, w, WeightForm::bfloat16, ComputeType::bfloat16);
      EXPECT_TRUE(same_bits(multiply(emulated, a, *first), multiply(hardware, a, *second))) << shape.in_features;
    }
  }
}

TEST(AmxEmulationDeathTest, TrapsWhereTheProcessorFaults) {
  EXPECT_DEATH(TILE_ZERO(0), "");
  EXPECT_DEATH(
      {
        TileConfiguration configuration;
        configuration.rows[0] = 17;
        TILE_CONFIGURE(configuration);
      },
      "");
}

}  // namespace
}  // namespace octoformer
