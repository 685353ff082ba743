// Tests of attention on emulated bfloat16 units, whichever kernels multiply: of tiles (attention_amx_test.cc) or of
// pairs (attention_dots_test.cc).
#pragma once
#include "attention_testing.h"

namespace octoformer {
namespace testing_attention {

/// A layer on kernels that are compiled for one lane and emulated units.
inline Layer emulated_layer(const AttentionKernels& attention, const RowKernels& rows, const Shape& shape,
                            const Pattern& pattern) {
  Layer layer(Isa::scalar, 2, shape, pattern, KeyValueForm::bfloat16);
  layer.use_kernels(attention, rows);
  return layer;
}

inline void compare_emulated_with_definition(const AttentionKernels& attention, const RowKernels& rows) {
  reference::CaseFilter cases(11);
  const Pattern patterns[] = {
      {}, {.causal = false}, {.window = 37}, {.softcap = 1.5f, .alibi = true, .distances = true}};
  for (const Shape& shape : {Shape{1, 1, 1}, Shape{9, 3, 64}, Shape{5, 1, 80}, Shape{2, 1, 17}}) {
    for (const Pattern& pattern : patterns) {
      if (!cases.next()) continue;
      Layer layer = emulated_layer(attention, rows, shape, pattern);
      compare_layer(layer, shape, pattern, 0, 35, KeyValueForm::bfloat16, true);
      if (shape.head_dim < 20) compare_layer(layer, shape, pattern, 253, 4, KeyValueForm::bfloat16, true);
    }
  }
}

inline void compare_emulated_decoding_with_prefill(const AttentionKernels& attention, const RowKernels& rows) {
  constexpr int64_t kLength = 70;
  const Shape shape{6, 2, 20};
  for (const Pattern& pattern : {Pattern{}, Pattern{.window = 9}}) {
    const Tokens tokens(shape, kLength, 3);
    Layer layer = emulated_layer(attention, rows, shape, pattern);
    const PagedSequence pages = layer.pages(kLength), again = layer.pages(kLength);
    const std::vector<float> whole = layer.run({{&tokens, &pages, 0, kLength}});
    std::vector<float> stepped;
    for (int64_t past = 0; past < kLength; ++past) {
      const std::vector<float> row = layer.run({{&tokens, &again, past, 1}});
      stepped.insert(stepped.end(), row.begin(), row.end());
    }
    EXPECT_EQ(stepped, whole);
  }
}

}  // namespace testing_attention
}  // namespace octoformer
