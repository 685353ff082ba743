// Linear layers of int8 weights and float32 activations under every ISA of the machine.
#include <gtest/gtest.h>

#include <algorithm>

#include "backend/error.h"
#include "int8_linear_testing.h"
#include "quantization/quantized_matrix.h"

namespace octoformer {
namespace {

using namespace testing_int8;
using namespace testing_linear;
using reference::random_matrix;

class Int8WeightOnly : public Int8LinearTest {};

/// With a scale for every `group` inputs, or (0) for each row.
QuantizedMatrix quantize_weights(const Matrix& w, int64_t group) {
  return group > 0 ? quantize_groups(view(w), group) : quantize(view(w), Int8Mapping::absmax, Int8Granularity::row);
}

Int8Settings weight_only(int64_t group) {
  Int8Settings settings;
  settings.weight_only = true;
  settings.group_size = group;
  return settings;
}

// Groups of one step of the kernels, of several, of more than are fetched ahead, and of more than there are inputs.
constexpr int64_t kGroups[] = {0, 4, 12, 32, 64, 128, 2048};

TEST_P(Int8WeightOnly, WeightOnlyIsTheChainOverDequantizedWeights) {
  LinearDriver floats(table_.gemm, 2);
  for (const Shape& shape : kShapes) {
    const Matrix a = random_matrix(shape.rows, shape.in_features, 17);
    const Matrix w = random_matrix(shape.out_features, shape.in_features, 18);
    for (const int64_t group : kGroups) {
      Matrix dequantized(w.rows, w.columns);
      dequantized.values = dequantize(quantize_weights(w, group));
      const Matrix expected = reference::multiply_in_chain(a, dequantized);
      EXPECT_TRUE(same_bits(testing_linear::multiply(floats, a, *pack(w, weight_only(group))), expected))
          << shape.rows << " x " << shape.out_features << " x " << shape.in_features << " by " << group;
    }
  }
}

TEST_P(Int8WeightOnly, GroupsAreTheReferences) {
  const Matrix w = random_matrix(67, 131, 21);
  const std::vector<int32_t> indices = {66, 0, 5};
  for (const int64_t group : kGroups) {
    const QuantizedMatrix expected = quantize_weights(w, group);
    const auto weight = pack(w, weight_only(group));
    const Int8Rows rows = weight->int8_rows(0, 67);
    EXPECT_EQ(rows.values, expected.data) << group;
    EXPECT_EQ(rows.scale, expected.scale) << group;
    const std::vector<float> dequantized = dequantize(expected);
    Matrix out(3, 131);
    driver_.embedding({indices, weight.get(), 1.0f, false, view(out)});
    for (int64_t i = 0; i < 3; ++i) {
      EXPECT_TRUE(std::equal(out.values.begin() + i * 131, out.values.begin() + (i + 1) * 131,
                             dequantized.begin() + indices[static_cast<size_t>(i)] * 131))
          << group;
    }
  }
}

TEST_P(Int8WeightOnly, GroupsThatDontFitAreRefused) {
  const Matrix w = random_matrix(5, 24, 22);
  const auto refused = [&](const Int8Settings& settings, const RowSource& rows) {
    try {
      driver_.pack(describe(w, settings), rows, nullptr);
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode::internal;
  };
  Int8Settings both = weight_only(8);
  both.weight_only = false;
  EXPECT_EQ(refused(weight_only(6), MatrixRows(w)), ErrorCode::invalid_argument);
  EXPECT_EQ(refused(both, MatrixRows(w)), ErrorCode::unsupported_option);
  const QuantizedMatrix rows = quantize_weights(w, 0);
  EXPECT_EQ(refused(weight_only(8), GivenInt8Rows(rows.data, std::vector<float>(5, 1.0f))),
            ErrorCode::unsupported_option);
}

INSTANTIATE_TEST_SUITE_P(Isas, Int8WeightOnly, ::testing::ValuesIn(available_isas()), IsaPrinter());

}  // namespace
}  // namespace octoformer
