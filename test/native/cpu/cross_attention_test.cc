// Attention of one sequence's queries to the keys of another one (AttentionArguments::cross).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "attention_testing.h"
#include "reference/effort.h"

namespace octoformer {
namespace {

using testing_attention::kTolerance;
using testing_attention::on_bfloat16_units;
using testing_attention::PagedSequence;
using testing_attention::rounded;
using testing_attention::Shape;
using testing_attention::weight_rounding;

const Shape kShapes[] = {{1, 1, 1}, {6, 2, 16}, {5, 1, 80}};

/// One sequence's queries, and the keys and values of another one: more than a group of 256, and fewer than a page.
struct Pair {
  int64_t queries, keys;
};

const Pair kPairs[] = {{1, 1}, {5, 33}, {26, 300}, {3, 7}, {1, 700}};

/// All pairs as one ragged batch.
class Batch {
 public:
  Batch(Backend& backend, const Shape& shape, KeyValueForm form)
      : backend_(backend),
        shape_(shape),
        layer_{.kv_heads = shape.kv_heads, .head_dim = shape.head_dim, .page_offset = 0, .form = form} {
    const int64_t key_columns = shape.kv_heads * shape.head_dim;
    int64_t rows = 0;
    for (const Pair& pair : kPairs) {
      reference::Random random(static_cast<uint64_t>(pair.keys));
      query_.push_back(random.vector(pair.queries * columns(), -2.0f, 2.0f));
      key_.push_back(random.vector(pair.keys * key_columns, -2.0f, 2.0f));
      value_.push_back(random.vector(pair.keys * key_columns, -1.0f, 1.0f));
      pages_.emplace_back(backend, shape.kv_heads, shape.head_dim, pair.keys, 0, form);
      const std::vector<SequenceSlice> whole = {pages_.back().slice(0, pair.keys, 0)};
      backend.store_key_value({.key = {key_.back().data(), pair.keys, key_columns, key_columns},
                               .value = {value_.back().data(), pair.keys, key_columns, key_columns},
                               .sequences = whole,
                               .layer = layer_});
      if (form == KeyValueForm::bfloat16) {  // what the definition sees
        key_.back() = rounded(key_.back());
        value_.back() = rounded(value_.back());
      }
      SequenceSlice slice = pages_.back().slice(rows, 0, pair.keys);
      slice.count = pair.queries;
      slices_.push_back(slice);
      rows += pair.queries;
    }
  }

  int64_t columns() const { return shape_.heads * shape_.head_dim; }
  float scale() const { return 1.0f / std::sqrt(static_cast<float>(shape_.head_dim)); }

  /// Outputs of some sequences of the batch; with `probabilities`, those too.
  std::vector<float> attend(size_t first, size_t count, std::vector<float>* probabilities) {
    std::vector<SequenceSlice> slices;
    std::vector<float> query;
    size_t floats = 0;
    for (size_t i = first; i < first + count; ++i) {
      slices.push_back(slices_[i]);
      slices.back().first_row -= slices_[first].first_row;
      query.insert(query.end(), query_[i].begin(), query_[i].end());
      floats += static_cast<size_t>(shape_.heads * kPairs[i].queries * kPairs[i].keys);
    }
    if (probabilities != nullptr) probabilities->assign(floats, -1.0f);
    const int64_t rows = static_cast<int64_t>(query.size()) / columns();
    std::vector<float> out(query.size());
    backend_.attention({.query = {query.data(), rows, columns(), columns()},
                        .out = {out.data(), rows, columns(), columns()},
                        .sequences = slices,
                        .layer = layer_,
                        .heads = shape_.heads,
                        .scale = scale(),
                        .causal = false,
                        .cross = true,
                        .probabilities = probabilities == nullptr ? nullptr : probabilities->data()});
    return out;
  }

  /// `on_units`: with queries rounded to bfloat16.
  reference::Attention definition(size_t index, bool on_units) {
    if (on_units) query_[index] = rounded(query_[index]);
    return {.heads = shape_.heads,
            .kv_heads = shape_.kv_heads,
            .head_dim = shape_.head_dim,
            .count = kPairs[index].queries,
            .keys = kPairs[index].keys,
            .query = query_[index].data(),
            .key = key_[index].data(),
            .value = value_[index].data(),
            .scale = static_cast<double>(scale()),
            .causal = false};
  }

 private:
  Backend& backend_;
  const Shape shape_;
  const KeyValueLayer layer_;
  std::vector<std::vector<float>> query_, key_, value_;
  std::vector<PagedSequence> pages_;
  std::vector<SequenceSlice> slices_;
};

TEST(CrossAttention, IsWhatTheDefinitionSaysWithTheBitsOfEachSequenceAlone) {
  reference::CaseFilter cases(4);
  for (const Isa isa : available_isas()) {
    for (const Shape& shape : kShapes) {
      for (const auto& [threads, form] : {std::pair{1, KeyValueForm::float32}, std::pair{3, KeyValueForm::float32},
                                          std::pair{3, KeyValueForm::bfloat16}}) {
        if (!cases.next()) continue;
        SCOPED_TRACE(std::string(isa_name(isa)) + " heads of " + std::to_string(shape.head_dim) + ", " +
                     std::to_string(threads) + " threads, form " + std::to_string(static_cast<int>(form)));
        const bool on_units = on_bfloat16_units(isa, form);
        const auto backend = make_cpu_backend({.threads = threads, .isa = std::string(isa_name(isa))});
        Batch batch(*backend, shape, form);
        std::vector<float> probabilities;
        const std::vector<float> out = batch.attend(0, std::size(kPairs), &probabilities);
        auto row = out.begin();
        auto probability = probabilities.begin();
        for (size_t i = 0; i < std::size(kPairs); ++i) {
          const std::vector<float> alone = batch.attend(i, 1, nullptr);
          const reference::Attention exact = batch.definition(i, on_units);
          const std::vector<double> exact_probabilities = exact.probabilities();
          const std::vector<double> exact_out = exact.output(exact_probabilities);
          EXPECT_TRUE(std::equal(alone.begin(), alone.end(), row)) << "sequence " << i;
          for (size_t at = 0; at < exact_out.size(); ++at) {
            const double rounding = on_units ? weight_rounding(exact, exact_probabilities, exact_out, at) : 0.0;
            ASSERT_NEAR(*row++, exact_out[at], kTolerance + rounding);
          }
          for (const double expected : exact_probabilities) ASSERT_NEAR(*probability++, expected, kTolerance);
        }
        EXPECT_EQ(row, out.end());
        EXPECT_EQ(probability, probabilities.end());
      }
    }
  }
}

}  // namespace
}  // namespace octoformer
