// Attention that leaves keys out, and attention to positions, under every ISA: what is read, and against the reference
// backend.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "cpu/cpu_backend.h"
#include "cpu/isa.h"
#include "reference/attention_pattern.h"
#include "reference/effort.h"
#include "reference/paged_cache.h"
#include "reference/random.h"
#include "reference/reference_backend.h"

namespace octoformer {
namespace {

using reference::PagedSequence;
using reference::Random;

std::unique_ptr<Backend> backend_for(Isa isa, int threads) {
  return make_cpu_backend({.threads = threads, .isa = std::string(isa_name(isa))});
}

/// One sequence with one layer's pages on a backend.
class Sequence {
 public:
  Sequence(Backend& backend, int64_t heads, int64_t head_dim, int64_t length, uint64_t seed = 71)
      : backend_(backend), heads_(heads), head_dim_(head_dim), pages_(backend, heads, head_dim, length) {
    Random random(seed);
    query_ = random.vector(length * columns(), -2.0f, 2.0f);
    key_ = random.vector(length * columns(), -2.0f, 2.0f);
    value_ = random.vector(length * columns());
  }

  int64_t columns() const { return heads_ * head_dim_; }
  SequenceSlice slice(int64_t past, int64_t count) const { return pages_.slice(0, count, past); }

  void store(int64_t past, int64_t count) {
    const SequenceSlice part = slice(past, count);
    backend_.store_key_value({rows(key_, past, count), rows(value_, past, count), {&part, 1}, layer()});
  }

  /// Attends with the new tokens of `part`. `arguments` says how.
  std::vector<float> attend(AttentionArguments arguments, const SequenceSlice& part, bool probabilities = false) {
    std::vector<float> out(static_cast<size_t>(part.count * columns()));
    std::vector<float> weights(static_cast<size_t>(heads_ * part.count * (part.past + part.count)));
    arguments.query = rows(query_, part.past, part.count);
    arguments.out = {out.data(), part.count, columns(), columns()};
    arguments.sequences = {&part, 1};
    arguments.layer = layer();
    arguments.heads = heads_;
    arguments.scale = 1.0f / std::sqrt(static_cast<float>(head_dim_));
    if (probabilities) arguments.probabilities = weights.data();
    backend_.attention(arguments);
    return probabilities ? weights : out;
  }

 private:
  ConstMatrixView rows(const std::vector<float>& values, int64_t first, int64_t count) const {
    return {values.data() + first * columns(), count, columns(), columns()};
  }
  KeyValueLayer layer() const { return {.kv_heads = heads_, .head_dim = head_dim_}; }

  Backend& backend_;
  int64_t heads_, head_dim_;
  PagedSequence pages_;
  std::vector<float> query_, key_, value_;
};

struct SkipCase {
  const char* name;
  int64_t window;
  SparsePattern sparse;
};
constexpr SkipCase kSkips[] = {
    {"sinks", 50, {.sinks = 4}}, {"strided", 20, {.stride = 128}}, {"fixed", 0, {.block = 128, .summary = 8}}};

/// The pages that new tokens [past, past + count) attend to.
std::vector<bool> attended_pages(const SkipCase& pattern, int64_t past, int64_t count) {
  std::vector<bool> pages(static_cast<size_t>((past + count + kKeyValuePageTokens - 1) / kKeyValuePageTokens));
  for (int64_t position = past; position < past + count; ++position) {
    for (int64_t key = 0; key <= position; ++key) {
      if (!reference::attends(true, pattern.window, pattern.sparse, position, key)) continue;
      pages[static_cast<size_t>(key / kKeyValuePageTokens)] = true;
    }
  }
  return pages;
}

/// Pages that the pattern leaves out are not there: whoever reads one of them ends the test.
TEST(SparseAttention, ReadsNoPageThatThePatternLeavesOut) {
  for (const Isa isa : available_isas()) {
    for (const SkipCase& pattern : kSkips) {
      for (const int threads : {1, 3}) {
        const std::unique_ptr<Backend> backend = backend_for(isa, threads);
        constexpr int64_t kLength = 1700;  // seven groups of keys
        Sequence sequence(*backend, 2, 20, kLength);
        sequence.store(0, kLength);
        AttentionArguments arguments;
        arguments.window = pattern.window;
        arguments.sparse = pattern.sparse;
        // A step of decoding; one tile of a prompt.
        for (const auto& [past, count] : {std::pair<int64_t, int64_t>{kLength - 1, 1}, {1300, 24}}) {
          SCOPED_TRACE(std::string(isa_name(isa)) + " " + pattern.name + " " + std::to_string(past));
          SequenceSlice part = sequence.slice(past, count);
          const std::vector<float> whole = sequence.attend(arguments, part);
          const std::vector<float> probabilities = sequence.attend(arguments, part, true);
          const std::vector<bool> wanted = attended_pages(pattern, past, count);
          std::vector<std::byte*> pages(part.pages.begin(), part.pages.end());
          for (size_t page = 0; page < pages.size(); ++page) {
            if (!wanted[page]) pages[page] = nullptr;
          }
          part.pages = pages;
          EXPECT_EQ(sequence.attend(arguments, part), whole);
          EXPECT_EQ(sequence.attend(arguments, part, true), probabilities);
        }
      }
    }
  }
}

/// What the test above allows to be read grows with what is attended to, not with the length.
TEST(SparseAttention, PagesReadGrowWithWhatIsAttendedTo) {
  const auto visited = [](const SkipCase& pattern, int64_t length) {
    const std::vector<bool> pages = attended_pages(pattern, length - 1, 1);
    return std::count(pages.begin(), pages.end(), true);
  };
  const auto& [sinks, strided, fixed] = kSkips;
  // 1,024 tokens lie in 32 pages, 8,192 in 256.
  EXPECT_EQ(visited(sinks, 1024), 1 + 2);  // a window of 50 ends with its page, and begins in the one before
  EXPECT_EQ(visited(sinks, 8192), 1 + 2);
  EXPECT_EQ(visited(strided, 1024), 8);  // one in 128 keys
  EXPECT_EQ(visited(strided, 8192), 64);
  EXPECT_EQ(visited(fixed, 1024), 7 + 4);  // the end of each block, and all of the last one
  EXPECT_EQ(visited(fixed, 8192), 63 + 4);
}

struct PositionCase {
  int64_t heads, head_dim, length, places, reach;
  bool keys, queries, causal;
};
constexpr PositionCase kPositions[] = {
    {1, 1, 1, 1, 0, true, true, false},       {4, 12, 30, 16, 63, true, true, false},
    {2, 20, 70, 300, 150, true, false, true}, {3, 17, 65, 7, 3, false, true, false},
    {2, 64, 290, 512, 290, true, true, true}, {2, 9, 281, 90, 400, true, true, false}};

/// Places that rise by 0, 1 or more from one distance to the next.
std::vector<int32_t> rising_places(const PositionCase& shape, Random& random) {
  std::vector<int32_t> index(static_cast<size_t>(2 * shape.reach + 1));
  for (int32_t& place : index) place = static_cast<int32_t>(random.bits() % static_cast<uint64_t>(shape.places));
  std::sort(index.begin(), index.end());
  return index;
}

TEST(AttentionToPositions, IsWhatTheDefinitionSaysAndDoesNotDependOnTheSplit) {
  for (const Isa isa : available_isas()) {
    reference::CaseFilter cases(3);
    for (const PositionCase& shape : kPositions) {
      if (!cases.next()) continue;
      SCOPED_TRACE(std::string(isa_name(isa)) + " " + std::to_string(shape.length));
      Random random(72);
      const std::vector<int32_t> index = rising_places(shape, random);
      const int64_t columns = shape.heads * shape.head_dim;
      const std::vector<float> keys = random.vector(shape.places * columns),
                               queries = random.vector(shape.places * columns);
      AttentionArguments arguments;
      arguments.causal = shape.causal;
      arguments.positions.index = index.data();
      arguments.positions.reach = shape.reach;
      if (shape.keys) arguments.positions.keys = {keys.data(), shape.places, columns, columns};
      if (shape.queries) arguments.positions.queries = {queries.data(), shape.places, columns, columns};

      ReferenceBackend oracle;
      Sequence exact(oracle, shape.heads, shape.head_dim, shape.length);
      exact.store(0, shape.length);
      const std::unique_ptr<Backend> one = backend_for(isa, 1), three = backend_for(isa, 3);
      Sequence alone(*one, shape.heads, shape.head_dim, shape.length);
      alone.store(0, shape.length);
      const SequenceSlice all = alone.slice(0, shape.length);
      const std::vector<float> whole = alone.attend(arguments, all);
      for (const bool probabilities : {false, true}) {
        const std::vector<float> found = alone.attend(arguments, all, probabilities);
        const std::vector<float> wanted = exact.attend(arguments, exact.slice(0, shape.length), probabilities);
        double worst = 0.0;
        for (size_t i = 0; i < found.size(); ++i) {
          worst = std::max(worst, std::fabs(static_cast<double>(found[i]) - static_cast<double>(wanted[i])));
        }
        EXPECT_LT(worst, 2e-5);  // as for other scores (attention_test.cc), of which these are three sums
      }
      Sequence several(*three, shape.heads, shape.head_dim, shape.length);
      several.store(0, shape.length);
      EXPECT_EQ(several.attend(arguments, several.slice(0, shape.length)), whole);
      if (!shape.causal) continue;
      std::vector<float> stepped;
      for (int64_t past = 0; past < shape.length;) {
        const int64_t count = std::min<int64_t>(past % 29 + 1, shape.length - past);
        const std::vector<float> rows = several.attend(arguments, several.slice(past, count));
        stepped.insert(stepped.end(), rows.begin(), rows.end());
        past += count;
      }
      EXPECT_EQ(stepped, whole);
    }
  }
}

}  // namespace
}  // namespace octoformer
