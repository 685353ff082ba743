// Attention of one sequence's queries to the keys of another one (AttentionArguments::cross).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "cpu/cpu_backend.h"
#include "cpu/isa.h"
#include "reference/attention.h"
#include "reference/paged_cache.h"
#include "reference/random.h"

namespace octoformer {
namespace {

using reference::PagedSequence;

struct Shape {
  int64_t heads, kv_heads, head_dim;
};

const Shape kShapes[] = {{1, 1, 1}, {6, 2, 16}, {5, 1, 80}};

/// One sequence's queries, and the keys and values of another one: more than a group of 256, and fewer than a page.
struct Pair {
  int64_t queries, keys;
};

const Pair kPairs[] = {{1, 1}, {5, 33}, {26, 300}, {3, 7}, {1, 700}};

/// As in attention_test.cc.
constexpr double kTolerance = 2e-5;

/// All pairs as one ragged batch.
class Batch {
 public:
  Batch(Backend& backend, const Shape& shape)
      : backend_(backend),
        shape_(shape),
        layer_{.kv_heads = shape.kv_heads, .head_dim = shape.head_dim, .page_offset = 0} {
    const int64_t key_columns = shape.kv_heads * shape.head_dim;
    int64_t rows = 0;
    for (const Pair& pair : kPairs) {
      reference::Random random(static_cast<uint64_t>(pair.keys));
      query_.push_back(random.vector(pair.queries * columns(), -2.0f, 2.0f));
      key_.push_back(random.vector(pair.keys * key_columns, -2.0f, 2.0f));
      value_.push_back(random.vector(pair.keys * key_columns, -1.0f, 1.0f));
      pages_.emplace_back(backend, shape.kv_heads, shape.head_dim, pair.keys);
      const std::vector<SequenceSlice> whole = {pages_.back().slice(0, pair.keys, 0)};
      backend.store_key_value({.key = {key_.back().data(), pair.keys, key_columns, key_columns},
                               .value = {value_.back().data(), pair.keys, key_columns, key_columns},
                               .sequences = whole,
                               .layer = layer_});
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

  reference::Attention definition(size_t index) const {
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
  for (const Isa isa : available_isas()) {
    for (const Shape& shape : kShapes) {
      for (const int threads : {1, 3}) {
        SCOPED_TRACE(std::string(isa_name(isa)) + " heads of " + std::to_string(shape.head_dim) + ", " +
                     std::to_string(threads) + " threads");
        const auto backend = make_cpu_backend({.threads = threads, .isa = std::string(isa_name(isa))});
        Batch batch(*backend, shape);
        std::vector<float> probabilities;
        const std::vector<float> out = batch.attend(0, std::size(kPairs), &probabilities);
        auto row = out.begin();
        auto probability = probabilities.begin();
        for (size_t i = 0; i < std::size(kPairs); ++i) {
          const reference::Attention exact = batch.definition(i);
          const std::vector<double> exact_probabilities = exact.probabilities();
          const std::vector<float> alone = batch.attend(i, 1, nullptr);
          EXPECT_TRUE(std::equal(alone.begin(), alone.end(), row)) << "sequence " << i;
          for (const double expected : exact.output(exact_probabilities)) ASSERT_NEAR(*row++, expected, kTolerance);
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
