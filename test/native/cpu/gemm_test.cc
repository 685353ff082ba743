// The linear op under every ISA of the machine, against plain C++.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "linear_testing.h"
#include "reference/effort.h"

namespace octoformer {
namespace {

using namespace testing_linear;
using reference::random_matrix;

struct Shape {
  int64_t rows, out_features, in_features;
};

// None, one, primes, and one off every tile: rows 2, 6, 16, 32 (and where few end); panels 8, 16, 64; granules of K 2
// and 32; blocks of K.
constexpr Shape kShapes[] = {{0, 5, 7},     {1, 1, 1},     {1, 64, 64},    {1, 67, 129},  {2, 130, 33},  {3, 0, 4},
                             {5, 63, 31},   {6, 65, 200},  {7, 17, 1},     {13, 129, 67}, {16, 64, 128}, {17, 100, 97},
                             {31, 191, 64}, {33, 31, 353}, {34, 35, 1090}, {70, 193, 530}};

class Gemm : public ::testing::TestWithParam<Isa> {
 protected:
  const KernelTable& table_ = kernel_table(GetParam());
  LinearDriver driver_{table_.gemm, 2};
};

Matrix stored(WeightForm form, const Matrix& w) {
  return form == WeightForm::float32    ? w
         : form == WeightForm::bfloat16 ? reference::rounded_to_bfloat16(w)
                                        : reference::rounded_to_float16(w);
}

constexpr WeightForm kForms[] = {WeightForm::float32, WeightForm::bfloat16, WeightForm::float16};

// The chain is the same everywhere, so all ISAs agree with one reference bit for bit, and thereby with each other.
TEST_P(Gemm, Float32ComputeIsTheChainBitForBit) {
  for (const Shape& shape : kShapes) {
    if (!reference::tries_product(shape.rows, shape.out_features, shape.in_features)) continue;
    const Matrix a = random_matrix(shape.rows, shape.in_features, 1);
    const Matrix w = random_matrix(shape.out_features, shape.in_features, 2);
    for (const WeightForm form : kForms) {
      const auto weight = pack(driver_, w, form);
      EXPECT_TRUE(same_bits(multiply(driver_, a, *weight), reference::multiply_in_chain(a, stored(form, w))))
          << shape.rows << " x " << shape.out_features << " x " << shape.in_features << " form "
          << static_cast<int>(form);
    }
  }
}

// Units add pairs or 32 products at a time, each rounded to float32: K + 1 roundings at most on the way of a product
// (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1), and a flushed denormal for each.
TEST_P(Gemm, Bfloat16ComputeIsWithinTheBound) {
  for (const Shape& shape : kShapes) {
    if (!reference::tries_product(shape.rows, shape.out_features, shape.in_features)) continue;
    const Matrix a = random_matrix(shape.rows, shape.in_features, 3);
    const Matrix w = random_matrix(shape.out_features, shape.in_features, 4);
    const Matrix rounded = reference::rounded_to_bfloat16(a);
    const double roundings = static_cast<double>(shape.in_features + 1) * 0x1p-24;
    const double gamma = roundings / (1 - roundings);
    for (const WeightForm form : kForms) {
      const auto weight = pack(driver_, w, form, ComputeType::bfloat16);
      const Matrix out = multiply(driver_, a, *weight);
      const Matrix held = stored(form, w);
      for (int64_t m = 0; m < out.rows; ++m) {
        for (int64_t n = 0; n < out.columns; ++n) {
          const reference::ExactSum exact = reference::exact_sum(rounded, m, held, n);
          const double bound = gamma * exact.magnitudes + static_cast<double>(shape.in_features + 1) * 0x1p-126;
          ASSERT_LE(std::fabs(out.at(m, n) - exact.sum), bound) << m << ", " << n << " of " << shape.in_features;
        }
      }
    }
  }
}

// Few rows and many take different kernels; threads and blocks cut elsewhere. Nothing of it may show.
TEST_P(Gemm, ARowHasTheSameBitsAloneInAnyBatchAndOnAnyThreads) {
  const int64_t depth = reference::slow() ? 111 : 1111;
  const Matrix a = random_matrix(reference::slow() ? 19 : 45, depth, 5);
  const Matrix w = random_matrix(reference::slow() ? 75 : 203, depth, 6);
  for (const WeightForm form : kForms) {
    for (const ComputeType compute : {ComputeType::float32, ComputeType::bfloat16}) {
      LinearDriver alone(table_.gemm, 1), crowd(table_.gemm, 5);
      const auto weight = pack(driver_, w, form, compute);
      const Matrix all = multiply(driver_, a, *weight);
      EXPECT_TRUE(same_bits(all, multiply(alone, a, *weight)));
      EXPECT_TRUE(same_bits(all, multiply(crowd, a, *weight)));
      for (int64_t rows : {1, 2, 3, 6, 7, 16, 17, 32, 33}) {
        if (rows > a.rows) continue;
        Matrix part(rows, a.columns), expected(rows, w.rows);
        std::memcpy(part.values.data(), a.values.data(), part.values.size() * sizeof(float));
        std::memcpy(expected.values.data(), all.values.data(), expected.values.size() * sizeof(float));
        EXPECT_TRUE(same_bits(multiply(driver_, part, *weight), expected)) << rows << " rows";
      }
      for (int64_t row = 0; row < a.rows; ++row) {
        ASSERT_TRUE(same_bits(multiply(driver_, row_of(a, row), *weight), row_of(all, row))) << "row " << row;
      }
    }
  }
}

TEST_P(Gemm, EpilogueAddsBiasActivatesAndAddsTheResidualInThatOrder) {
  constexpr Activation kActivations[] = {Activation::identity, Activation::relu,       Activation::relu_squared,
                                         Activation::silu,     Activation::gelu,       Activation::gelu_tanh,
                                         Activation::tanh,     Activation::gelu_quick, Activation::sigmoid};
  for (const int64_t rows : {1, 19, 35}) {
    const Matrix a = random_matrix(rows, 37, 7), w = random_matrix(75, 37, 8);
    const Matrix bias = random_matrix(1, 75, 9), residual = random_matrix(rows, 75, 10);
    const auto weight = pack(driver_, w, WeightForm::float32);
    const Matrix sums = reference::multiply_in_chain(a, w);
    for (const Activation activation : kActivations) {
      for (const bool with_bias : {false, true}) {
        for (const bool with_residual : {false, true}) {
          Matrix expected = sums;
          for (int64_t m = 0; m < rows; ++m) {
            float* row = expected.values.data() + m * 75;
            for (int64_t n = 0; with_bias && n < 75; ++n) row[n] += bias.at(0, n);
            table_.rows.activation(activation, row, row, 75);
            for (int64_t n = 0; with_residual && n < 75; ++n) row[n] += residual.at(m, n);
          }
          Matrix out(rows, 75);
          LinearArguments arguments;
          arguments.input = view(a);
          arguments.weight = weight.get();
          arguments.bias = with_bias ? bias.values.data() : nullptr;
          arguments.activation = activation;
          if (with_residual) arguments.residual = view(residual);
          arguments.out = view(out);
          driver_.linear(arguments);
          EXPECT_TRUE(same_bits(out, expected)) << "activation " << static_cast<int>(activation);
        }
      }
    }
  }
}

TEST_P(Gemm, StridedViewsAndAResidualInTheOutputTouchNothingBeside) {
  for (const ComputeType compute : {ComputeType::float32, ComputeType::bfloat16}) {
    for (const int64_t rows : {4, 41}) {
      const int64_t in_features = 300, out_features = 90;
      const Matrix wide_a = random_matrix(rows, in_features + 11, 11), w = random_matrix(out_features, in_features, 12);
      Matrix a(rows, in_features);
      for (int64_t m = 0; m < rows; ++m) {
        for (int64_t k = 0; k < in_features; ++k) a.at(m, k) = wide_a.at(m, k + 5);
      }
      const auto weight = pack(driver_, w, WeightForm::bfloat16, compute);
      const Matrix product = multiply(driver_, a, *weight);
      const Matrix before = random_matrix(rows, out_features + 20, 13);
      Matrix out = before;
      LinearArguments arguments;
      arguments.input = {wide_a.values.data() + 5, rows, in_features, wide_a.columns};
      arguments.weight = weight.get();
      arguments.out = {out.values.data() + 7, rows, out_features, out.columns};
      arguments.residual = arguments.out;
      driver_.linear(arguments);
      for (int64_t m = 0; m < rows; ++m) {
        for (int64_t n = 0; n < out.columns; ++n) {
          const bool inside = n >= 7 && n < 7 + out_features;
          const float expected = inside ? product.at(m, n - 7) + before.at(m, n) : before.at(m, n);
          ASSERT_EQ(out.at(m, n), expected) << m << ", " << n;
        }
      }
    }
  }
}

TEST_P(Gemm, AProductOverNothingIsTheEpilogueOfZero) {
  for (const WeightForm form : kForms) {
    for (const int64_t rows : {1, 23}) {
      const Matrix a(rows, 0), w(70, 0), bias = random_matrix(1, 70, 14);
      const auto weight = pack(driver_, w, form, ComputeType::bfloat16);
      Matrix out = random_matrix(rows, 70, 15);
      LinearArguments arguments;
      arguments.input = view(a);
      arguments.weight = weight.get();
      arguments.bias = bias.values.data();
      arguments.out = view(out);
      driver_.linear(arguments);
      for (int64_t m = 0; m < rows; ++m) EXPECT_TRUE(same_bits(row_of(out, m), bias));
    }
  }
}

// Rows that are filled up, and the fill of a panel, must not carry one row's infinities into another.
TEST_P(Gemm, InfinitiesAndNaNStayInTheirRow) {
  for (const ComputeType compute : {ComputeType::float32, ComputeType::bfloat16}) {
    Matrix a = random_matrix(21, 45, 16);
    const Matrix w = random_matrix(70, 45, 17);
    const auto weight = pack(driver_, w, WeightForm::bfloat16, compute);
    const Matrix clean = multiply(driver_, a, *weight);
    a.at(3, 44) = std::numeric_limits<float>::infinity();
    a.at(20, 0) = std::numeric_limits<float>::quiet_NaN();
    const Matrix out = multiply(driver_, a, *weight);
    for (int64_t m = 0; m < 21; ++m) {
      if (m == 20) {
        for (int64_t n = 0; n < 70; ++n) EXPECT_TRUE(std::isnan(out.at(m, n)));
      } else if (m == 3) {
        for (int64_t n = 0; n < 70; ++n) EXPECT_FALSE(std::isfinite(out.at(m, n)));
      } else {
        EXPECT_TRUE(same_bits(row_of(out, m), row_of(clean, m)));
      }
    }
  }
}

// The blocks of k are chosen by the caches of the machine: every choice gives the same bits.
template <class A, class W>
std::vector<float> run_blocked(const GemmKernel<A, W>& kernel, const std::vector<A>& a, const W* weights, int64_t rows,
                               int64_t depth, int64_t out_features, int64_t depth_block) {
  const int64_t filled_rows = (rows + kernel.row_granule - 1) / kernel.row_granule * kernel.row_granule;
  const int64_t blocks = (depth + depth_block - 1) / depth_block;
  std::vector<A> blocked(static_cast<size_t>(blocks * filled_rows * depth_block));
  for (int64_t m = 0; m < rows; ++m) {
    for (int64_t k = 0; k < depth; ++k) {
      const int64_t offset = kernel.tiled ? activation_offset(m, k, kernel.row_tile, kernel.depth_granule, depth_block,
                                                              filled_rows * depth_block, depth_block)
                                          : (k / depth_block * filled_rows + m) * depth_block + k % depth_block;
      blocked[static_cast<size_t>(offset)] = a[static_cast<size_t>(m * depth + k)];
    }
  }
  std::vector<float> out(static_cast<size_t>(rows * out_features));
  GemmTask<A, W> task;
  task.activations = blocked.data();
  task.row_stride = depth_block;
  task.block_stride = filled_rows * depth_block;
  task.depth_block = depth_block;
  task.weights = weights;
  task.panel_stride = depth * kernel.panel;
  task.depth = depth;
  task.out_features = out_features;
  task.last_row = rows;
  task.last_panel = (out_features + kernel.panel - 1) / kernel.panel;
  task.epilogue.out = out.data();
  task.epilogue.out_stride = out_features;
  AlignedMemory scratch(
      static_cast<size_t>(gemm_scratch_floats(kernel, rows, task.last_panel, depth_block)) * sizeof(float), "scratch");
  task.scratch = reinterpret_cast<float*>(scratch.data());
  kernel.many_rows(task);
  return out;
}

TEST_P(Gemm, BlocksOfKDoNotChangeTheBits) {
  const int64_t rows = 39, out_features = 140, depth = 416;
  const Matrix a = random_matrix(rows, depth, 18), w = random_matrix(out_features, depth, 19);
  const auto floats = pack(driver_, w, WeightForm::float32);
  const auto& packed = static_cast<const PackedWeight&>(*floats);
  const auto whole = run_blocked(table_.gemm.float32, a.values, packed.floats(), rows, depth, out_features, depth);
  EXPECT_EQ(whole, multiply(driver_, a, *floats).values);
  for (const int64_t block : {1, 31, 64, 400}) {
    EXPECT_EQ(run_blocked(table_.gemm.float32, a.values, packed.floats(), rows, depth, out_features, block), whole);
  }
  if (table_.gemm.bfloat16_units.many_rows == nullptr) return;
  std::vector<uint16_t> narrow(a.values.size());
  for (size_t i = 0; i < narrow.size(); ++i) narrow[i] = float_to_bfloat16(a.values[i]);
  const auto halves = pack(driver_, w, WeightForm::bfloat16, ComputeType::bfloat16);
  const uint16_t* bits = static_cast<const PackedWeight&>(*halves).halves();
  const auto expected = multiply(driver_, a, *halves).values;
  for (const int64_t block : {32, 96, 416}) {
    EXPECT_EQ(run_blocked(table_.gemm.bfloat16_units, narrow, bits, rows, depth, out_features, block), expected);
  }
}

INSTANTIATE_TEST_SUITE_P(Isas, Gemm, ::testing::ValuesIn(available_isas()), IsaPrinter());

}  // namespace
}  // namespace octoformer
