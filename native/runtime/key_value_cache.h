// The keys and values of one sequence: a length and the pages that hold it. Forks share pages; the first write to a
// shared page copies it. In an encoder-decoder a cache also holds what the encoder made of its sequence, which all
// forks share and nobody writes to again.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "runtime/encoded_sequence.h"
#include "runtime/key_value_pages.h"

namespace octoformer {

class KeyValueCache {
 public:
  explicit KeyValueCache(std::shared_ptr<KeyValuePagePool> pool) : pool_(std::move(pool)) {}
  KeyValueCache(const KeyValueCache&) = delete;
  KeyValueCache& operator=(const KeyValueCache&) = delete;

  const KeyValuePagePool* pool() const { return pool_.get(); }
  /// Tokens in it.
  int64_t length() const { return length_.load(); }
  /// What cross attention reads; null: nothing was encoded.
  std::shared_ptr<const EncodedSequence> encoded() const;
  /// To be called by a run that has encoded a sequence.
  void set_encoded(std::shared_ptr<const EncodedSequence> encoded);
  /// Bytes of its pages, the encoder's among them; a page shared by n caches counts 1/n.
  size_t bytes() const;

  /// A cache with the same contents. Throws INVALID_ARGUMENT while a run uses this one.
  std::unique_ptr<KeyValueCache> fork() const;
  /// Forgets tokens from `length` on. Throws INVALID_ARGUMENT for a length outside [0, length()] or while a run uses
  /// it.
  void truncate(int64_t length);

  /// Marks the cache as used by a run that is queued or under way, for as long as this object lives.
  class Use {
   public:
    explicit Use(std::shared_ptr<KeyValueCache> cache) : cache_(std::move(cache)) { ++cache_->uses_; }
    Use(Use&&) = default;
    Use& operator=(Use&&) = delete;
    ~Use() {
      if (cache_) --cache_->uses_;
    }

   private:
    std::shared_ptr<KeyValueCache> cache_;
  };

  /// Room for tokens after the present ones, to be written by a run: pages are there and unshared. Unless committed,
  /// it is taken back and the cache is as before.
  class Growth {
   public:
    /// Throws OUT_OF_MEMORY.
    Growth(KeyValueCache& cache, int64_t tokens);
    Growth(Growth&& other) noexcept : cache_(other.cache_), past_(other.past_), tokens_(other.tokens_) {
      other.cache_ = nullptr;
    }
    Growth& operator=(Growth&&) = delete;
    ~Growth();

    int64_t past() const { return past_; }
    void commit();
    /// Appends the addresses of the pages of all positions, the new ones among them.
    void append_pages(std::vector<std::byte*>& pages) const;

   private:
    KeyValueCache* cache_;
    int64_t past_;
    int64_t tokens_;
  };

 private:
  void refuse_while_used(const char* what) const;
  void drop_pages_beyond(int64_t length);

  const std::shared_ptr<KeyValuePagePool> pool_;
  mutable std::mutex mutex_;  // of pages_ and encoded_
  std::vector<KeyValuePage> pages_;
  std::shared_ptr<const EncodedSequence> encoded_;
  std::atomic<int64_t> length_ = 0;
  std::atomic<int> uses_ = 0;
};

}  // namespace octoformer
