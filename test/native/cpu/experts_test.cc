// The ops of a mixture of experts under every ISA of the machine, against the reference backend and against each row
// multiplied alone.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "cpu/cpu_backend.h"
#include "cpu/isa.h"
#include "cpu/isa_dispatch.h"
#include "linear_testing.h"
#include "reference/random.h"
#include "reference/reference_backend.h"
#include "reference/strided.h"

namespace octoformer {
namespace {

using reference::Matrix;
using reference::Random;
using reference::Strided;
using testing_linear::MatrixRows;

std::unique_ptr<Backend> backend_for(Isa isa, int threads) {
  return make_cpu_backend({.threads = threads, .isa = std::string(isa_name(isa))});
}

struct RoutingCase {
  int64_t rows, experts, chosen;
};
constexpr RoutingCase kRoutings[] = {{0, 4, 2}, {1, 1, 1}, {3, 4, 4}, {7, 5, 2}, {33, 60, 4}, {257, 128, 8}};

TEST(ExpertRouting, ChoosesTheLargestInTheOrderOfTheirNumbers) {
  ReferenceBackend oracle;
  Random random(61);
  for (const Isa isa : available_isas()) {
    for (const RoutingCase& shape : kRoutings) {
      for (const bool normalize : {false, true}) {
        Strided logits(shape.rows, shape.experts, random.vector(shape.rows * shape.experts, -4.0f, 4.0f));
        Strided experts(shape.rows, shape.chosen), weights(shape.rows, shape.chosen);
        Strided wanted_experts(shape.rows, shape.chosen), wanted_weights(shape.rows, shape.chosen);
        backend_for(isa, 3)->expert_routing({logits.view(), normalize, experts.view(), weights.view()});
        oracle.expert_routing({logits.view(), normalize, wanted_experts.view(), wanted_weights.view()});
        EXPECT_EQ(experts.values(), wanted_experts.values()) << isa_name(isa);
        // An exponential is within 2 units of 2^-24, so is their sum (of positive numbers); a division or two more.
        for (int64_t row = 0; row < shape.rows; ++row) {
          for (int64_t slot = 0; slot < shape.chosen; ++slot) {
            const double wanted = static_cast<double>(wanted_weights.at(row, slot));
            ASSERT_NEAR(weights.at(row, slot), wanted, 16 * 0x1p-24 * wanted) << isa_name(isa);
          }
        }
        EXPECT_TRUE(experts.gaps_untouched() && weights.gaps_untouched());
      }
    }
  }
}

TEST(ExpertRouting, OfEqualOnesTheFirstAndOfBrokenOnesSomeThatExist) {
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  for (const Isa isa : available_isas()) {
    Strided logits(2, 5, {0.5f, 2.0f, 2.0f, 0.5f, 2.0f, kNaN, kNaN, 1.0f, kNaN, kNaN});
    Strided experts(2, 2), weights(2, 2);
    backend_for(isa, 1)->expert_routing({logits.view(), true, experts.view(), weights.view()});
    EXPECT_EQ(experts.at(0, 0), 1.0f);
    EXPECT_EQ(experts.at(0, 1), 2.0f);
    EXPECT_EQ(weights.at(0, 0), 0.5f);
    for (const int64_t slot : {0, 1}) {
      EXPECT_TRUE(experts.at(1, slot) >= 0.0f && experts.at(1, slot) < 5.0f);
      EXPECT_TRUE(std::isnan(weights.at(1, slot)));  // so that logits become NaN, which is reported
    }
    EXPECT_NE(experts.at(1, 0), experts.at(1, 1));
  }
}

TEST(WeightedSum, AddsThePiecesInOrder) {
  Random random(62);
  for (const Isa isa : available_isas()) {
    for (const int64_t columns : {1, 5, 16, 67}) {
      for (const int64_t pieces : {1, 2, 9}) {
        for (const bool residual : {false, true}) {
          constexpr int64_t kRows = 5;
          Strided input(kRows, pieces * columns, random.vector(kRows * pieces * columns));
          Strided weights(kRows, pieces, random.vector(kRows * pieces));
          Strided stream(kRows, columns, random.vector(kRows * columns)), out(kRows, columns), wanted(kRows, columns);
          WeightedSumArguments arguments{input.view(), weights.view(), {}, out.view()};
          if (residual) arguments.residual = stream.view();
          backend_for(isa, 2)->weighted_sum(arguments);
          arguments.out = wanted.view();
          ReferenceBackend().weighted_sum(arguments);
          // Every one of the products and sums, below `pieces` + 1, is rounded once.
          const double bound = static_cast<double>((pieces + 2) * (pieces + 1)) * 0x1p-24;
          for (int64_t row = 0; row < kRows; ++row) {
            for (int64_t i = 0; i < columns; ++i) ASSERT_NEAR(out.at(row, i), wanted.at(row, i), bound);
          }
          EXPECT_TRUE(out.gaps_untouched());
          if (residual) {  // in place
            arguments.out = stream.view();
            backend_for(isa, 1)->weighted_sum(arguments);
            EXPECT_EQ(stream.values(), out.values());
          }
        }
      }
    }
  }
}

struct WeightCase {
  const char* name;
  WeightForm form;
  Int8Settings int8;
};

std::vector<WeightCase> weight_cases() {
  Int8Settings outliers;
  outliers.threshold = 0.9f;
  Int8Settings weight_only;
  weight_only.weight_only = true;
  Int8Settings groups = weight_only;
  groups.group_size = 8;
  return {{"float32", WeightForm::float32, {}},
          {"bfloat16", WeightForm::bfloat16, {}},
          {"int8", WeightForm::int8, outliers},
          {"int8 weights only", WeightForm::int8, weight_only},
          {"int8 weights in groups", WeightForm::int8, groups}};
}

/// Experts of one shape, of which the last one is not there: nobody may ask for it.
struct Experts {
  Experts(Backend& backend, int64_t count, int64_t out_features, int64_t in_features, const WeightCase& kind) {
    Random random(63);
    for (int64_t i = 0; i + 1 < count; ++i) {
      Matrix values(out_features, in_features);
      values.values = random.vector(out_features * in_features);
      owned.push_back(
          backend.pack_linear({"expert", out_features, in_features, kind.form, ComputeType::float32, kind.int8},
                              MatrixRows(values), nullptr));
      weights.push_back(owned.back().get());
    }
    weights.push_back(nullptr);
  }
  std::vector<std::unique_ptr<LinearWeight>> owned;
  std::vector<const LinearWeight*> weights;
};

struct GroupedCase {
  int64_t rows, experts, slots, out_features, in_features;
  bool own_inputs;  // each slot has its own columns
};
constexpr GroupedCase kGrouped[] = {{0, 3, 1, 4, 3, false},   {1, 5, 2, 17, 7, false},    {1, 5, 3, 1, 65, true},
                                    {7, 4, 2, 33, 31, false}, {70, 6, 3, 67, 129, false}, {41, 9, 4, 70, 35, true}};

TEST(GroupedLinear, EverySlotHasTheBitsOfItsRowAlone) {
  for (const Isa isa : available_isas()) {
    for (const WeightCase& kind : weight_cases()) {
      const std::unique_ptr<Backend> backend = backend_for(isa, 3), alone = backend_for(isa, 1);
      for (const GroupedCase& shape : kGrouped) {
        const Experts experts(*backend, shape.experts, shape.out_features, shape.in_features, kind);
        Random random(64);
        const int64_t inputs = shape.own_inputs ? shape.slots : 1;
        Strided input(shape.rows, inputs * shape.in_features, random.vector(shape.rows * inputs * shape.in_features));
        Strided numbers(shape.rows, shape.slots), out(shape.rows, shape.slots * shape.out_features);
        for (int64_t row = 0; row < shape.rows; ++row) {
          for (int64_t slot = 0; slot < shape.slots; ++slot) {
            const auto expert = static_cast<int64_t>(random.bits() % static_cast<uint64_t>(shape.experts - 1));
            numbers.view().row(row)[slot] = static_cast<float>(expert);
          }
        }
        backend->grouped_linear({input.view(), numbers.view(), experts.weights, out.view()});
        EXPECT_TRUE(out.gaps_untouched());
        for (int64_t row = 0; row < shape.rows; ++row) {
          for (int64_t slot = 0; slot < shape.slots; ++slot) {
            std::vector<float> wanted(static_cast<size_t>(shape.out_features));
            LinearArguments call;
            call.input = {input.view().row(row) + (inputs == 1 ? 0 : slot * shape.in_features), 1, shape.in_features,
                          shape.in_features};
            call.weight = experts.weights[static_cast<size_t>(numbers.at(row, slot))];
            call.out = {wanted.data(), 1, shape.out_features, shape.out_features};
            alone->linear(call);
            for (int64_t i = 0; i < shape.out_features; ++i) {
              ASSERT_EQ(out.at(row, slot * shape.out_features + i), wanted[static_cast<size_t>(i)])
                  << isa_name(isa) << " " << kind.name << " row " << row << " slot " << slot;
            }
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace octoformer
