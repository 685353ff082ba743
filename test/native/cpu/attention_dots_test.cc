// Attention on emulated vectors of bfloat16 pairs, on every machine.
#include <gtest/gtest.h>

#define OCTOFORMER_BFLOAT16_ATTENTION 1

#include "cpu/vec/vec_scalar.h"

#include "cpu/vec/int8_scalar.h"

#define OCTOFORMER_BFLOAT16_UNIT 1
#include "emulated_bfloat16_unit.h"

#include "cpu/kernels/attention_table.h"
#include "cpu/kernels/row_table.h"

#include "attention_units_testing.h"

namespace octoformer {
namespace {

using namespace testing_attention;

TEST(AttentionOnEmulatedPairs, IsWhatTheDefinitionSays) {
  compare_emulated_with_definition(kAttentionKernels, kRowKernels);
}

TEST(AttentionOnEmulatedPairs, DecodingHasTheBitsOfPrefill) {
  compare_emulated_decoding_with_prefill(kAttentionKernels, kRowKernels);
}

}  // namespace
}  // namespace octoformer
