// Pages for tests: memory for one layer's keys and values, and slices of a ragged batch over them.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "backend/backend.h"

namespace octoformer::reference {

class PagedSequence {
 public:
  /// Pages for `positions` positions, filled with NaN bit patterns: what is read without having been stored shows.
  PagedSequence(const Backend& backend, int64_t kv_heads, int64_t head_dim, int64_t positions, size_t page_offset = 0,
                KeyValueForm form = KeyValueForm::float32) {
    const size_t bytes = page_offset + backend.key_value_page_bytes(kv_heads, head_dim, form);
    const int64_t pages = (positions + kKeyValuePageTokens - 1) / kKeyValuePageTokens;
    for (int64_t page = 0; page < pages; ++page) {
      memory_.push_back(std::make_unique<std::byte[]>(bytes));
      std::memset(memory_.back().get(), 0xff, bytes);
      pages_.push_back(memory_.back().get());
    }
  }

  const std::byte* page(int64_t index) const { return pages_[static_cast<size_t>(index)]; }

  SequenceSlice slice(int64_t first_row, int64_t count, int64_t past) const {
    const size_t pages = static_cast<size_t>((past + count + kKeyValuePageTokens - 1) / kKeyValuePageTokens);
    return {.first_row = first_row, .count = count, .past = past, .pages = {pages_.data(), pages}};
  }

 private:
  std::vector<std::unique_ptr<std::byte[]>> memory_;
  std::vector<std::byte*> pages_;
};

}  // namespace octoformer::reference
