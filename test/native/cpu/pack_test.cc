// Packing of weights, what it refuses, and the embedding op that reads packed weights back.
#include <gtest/gtest.h>

#include <limits>

#include "backend/error.h"
#include "linear_testing.h"

namespace octoformer {
namespace {

using namespace testing_linear;
using reference::random_matrix;

class Pack : public ::testing::TestWithParam<Isa> {
 protected:
  const GemmKernels& kernels_ = kernel_table(GetParam()).gemm;
  LinearDriver driver_{kernels_, 2};

  std::string failure(const Matrix& w, WeightForm form, ErrorCode code) {
    try {
      pack(driver_, w, form);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code);
      return error.what();
    }
    return "no error";
  }
};

Matrix look_up(const LinearDriver& driver, const LinearWeight& table, const std::vector<int32_t>& indices, float scale,
               bool accumulate, Matrix out) {
  EmbeddingArguments arguments;
  arguments.indices = indices;
  arguments.table = &table;
  arguments.scale = scale;
  arguments.accumulate = accumulate;
  arguments.out = view(out);
  driver.embedding(arguments);
  return out;
}

TEST_P(Pack, AnEmbeddingReadsBackWhatWasPacked) {
  for (const int64_t depth : {1, 2, 31, 64, 131}) {
    const Matrix w = random_matrix(133, depth, 1);
    for (const WeightForm form : {WeightForm::float32, WeightForm::bfloat16, WeightForm::float16}) {
      for (const auto& [compute, table] : {std::pair(ComputeType::float32, false),
                                           {ComputeType::bfloat16, false},
                                           {ComputeType::float32, true},
                                           {ComputeType::bfloat16, true}}) {
        const auto weight =
            driver_.pack({"test.weight", w.rows, depth, form, compute, {}, table}, MatrixRows(w), nullptr);
        const Matrix held = form == WeightForm::float32    ? w
                            : form == WeightForm::bfloat16 ? reference::rounded_to_bfloat16(w)
                                                           : reference::rounded_to_float16(w);
        std::vector<int32_t> indices = {132, 0, 5, 5, 64, 63, 127, 128};
        const int64_t count = static_cast<int64_t>(indices.size());
        const Matrix plain = look_up(driver_, *weight, indices, 1.0f, false, Matrix(count, depth));
        const Matrix before = random_matrix(count, depth, 2);
        const Matrix sum = look_up(driver_, *weight, indices, 1.7f, true, before);
        for (int64_t i = 0; i < count; ++i) {
          for (int64_t k = 0; k < depth; ++k) {
            const float value = held.at(indices[static_cast<size_t>(i)], k);
            ASSERT_EQ(plain.at(i, k), value);
            const float scaled = value * 1.7f;
            ASSERT_EQ(sum.at(i, k), before.at(i, k) + scaled);
          }
        }
      }
    }
  }
}

TEST_P(Pack, NothingIsPackedFromNothing) {
  EXPECT_EQ(pack(driver_, Matrix(0, 7), WeightForm::float32)->bytes(), 0u);
  EXPECT_EQ(pack(driver_, Matrix(7, 0), WeightForm::bfloat16)->bytes(), 0u);
  const auto weight = pack(driver_, random_matrix(3, 4, 1), WeightForm::float32);
  EXPECT_EQ(look_up(driver_, *weight, {}, 1.0f, false, Matrix(0, 4)).values.size(), 0u);
}

// The fill is at most one panel of outputs and one granule of K.
TEST_P(Pack, TakesLittleMoreThanTheWeights) {
  const int64_t panel = kernels_.float32.panel;
  const auto weight = pack(driver_, random_matrix(200, 100, 3), WeightForm::float32);
  EXPECT_EQ(weight->bytes(), static_cast<uint64_t>((200 + panel - 1) / panel * panel * 100 * 4));
  const auto half = pack(driver_, random_matrix(200, 101, 3), WeightForm::bfloat16);
  EXPECT_EQ(half->bytes(), static_cast<uint64_t>((200 + panel - 1) / panel * panel * 102 * 2));
}

TEST_P(Pack, ATableIsAsLargeAsItsRowsAndForLookingUpOnly) {
  const Matrix w = random_matrix(67, 33, 3);
  for (const WeightForm form : {WeightForm::float32, WeightForm::bfloat16, WeightForm::float16}) {
    const auto table =
        driver_.pack({"test.weight", 67, 33, form, ComputeType::bfloat16, {}, true}, MatrixRows(w), nullptr);
    EXPECT_EQ(table->bytes(), static_cast<uint64_t>(67 * 33 * (form == WeightForm::float32 ? 4 : 2)));
    const Matrix x = random_matrix(2, 33, 4);
    EXPECT_THROW(multiply(driver_, x, *table), Error);
  }
}

TEST_P(Pack, NamesTheWeightAndThePlaceOfAValueThatIsNotFinite) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                          -std::numeric_limits<float>::infinity()}) {
    Matrix w = random_matrix(140, 33, 4);
    w.at(137, 32) = bad;
    for (const WeightForm form : {WeightForm::float32, WeightForm::bfloat16, WeightForm::float16}) {
      const std::string message = failure(w, form, ErrorCode::invalid_checkpoint);
      EXPECT_NE(message.find("test.weight: the weight at [137, 32]"), std::string::npos) << message;
    }
  }
}

TEST_P(Pack, RefusesWhatTheFormCannotHold) {
  Matrix w = random_matrix(5, 9, 5);
  w.at(4, 3) = 65519.0f;  // rounds to 65504, the largest float16
  EXPECT_EQ(failure(w, WeightForm::float16, ErrorCode::invalid_checkpoint), "no error");
  w.at(4, 3) = -65520.0f;
  EXPECT_NE(failure(w, WeightForm::float16, ErrorCode::invalid_checkpoint)
                .find("[4, 3] is -65520, beyond the range of float16"),
            std::string::npos);
  w.at(4, 3) = std::numeric_limits<float>::max();
  EXPECT_NE(failure(w, WeightForm::bfloat16, ErrorCode::invalid_checkpoint).find("beyond the range of bfloat16"),
            std::string::npos);
  EXPECT_EQ(failure(w, WeightForm::float32, ErrorCode::invalid_checkpoint), "no error");
}

TEST_P(Pack, StopsWhenAsked) {
  const Matrix w = random_matrix(300, 10, 6);
  const std::atomic<bool> abort = true;
  try {
    driver_.pack({"test.weight", 300, 10, WeightForm::float32, ComputeType::float32}, MatrixRows(w), &abort);
    FAIL() << "packed although aborted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::aborted);
    EXPECT_NE(std::string(error.what()).find("test.weight"), std::string::npos);
  }
}

TEST_P(Pack, AnErrorOfTheSourceArrives) {
  class Broken final : public RowSource {
    void read_rows(int64_t, int64_t, float*) const override { fail(ErrorCode::invalid_checkpoint, "truncated"); }
  };
  EXPECT_THROW(driver_.pack({"w", 500, 4, WeightForm::float32, ComputeType::float32}, Broken(), nullptr), Error);
}

INSTANTIATE_TEST_SUITE_P(Isas, Pack, ::testing::ValuesIn(available_isas()), IsaPrinter());

}  // namespace
}  // namespace octoformer
