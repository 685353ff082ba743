// The int8 AMX kernels over emulated tiles: on every machine the bits of the scalar kernels.
#include <gtest/gtest.h>

#include <tuple>

#define OCTOFORMER_EMULATE_TILES

#include "cpu/vec/vec_scalar.h"

#include "cpu/vec/amx_tile.h"
#include "cpu/vec/int8_scalar.h"

#include "cpu/kernels/gemm_int8_amx.h"
#include "cpu/kernels/quantize_rows.h"
#include "cpu/kernels/row_table.h"  // uses what the epilogue's headers define

#include "cpu/int8_linear.h"
#include "linear_testing.h"

namespace octoformer {
namespace {

using namespace testing_linear;

Int8Kernels emulated_kernels() {
  return {kInt8TileKernel, kInt8TileKernel, scan_row,  scan_outliers,
          quantize_row,    nullptr,         kTilePanel};  // tables are no product
}

struct Shape {
  int64_t rows, out_features, in_features;
};
constexpr Shape kShapes[] = {
    {1, 1, 1},     {3, 65, 33},    {16, 64, 64},   {17, 31, 100}, {31, 97, 32},
    {33, 130, 95}, {50, 200, 600}, {70, 70, 1100}, {33, 40, 3600}};  // the last of several blocks of k is one step

TEST(Int8AmxEmulation, HasTheBitsOfTheScalarKernels) {
  const Int8Kernels kernels = emulated_kernels();
  Int8LinearDriver emulated(kernels, 2), scalar(kernel_table(Isa::scalar).int8, 2);
  for (const Shape& shape : kShapes) {
    Matrix a = reference::random_matrix(shape.rows, shape.in_features, 1);
    const Matrix w = reference::random_matrix(shape.out_features, shape.in_features, 2);
    for (int64_t i = 0; i < static_cast<int64_t>(a.values.size()); i += 37) a.values[static_cast<size_t>(i)] *= 9.0f;
    // Weights of few outlier features are dequantized as rows bring them up, those of many in runs for all rows.
    // Rows end in activations one by one, in rarer ones in longer runs.
    for (const auto& [mapping, rule, threshold, activation] :
         {std::tuple(Int8Mapping::absmax, OutlierRule::token, 3.0f, Activation::identity),
          std::tuple(Int8Mapping::zeropoint, OutlierRule::token, 3.0f, Activation::sigmoid),
          std::tuple(Int8Mapping::zeropoint, OutlierRule::column, 3.0f, Activation::identity),
          std::tuple(Int8Mapping::absmax, OutlierRule::token, 3.0f, Activation::gelu),
          std::tuple(Int8Mapping::absmax, OutlierRule::token, 0.0f, Activation::gelu_tanh),
          std::tuple(Int8Mapping::absmax, OutlierRule::token, 0.0f, Activation::relu),
          std::tuple(Int8Mapping::absmax, OutlierRule::token, 0.0f, Activation::silu)}) {
      Int8Settings settings;
      settings.weights = settings.activations = mapping;
      settings.outliers = rule;
      settings.threshold = threshold;
      const LinearWeightDescription description = {"w",     w.rows, w.columns, WeightForm::int8, ComputeType::float32,
                                                   settings};
      Matrix out[2] = {Matrix(a.rows, w.rows), Matrix(a.rows, w.rows)};
      Int8LinearDriver* drivers[2] = {&emulated, &scalar};
      for (int i = 0; i < 2; ++i) {
        const auto weight = drivers[i]->pack(description, MatrixRows(w), nullptr);
        LinearArguments arguments;
        arguments.input = view(a);
        arguments.weight = weight.get();
        arguments.activation = activation;
        arguments.out = view(out[i]);
        drivers[i]->linear(arguments);
      }
      EXPECT_TRUE(same_bits(out[0], out[1])) << shape.rows << " x " << shape.out_features << " x " << shape.in_features;
    }
  }
}

}  // namespace
}  // namespace octoformer
