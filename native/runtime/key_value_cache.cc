#include "runtime/key_value_cache.h"

#include <utility>

#include "backend/error.h"

namespace octoformer {

namespace {
size_t pages_for(int64_t tokens) {
  return static_cast<size_t>((tokens + kKeyValuePageTokens - 1) / kKeyValuePageTokens);
}
}  // namespace

size_t KeyValueCache::bytes() const {
  const std::lock_guard lock(mutex_);
  double pages = 0;
  for (const KeyValuePage& page : pages_) pages += 1.0 / static_cast<double>(page.use_count());
  double bytes = pages * static_cast<double>(pool_->layout().page_bytes);
  if (encoded_) bytes += static_cast<double>(encoded_->bytes()) / static_cast<double>(encoded_.use_count());
  return static_cast<size_t>(bytes);
}

std::shared_ptr<const EncodedSequence> KeyValueCache::encoded() const {
  const std::lock_guard lock(mutex_);
  return encoded_;
}

void KeyValueCache::set_encoded(std::shared_ptr<const EncodedSequence> encoded) {
  const std::lock_guard lock(mutex_);
  encoded_ = std::move(encoded);
}

void KeyValueCache::refuse_while_used(const char* what) const {
  if (uses_.load() != 0) {
    fail(ErrorCode::invalid_argument, "can't ", what, " a cache while a run that uses it is under way; await it first");
  }
}

std::unique_ptr<KeyValueCache> KeyValueCache::fork() const {
  refuse_while_used("fork");
  auto copy = std::make_unique<KeyValueCache>(pool_);
  const std::lock_guard lock(mutex_);
  copy->pages_ = pages_;
  copy->encoded_ = encoded_;
  copy->length_ = length();
  return copy;
}

void KeyValueCache::truncate(int64_t length) {
  refuse_while_used("truncate");
  if (length < 0 || length > this->length()) {
    fail(ErrorCode::invalid_argument, "can't truncate a cache of ", this->length(), " tokens to ", length);
  }
  const std::lock_guard lock(mutex_);
  drop_pages_beyond(length);
  length_ = length;
}

void KeyValueCache::drop_pages_beyond(int64_t length) {
  if (pages_.size() > pages_for(length)) pages_.resize(pages_for(length));
}

KeyValueCache::Growth::Growth(KeyValueCache& cache, int64_t tokens)
    : cache_(&cache), past_(cache.length()), tokens_(tokens) {
  const std::lock_guard lock(cache.mutex_);
  const size_t first = static_cast<size_t>(past_ / kKeyValuePageTokens);
  if (tokens > 0 && first < cache.pages_.size() && cache.pages_[first].use_count() > 1) {
    cache.pages_[first] = cache.pool_->copy(cache.pages_[first]);
  }
  // What other owners of a page read before they let go of it happened before we write.
  std::atomic_thread_fence(std::memory_order_acquire);
  const size_t wanted = pages_for(past_ + tokens);
  try {
    cache.pages_.reserve(wanted);
    while (cache.pages_.size() < wanted) cache.pages_.push_back(cache.pool_->acquire());
  } catch (...) {
    cache.drop_pages_beyond(past_);
    throw;
  }
}

KeyValueCache::Growth::~Growth() {
  if (cache_ == nullptr) return;
  const std::lock_guard lock(cache_->mutex_);
  cache_->drop_pages_beyond(past_);
}

void KeyValueCache::Growth::commit() {
  cache_->length_ = past_ + tokens_;
  cache_ = nullptr;
}

void KeyValueCache::Growth::append_pages(std::vector<std::byte*>& pages) const {
  const std::lock_guard lock(cache_->mutex_);
  for (const KeyValuePage& page : cache_->pages_) pages.push_back(page.get());
}

}  // namespace octoformer
