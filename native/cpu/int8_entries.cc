#include "cpu/int8_entries.h"

namespace octoformer {

void Int8Entries::clear() {
  entries_.clear();
  row_end_.clear();
}

void Int8Entries::append(const Int8Entries& later) {
  const size_t before = entries_.size();
  entries_.insert(entries_.end(), later.entries_.begin(), later.entries_.end());
  for (const size_t end : later.row_end_) row_end_.push_back(before + end);
}

void Int8Entries::add_row(const float* x, int64_t columns, const uint64_t* bits, std::span<const int64_t> kept,
                          const float* kept_values) {
  const auto add = [&](int64_t k, float value) {
    if (value != 0.0f) entries_.push_back({static_cast<int32_t>(k), value});  // zeros add nothing
  };
  size_t next = 0;
  const auto add_kept_before = [&](int64_t end) {
    for (; next < kept.size() && kept[next] < end; ++next) add(kept[next], kept_values[next]);
  };
  if (bits != nullptr) {
    for_each_bit(bits, (columns + 63) / 64, [&](int64_t k) {
      add_kept_before(k);
      add(k, x[k]);
    });
  }
  add_kept_before(columns);
  row_end_.push_back(entries_.size());
}

}  // namespace octoformer
