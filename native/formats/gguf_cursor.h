// Reads a GGUF header from front to back; every read is checked against what is left of the file.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "backend/error.h"

namespace octoformer {

class GgufCursor {
 public:
  GgufCursor(const std::string& file, std::span<const std::byte> bytes) : file_(file), bytes_(bytes) {}

  uint64_t position() const { return position_; }
  uint64_t remaining() const { return bytes_.size() - position_; }

  /// Throws INVALID_CHECKPOINT: the file, what was being read (context()), the parts.
  template <class... Parts>
  [[noreturn]] void refuse(const Parts&... parts) const {
    fail(ErrorCode::invalid_checkpoint, file_, ": ", context_, parts...);
  }

  /// Names what is being read in messages: `tensor "x": `; empty for the file itself.
  void set_context(std::string context) { context_ = std::move(context); }

  /// A number as it is stored.
  template <class T>
  T read() {
    require(sizeof(T));
    T value;
    std::memcpy(&value, bytes_.data() + position_, sizeof value);
    position_ += sizeof value;
    return value;
  }

  /// A count of items that take at least `least_bytes` each: checked before anything is allocated for them.
  uint64_t read_count(const char* items, uint64_t least_bytes) {
    const auto count = read<uint64_t>();
    if (count > remaining() / least_bytes) {
      refuse("claims ", count, " ", items, ", but only ", remaining(),
             " bytes follow; the file is truncated or damaged");
    }
    return count;
  }

  /// A view of a string's bytes in the file.
  std::string_view read_string() {
    const auto length = read<uint64_t>();
    require(length);
    const std::string_view text(reinterpret_cast<const char*>(bytes_.data()) + position_, length);
    position_ += length;
    return text;
  }

 private:
  void require(uint64_t bytes) const {
    if (bytes > remaining()) {
      refuse("the header needs ", bytes, " bytes at offset ", position_, ", but only ", remaining(),
             " follow; the file is truncated or damaged: download it again");
    }
  }

  const std::string& file_;
  std::span<const std::byte> bytes_;
  uint64_t position_ = 0;
  std::string context_;
};

}  // namespace octoformer
