// The key-value pairs of a checkpoint (GGUF's metadata; the `__metadata__` strings of safetensors) as a tree of plain
// C++ values.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "formats/page_allocator.h"

namespace octoformer {

/// Many strings in one piece of memory: a vocabulary has up to some 256,000 of them.
class StringList {
 public:
  size_t size() const { return ends_.size(); }
  std::string_view operator[](size_t index) const {
    const uint64_t begin = index == 0 ? 0 : ends_[index - 1];
    return std::string_view(text_).substr(begin, ends_[index] - begin);
  }
  /// `bytes`: of all strings together.
  void reserve(size_t strings, size_t bytes) {
    ends_.reserve(strings);
    text_.reserve(bytes);
  }
  void push_back(std::string_view string) {
    text_ += string;
    ends_.push_back(text_.size());
  }

 private:
  std::basic_string<char, std::char_traits<char>, PageAllocator<char>> text_;
  std::vector<uint64_t, PageAllocator<uint64_t>> ends_;
};

struct MetadataValue;

/// GGUF's uint64 is uint64_t, every other integer int64_t, both float types double (exactly). An array holds values of
/// one type; an array of arrays is a vector of MetadataValue that are arrays. Strings are bytes as stored, UTF-8 unless
/// the file is odd.
using MetadataVariant =
    std::variant<bool, int64_t, uint64_t, double, std::string, std::vector<bool>, std::vector<int64_t>,
                 std::vector<uint64_t>, std::vector<double>, StringList, std::vector<MetadataValue>>;

struct MetadataValue {
  MetadataVariant value;
};

struct MetadataEntry {
  std::string key;
  MetadataValue value;
};

/// In the order of the file; keys are unique.
using Metadata = std::vector<MetadataEntry>;

/// The value of `key`, or null.
inline const MetadataValue* find_metadata(const Metadata& metadata, std::string_view key) {
  for (const MetadataEntry& entry : metadata) {
    if (entry.key == key) return &entry.value;
  }
  return nullptr;
}

}  // namespace octoformer
