#include "cpu/int8_outlier_list.h"

#include <algorithm>
#include <utility>

namespace octoformer {

void Int8OutlierList::make(std::span<const Int8Entry> entries, std::span<const size_t> row_end,
                           std::span<const int64_t> kept, std::vector<int32_t>& place) {
  list_features(entries, row_end, place);
  find_kept(kept);
  size_t longest = 0, begin = 0;
  for (const size_t end : row_end) longest = std::max(longest, end - std::exchange(begin, end));
  // Where it costs little, rows are filled up to the same length: loops that are as long each time are foreseen.
  const bool even = features_.size() <= static_cast<size_t>(kOutlierFeatures) &&
                    longest * row_end.size() <= kFilledUpOutliers * entries.size();
  entries_.resize(even ? longest * row_end.size() : entries.size());
  row_begin_.assign(1, 0);
  Int8Outlier* out = entries_.data();
  size_t i = 0;
  for (const size_t end : row_end) {
    Int8Outlier* const filled = out + longest;
    for (; i < end; ++i) *out++ = {place[static_cast<size_t>(entries[i].feature)] + 1, entries[i].value};
    if (even) {
      for (; out != filled; ++out) *out = {};
    }
    row_begin_.push_back(static_cast<int32_t>(out - entries_.data()));
  }
  for (const int32_t feature : features_) place[static_cast<size_t>(feature)] = -1;
}

Int8OutlierTile Int8OutlierList::view() const {
  return {static_cast<int64_t>(features_.size()),
          features_.data(),
          kept_.empty() ? nullptr : kept_.data(),
          entries_.data(),
          row_begin_.data(),
          feature_begin_.data()};
}

void Int8OutlierList::count(std::vector<int32_t>& counts) const {
  counts.assign(features_.size(), 0);
  for (const Int8Outlier& entry : entries_) {
    if (entry.weights > 0) ++counts[static_cast<size_t>(entry.weights - 1)];
  }
}

/// The features that the rows have, and each one's place.
void Int8OutlierList::list_features(std::span<const Int8Entry> entries, std::span<const size_t> row_end,
                                    std::vector<int32_t>& place) {
  features_.clear();
  feature_begin_.assign(1, 0);
  size_t i = 0;
  for (const size_t end : row_end) {
    for (; i < end; ++i) {
      int32_t& at = place[static_cast<size_t>(entries[i].feature)];
      if (at >= 0) continue;
      at = static_cast<int32_t>(features_.size());
      features_.push_back(entries[i].feature);
    }
    feature_begin_.push_back(static_cast<int32_t>(features_.size()));
  }
  if (features_.size() <= static_cast<size_t>(kOutlierFeatures)) return;
  std::sort(features_.begin(), features_.end());
  for (size_t f = 0; f < features_.size(); ++f) place[static_cast<size_t>(features_[f])] = static_cast<int32_t>(f);
}

void Int8OutlierList::find_kept(std::span<const int64_t> kept) {
  kept_.clear();
  for (size_t f = 0; f < features_.size() && !kept.empty(); ++f) {
    const auto found = std::lower_bound(kept.begin(), kept.end(), features_[f]);
    const bool is_kept = found != kept.end() && *found == features_[f];
    kept_.push_back(is_kept ? static_cast<int32_t>(found - kept.begin()) : -1);
  }
}

}  // namespace octoformer
