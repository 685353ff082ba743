// What a reader of one file format finds in one file's header, everything checked.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "formats/checkpoint.h"

namespace octoformer {

struct FileHeader {
  /// With `file` left 0.
  std::vector<TensorInfo> tensors;
  Metadata metadata;
};

/// a * b of numbers >= 0, or nothing if it exceeds an int64.
inline std::optional<int64_t> checked_multiply(int64_t a, int64_t b) {
  if (b != 0 && a > INT64_MAX / b) return std::nullopt;
  return a * b;
}

/// The product of dimensions >= 0, or nothing if a partial product exceeds an int64.
inline std::optional<int64_t> element_count(std::span<const int64_t> shape) {
  std::optional<int64_t> count = 1;
  for (const int64_t dimension : shape) {
    count = checked_multiply(*count, dimension);
    if (!count) break;
  }
  return count;
}

}  // namespace octoformer
