// Keys and values in bfloat16 and int8: what is stored, and that attention is the one over what it stands for.
#include <gtest/gtest.h>

#include <cstring>

#include "attention_testing.h"
#include "cpu/key_value_page.h"

namespace octoformer {
namespace {

using namespace testing_attention;

const Shape kShapes[] = {{1, 1, 1}, {4, 2, 12}, {9, 3, 64}, {5, 1, 80}, {13, 1, 17}, {2, 2, 128}};
constexpr KeyValueForm kForms[] = {KeyValueForm::bfloat16, KeyValueForm::int8};

const char* name_of(KeyValueForm form) { return form == KeyValueForm::int8 ? "int8" : "bfloat16"; }

TEST(KeyValueForms, StoredBytesAndScalesAreTheReferencesBitForBit) {
  constexpr int64_t kPositions = 45;
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const Isa isa : available_isas()) {
    for (const Shape& shape : kShapes) {
      SCOPED_TRACE(std::string(isa_name(isa)) + " head_dim " + std::to_string(shape.head_dim));
      Tokens tokens(shape, kPositions, 21);
      const int64_t columns = shape.kv_heads * shape.head_dim;
      std::fill_n(tokens.key.begin() + 3 * columns, columns, 0.0f);
      std::fill_n(tokens.value.begin() + 4 * columns, columns, 1e-42f);  // too small for a scale
      tokens.key[static_cast<size_t>(5 * columns)] = std::numeric_limits<float>::quiet_NaN();
      tokens.value[static_cast<size_t>(6 * columns + shape.head_dim - 1)] = -kInfinity;
      Layer layer(isa, 2, shape, {}, KeyValueForm::int8);
      const PagedSequence pages = layer.pages(kPositions);
      layer.run({{&tokens, &pages, 0, 33}});
      layer.run({{&tokens, &pages, 33, kPositions - 33}});

      const auto heads = [&](const std::vector<float>& numbers) {
        return quantize({numbers.data(), kPositions * shape.kv_heads, shape.head_dim, shape.head_dim},
                        Int8Mapping::absmax, Int8Granularity::row);
      };
      const QuantizedMatrix keys = heads(tokens.key), values = heads(tokens.value);
      for (int64_t position = 0; position < kPositions; ++position) {
        for (int64_t head = 0; head < shape.kv_heads; ++head) {
          const std::byte* at = pages.page(position / kPageKeys) + Layer::kPageOffset +
                                head_offset(KeyValueForm::int8, head, shape.head_dim);
          const auto* key = reinterpret_cast<const int8_t*>(at);
          const int8_t* value = key + values_offset(KeyValueForm::int8, shape.head_dim);
          const auto* scales = reinterpret_cast<const float*>(at + scales_offset(KeyValueForm::int8, shape.head_dim));
          const int64_t slot = position % kPageKeys, row = position * shape.kv_heads + head;
          const float expected[] = {keys.row_scale(row), values.row_scale(row)};
          const float found[] = {scales[slot], scales[kPageKeys + slot]};
          for (int part = 0; part < 2; ++part) {
            if (std::isnan(expected[part])) {
              ASSERT_TRUE(std::isnan(found[part])) << "position " << position;
            } else {
              ASSERT_EQ(found[part], expected[part]) << "position " << position;
            }
          }
          for (int64_t d = 0; d < shape.head_dim; ++d) {
            ASSERT_EQ(key[d * kPageKeys + slot], keys.row(row)[d]) << "position " << position << ", key " << d;
            ASSERT_EQ(value[slot * padded_head_dim(shape.head_dim) + d], values.row(row)[d])
                << "position " << position << ", value " << d;
          }
        }
      }
    }
  }
}

TEST(KeyValueForms, AttentionIsTheDefinitionsOverTheKeptNumbers) {
  const Pattern patterns[] = {{},
                              {.causal = false},
                              {.window = 37},
                              {.softcap = 1.5f, .alibi = true},
                              {.causal = false, .window = 5, .distances = true},
                              {.window = 9, .sparse = {.sinks = 3}}};
  reference::CaseFilter cases(5);
  for (const KeyValueForm form : kForms) {
    SCOPED_TRACE(name_of(form));
    for (const Shape& shape : kShapes) {
      for (const Pattern& pattern : patterns) {
        if (!cases.next()) continue;
        compare_with_reference(shape, pattern, 0, 33, form);
        compare_with_reference(shape, pattern, 64, 1, form);
      }
    }
    compare_with_reference({2, 1, 9}, {}, 509, 5, form);  // three groups of keys
    compare_with_reference({3, 1, 40}, {.window = 300}, 560, 40, form);
    compare_with_reference({2, 1, 32}, {.window = 9}, 250, 20,
                           form);  // rows of a tile without a key in its first group
  }
}

// Widened once, pages go through the kernels of float32: with kept numbers in, both give the same bits. Where bfloat16
// units take them as they are, prefill has bits of its own, and everything else has those.
TEST(KeyValueForms, TheBitsAreTheSameInPrefillInChunksInDecodeAndInBatches) {
  constexpr int64_t kLength = 281;  // more than one group of 256 keys
  const Pattern patterns[] = {{}, {.window = 37, .alibi = true}, {.window = 70, .sparse = {.sinks = 40}}};
  reference::CaseFilter cases(11);
  for (const Isa isa : available_isas()) {
    for (const KeyValueForm form : kForms) {
      for (const Shape& shape : {Shape{3, 1, 64}, Shape{4, 2, 13}, Shape{2, 2, 48}}) {
        for (const Pattern& pattern : patterns) {
          if (!cases.next()) continue;
          SCOPED_TRACE(std::string(isa_name(isa)) + " " + name_of(form) + " " + describe(shape, pattern));
          const Tokens tokens(shape, kLength, 22), kept = as_kept(tokens, shape, form), other(shape, 50, 23);
          Layer narrow(isa, 3, shape, pattern, form);
          const PagedSequence pages = narrow.pages(kLength);
          const std::vector<float> prefilled = narrow.run({{&tokens, &pages, 0, kLength}});
          if (!on_bfloat16_units(isa, form) || pattern.sparse.any()) {
            Layer floats(isa, 1, shape, pattern);
            const PagedSequence float_pages = floats.pages(kLength);
            EXPECT_EQ(floats.run({{&kept, &float_pages, 0, kLength}}), prefilled) << "float32 pages";
          }

          const PagedSequence again = narrow.pages(kLength), beside = narrow.pages(50);
          std::vector<float> stepped;
          for (int64_t past = 0; past < kLength;) {  // chunks, then single tokens, now and then beside another sequence
            const int64_t count = past < 270 ? std::min<int64_t>(past % 53 + 1, 270 - past) : 1;
            std::vector<Layer::Step> steps = {{&tokens, &again, past, count}};
            if (past % 2 == 0) steps.push_back({&other, &beside, 0, 50});
            const std::vector<float> rows = narrow.run(steps);
            const auto end = rows.begin() + static_cast<std::ptrdiff_t>(count * shape.heads * shape.head_dim);
            stepped.insert(stepped.end(), rows.begin(), end);
            past += count;
          }
          EXPECT_EQ(stepped, prefilled) << "chunks, decode and batches";
        }
      }
    }
  }
}

// From 1024 keys of 256 numbers on, the tiles of a call take each group of keys one after the other
// (kernels/attention_amx.h): the whole does here, its parts don't, but for the last one.
TEST(KeyValueForms, TilesThatTakeGroupsTogetherHaveTheBitsOfThoseThatDont) {
  constexpr int64_t kLength = 1100, kPart = 275;
  const Shape shape{1, 1, 256};
  for (const Isa isa : available_isas()) {
    if (!on_bfloat16_units(isa, KeyValueForm::bfloat16)) continue;  // others have one order for all
    for (const Pattern& pattern : {Pattern{}, Pattern{.window = 300}}) {
      const Tokens tokens(shape, kLength, 29);
      Layer layer(isa, 1, shape, pattern, KeyValueForm::bfloat16);
      const PagedSequence pages = layer.pages(kLength), again = layer.pages(kLength);
      const std::vector<float> whole = layer.run({{&tokens, &pages, 0, kLength}});
      std::vector<float> parts;
      for (int64_t past = 0; past < kLength; past += kPart) {
        const std::vector<float> rows = layer.run({{&tokens, &again, past, kPart}});
        parts.insert(parts.end(), rows.begin(), rows.end());
      }
      EXPECT_EQ(parts, whole);
    }
  }
}

TEST(KeyValueForms, NumbersThatAreNotFinitePoisonWhoSeesThem) {
  constexpr int64_t kLength = 70;
  struct Case {
    int64_t place, window;
  };
  // In the second one all rows of the tile see keys of the same page before that one.
  constexpr Case kCases[] = {{40, 9}, {55, kLength}};
  const Shape shape{4, 2, 20};
  const int64_t columns = shape.heads * shape.head_dim;
  for (const Isa isa : available_isas()) {
    for (size_t number = 0; number < std::size(kForms) * std::size(kCases); ++number) {
      const KeyValueForm form = kForms[number / std::size(kCases)];
      const auto [place, window] = kCases[number % std::size(kCases)];
      const Tokens tokens(shape, kLength, 24);
      Layer layer(isa, 2, shape, {.window = window}, form);
      const PagedSequence pages = layer.pages(kLength), again = layer.pages(kLength);
      const std::vector<float> clean = layer.run({{&tokens, &pages, 0, kLength}});
      for (const float poison : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
        Tokens poisoned = tokens;
        const int64_t key_columns = shape.kv_heads * shape.head_dim;
        for (int64_t head = 0; head < shape.kv_heads; ++head) {
          poisoned.key[static_cast<size_t>(place * key_columns + head * shape.head_dim + 3)] = poison;
        }
        for (int64_t i = 0; i < key_columns; ++i) {
          poisoned.value[static_cast<size_t>(place * key_columns + i)] = poison;
        }
        const std::vector<float> out = layer.run({{&poisoned, &again, 0, kLength}});
        for (int64_t i = 0; i < kLength * columns; ++i) {
          const int64_t row = i / columns;
          const auto at = static_cast<size_t>(i);
          if (row < place || row >= place + window) {
            ASSERT_EQ(out[at], clean[at]) << "row " << row << " " << isa_name(isa) << " " << name_of(form);
          } else if (form == KeyValueForm::int8) {  // all of a head's numbers share the scale
            ASSERT_TRUE(std::isnan(out[at])) << "row " << row << " hides " << poison;
          } else {
            ASSERT_FALSE(std::isfinite(out[at])) << "row " << row << " hides " << poison;
          }
        }
      }
    }
  }
}

TEST(KeyValueForms, PagesTakeWhatTheirNumbersTake) {
  const std::unique_ptr<Backend> backend = make_cpu_backend({.threads = 1, .isa = ""});
  const auto bytes = [&](KeyValueForm form) { return backend->key_value_page_bytes(3, 64, form); };
  EXPECT_EQ(bytes(KeyValueForm::float32), 2u * 32 * 64 * 3 * 4);
  EXPECT_EQ(bytes(KeyValueForm::bfloat16), 2u * 32 * 64 * 3 * 2);
  EXPECT_EQ(bytes(KeyValueForm::int8), 2u * 32 * (64 + 4) * 3);  // a number, and a scale for each 64
}

}  // namespace
}  // namespace octoformer
