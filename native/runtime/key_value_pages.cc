#include "runtime/key_value_pages.h"

#include <cstring>
#include <new>

#include "backend/error.h"
#include "formats/page_allocator.h"

namespace octoformer {

namespace {

/// And the widest vector. Pages are a whole number of them.
struct alignas(64) CacheLine {
  std::byte bytes[64];
};

size_t lines_of(size_t bytes) { return (bytes + sizeof(CacheLine) - 1) / sizeof(CacheLine); }

void free_page(std::byte* page, size_t bytes) {
  PageAllocator<CacheLine>().deallocate(reinterpret_cast<CacheLine*>(page), lines_of(bytes));
}

}  // namespace

KeyValueLayout plan_key_value_layout(std::span<const CacheLayerDescription> layers, const Backend& backend) {
  KeyValueLayout layout;
  layout.layers.reserve(layers.size());
  for (const CacheLayerDescription& layer : layers) {
    layout.layers.push_back({layer.kv_heads, layer.head_dim, layout.page_bytes, layer.form});
    layout.page_bytes += backend.key_value_page_bytes(layer.kv_heads, layer.head_dim, layer.form);
  }
  return layout;
}

std::shared_ptr<KeyValuePagePool> KeyValuePagePool::create(KeyValueLayout layout) {
  return std::shared_ptr<KeyValuePagePool>(new KeyValuePagePool(std::move(layout)));
}

KeyValuePagePool::~KeyValuePagePool() { free_idle(); }

void KeyValuePagePool::free_idle() {
  for (std::byte* page : idle_) free_page(page, layout_.page_bytes);
  pages_ -= idle_.size();
  idle_.clear();
}

void KeyValuePagePool::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  free_idle();
}

bool KeyValuePagePool::closed() const {
  const std::lock_guard lock(mutex_);
  return closed_;
}

std::byte* KeyValuePagePool::take() {
  const std::lock_guard lock(mutex_);
  if (!idle_.empty()) {
    std::byte* page = idle_.back();
    idle_.pop_back();
    return page;
  }
  idle_.reserve(pages_ + 1);  // here, so that give_back can't fail
  CacheLine* memory = nullptr;
  try {
    memory = PageAllocator<CacheLine>().allocate(lines_of(layout_.page_bytes));
  } catch (const std::bad_alloc&) {
    fail(ErrorCode::out_of_memory, "no memory for a page of ", layout_.page_bytes, " bytes of keys and values beside ",
         pages_, " others; dispose caches that are no longer needed, or run fewer or shorter sequences");
  }
  ++pages_;
  return reinterpret_cast<std::byte*>(memory);
}

void KeyValuePagePool::give_back(std::byte* page) noexcept {
  const std::lock_guard lock(mutex_);
  if (!closed_ && (idle_.size() + 1) * layout_.page_bytes <= kIdleBytes) {
    idle_.push_back(page);
  } else {
    free_page(page, layout_.page_bytes);
    --pages_;
  }
}

KeyValuePage KeyValuePagePool::acquire() {
  return KeyValuePage(take(), [pool = shared_from_this()](std::byte* page) { pool->give_back(page); });
}

KeyValuePage KeyValuePagePool::copy(const KeyValuePage& page) {
  std::byte* memory = take();
  std::memcpy(memory, page.get(), layout_.page_bytes);
  return KeyValuePage(memory, [pool = shared_from_this()](std::byte* freed) { pool->give_back(freed); });
}

size_t KeyValuePagePool::bytes() const {
  const std::lock_guard lock(mutex_);
  return pages_ * layout_.page_bytes;
}

}  // namespace octoformer
