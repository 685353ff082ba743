// What the compiler knows of a buffer: which of its columns hold something.
#pragma once
#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

namespace octoformer {

/// Columns of a buffer that were written so far, as disjoint sorted intervals.
class WrittenColumns {
 public:
  void add(int64_t begin, int64_t end) {
    intervals_.emplace_back(begin, end);
    std::sort(intervals_.begin(), intervals_.end());
    std::vector<std::pair<int64_t, int64_t>> merged;
    for (const auto& [first, last] : intervals_) {
      if (!merged.empty() && first <= merged.back().second) {
        merged.back().second = std::max(merged.back().second, last);
      } else {
        merged.emplace_back(first, last);
      }
    }
    intervals_ = std::move(merged);
  }

  bool covers(int64_t begin, int64_t end) const {
    return std::any_of(intervals_.begin(), intervals_.end(),
                       [&](const auto& interval) { return interval.first <= begin && end <= interval.second; });
  }

 private:
  std::vector<std::pair<int64_t, int64_t>> intervals_;
};

}  // namespace octoformer
