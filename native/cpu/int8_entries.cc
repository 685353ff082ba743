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

void Int8Entries::add_row(const float* x, std::span<const int32_t> features, std::span<const int64_t> kept,
                          const float* kept_values) {
  const auto add = [&](int64_t k, float value) {
    if (value != 0.0f) entries_.push_back({static_cast<int32_t>(k), value});  // zeros add nothing
  };
  size_t next = 0;
  for (const int32_t k : features) {
    for (; next < kept.size() && kept[next] < k; ++next) add(kept[next], kept_values[next]);
    add(k, x[k]);
  }
  for (; next < kept.size(); ++next) add(kept[next], kept_values[next]);
  row_end_.push_back(entries_.size());
}

}  // namespace octoformer
