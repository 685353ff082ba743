#include "runtime/key_value_cache.h"

#include <gtest/gtest.h>

#include <cstring>

#include "formats/checkpoint_files.h"
#include "reference/reference_backend.h"

namespace octoformer {
namespace {

std::shared_ptr<KeyValuePagePool> small_pool() {
  ReferenceBackend backend;
  const std::vector<CacheLayerDescription> layers = {{1, 3}, {2, 5}};
  return KeyValuePagePool::create(plan_key_value_layout(layers, backend));
}

/// Adds `tokens` tokens and writes `mark` into the first byte that belongs to each (byte i of a page for position i).
void grow(KeyValueCache& cache, int64_t tokens, int mark) {
  KeyValueCache::Growth growth(cache, tokens);
  std::vector<std::byte*> pages;
  growth.append_pages(pages);
  for (int64_t i = growth.past(); i < growth.past() + tokens; ++i) {
    pages[static_cast<size_t>(i / kKeyValuePageTokens)][i % kKeyValuePageTokens] = static_cast<std::byte>(mark);
  }
  growth.commit();
}

std::string contents(KeyValueCache& cache) {
  const KeyValueCache::Growth nothing(cache, 0);
  std::vector<std::byte*> pages;
  nothing.append_pages(pages);
  std::string text;
  for (int64_t i = 0; i < cache.length(); ++i) {
    text += static_cast<char>(pages[static_cast<size_t>(i / kKeyValuePageTokens)][i % kKeyValuePageTokens]);
  }
  return text;
}

std::string repeat(int64_t count, char mark) { return std::string(static_cast<size_t>(count), mark); }

TEST(KeyValueLayout, LayersLieBehindOneAnother) {
  const auto pool = small_pool();
  const KeyValueLayout& layout = pool->layout();
  EXPECT_EQ(layout.layers[0].page_offset, 0u);
  EXPECT_EQ(layout.layers[1].page_offset, 2u * 1 * 32 * 3 * 4);
  EXPECT_EQ(layout.page_bytes, 2u * 32 * 4 * (3 + 10));
}

TEST(KeyValueCache, GrowsByPages) {
  const auto pool = small_pool();
  KeyValueCache cache(pool);
  EXPECT_EQ(cache.bytes(), 0u);
  const size_t page = pool->layout().page_bytes;
  grow(cache, 31, 'a');
  EXPECT_EQ(cache.bytes(), page);
  grow(cache, 1, 'b');
  EXPECT_EQ(cache.bytes(), page);
  grow(cache, 1, 'c');
  EXPECT_EQ(cache.bytes(), 2 * page);
  EXPECT_EQ(cache.length(), 33);
  EXPECT_EQ(contents(cache), repeat(31, 'a') + "bc");
}

TEST(KeyValueCache, ForksSharePagesUntilTheyWrite) {
  const auto pool = small_pool();
  const size_t page = pool->layout().page_bytes;
  KeyValueCache cache(pool);
  grow(cache, 40, 'a');
  const auto fork = cache.fork();
  EXPECT_EQ(pool->bytes(), 2 * page);
  EXPECT_EQ(cache.bytes(), page);  // half of two
  grow(*fork, 10, 'b');            // copies the second page
  EXPECT_EQ(pool->bytes(), 3 * page);
  EXPECT_EQ(fork->bytes(), page + page / 2);
  grow(cache, 1, 'c');  // the only owner of its second page by now
  EXPECT_EQ(pool->bytes(), 3 * page);
  EXPECT_EQ(contents(cache), repeat(40, 'a') + "c");
  EXPECT_EQ(contents(*fork), repeat(40, 'a') + repeat(10, 'b'));
}

TEST(KeyValueCache, AForkAtAPageBorderCopiesNothing) {
  const auto pool = small_pool();
  KeyValueCache cache(pool);
  grow(cache, 64, 'a');
  const auto fork = cache.fork();
  grow(*fork, 1, 'b');
  grow(cache, 1, 'c');
  EXPECT_EQ(pool->bytes(), 4 * pool->layout().page_bytes);
  EXPECT_EQ(contents(*fork), repeat(64, 'a') + "b");
  EXPECT_EQ(contents(cache), repeat(64, 'a') + "c");
}

TEST(KeyValueCache, TruncateForgets) {
  const auto pool = small_pool();
  KeyValueCache cache(pool);
  grow(cache, 70, 'a');
  const auto fork = cache.fork();
  cache.truncate(33);
  EXPECT_EQ(cache.length(), 33);
  grow(cache, 2, 'b');
  EXPECT_EQ(contents(cache), repeat(33, 'a') + "bb");
  EXPECT_EQ(contents(*fork), repeat(70, 'a'));
  cache.truncate(0);
  EXPECT_EQ(cache.bytes(), 0u);
  expect_error(ErrorCode::invalid_argument, {"0 tokens", "to 1"}, [&] { cache.truncate(1); });
  expect_error(ErrorCode::invalid_argument, {"to -1"}, [&] { cache.truncate(-1); });
}

TEST(KeyValueCache, GrowthThatIsNotCommittedIsTakenBack) {
  const auto pool = small_pool();
  KeyValueCache cache(pool);
  grow(cache, 10, 'a');
  {
    const KeyValueCache::Growth growth(cache, 100);
    EXPECT_EQ(cache.bytes(), 4 * pool->layout().page_bytes);
  }
  EXPECT_EQ(cache.length(), 10);
  EXPECT_EQ(cache.bytes(), pool->layout().page_bytes);
  EXPECT_EQ(contents(cache), repeat(10, 'a'));
}

TEST(KeyValueCache, IsNotForkedOrCutWhileARunUsesIt) {
  const auto cache = std::make_shared<KeyValueCache>(small_pool());
  {
    const KeyValueCache::Use use(cache);
    expect_error(ErrorCode::invalid_argument, {"can't fork"}, [&] { static_cast<void>(cache->fork()); });
    expect_error(ErrorCode::invalid_argument, {"can't truncate"}, [&] { cache->truncate(0); });
  }
  cache->truncate(0);
  EXPECT_EQ(cache->fork()->length(), 0);
}

TEST(KeyValuePagePool, RecyclesPages) {
  const auto pool = small_pool();
  const size_t bytes = pool->layout().page_bytes;
  const std::byte* address;
  {
    const KeyValuePage page = pool->acquire();
    EXPECT_EQ(reinterpret_cast<uintptr_t>(page.get()) % 64, 0u);
    address = page.get();
  }
  EXPECT_EQ(pool->bytes(), bytes);  // idle
  const KeyValuePage page = pool->acquire();
  EXPECT_EQ(page.get(), address);
  EXPECT_EQ(pool->bytes(), bytes);
}

TEST(KeyValuePagePool, KeepsABoundedNumberOfIdlePages) {
  ReferenceBackend backend;
  const std::vector<CacheLayerDescription> layers = {{32, 1024}};  // 8 MiB a page
  const auto pool = KeyValuePagePool::create(plan_key_value_layout(layers, backend));
  std::vector<KeyValuePage> pages;
  for (int i = 0; i < 10; ++i) pages.push_back(pool->acquire());
  EXPECT_EQ(pool->bytes(), size_t{80} << 20);
  pages.clear();
  EXPECT_EQ(pool->bytes(), KeyValuePagePool::kIdleBytes);
  pool->close();
  EXPECT_EQ(pool->bytes(), 0u);
}

TEST(KeyValuePagePool, LivesAsLongAsItsPages) {
  auto pool = small_pool();
  const KeyValuePage page = pool->acquire();
  const std::weak_ptr<KeyValuePagePool> watched = pool;
  pool.reset();
  EXPECT_FALSE(watched.expired());
  page.get()[0] = std::byte{1};
}

}  // namespace
}  // namespace octoformer
