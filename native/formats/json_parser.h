// The recursive-descent parser behind JsonDocument. Strings are decoded in place, in the document's own text.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "formats/json.h"

namespace octoformer::json_detail {

/// Objects with more members than this have an index of their members, sorted by key.
inline constexpr uint32_t kLinearSearchMembers = 8;

/// Memory that lives as long as the document, handed out piece by piece.
class Arena {
 public:
  /// Aligned for pointers and 64-bit integers.
  void* allocate(size_t bytes);

 private:
  static constexpr size_t kChunkBytes = size_t{1} << 16;
  std::vector<std::unique_ptr<std::byte[]>> chunks_;
  std::byte* free_ = nullptr;
  size_t free_bytes_ = 0;
};

struct Context {
  std::string text;
  JsonOptions options;
  Arena arena;
  Json root;
};

/// The order of an object's members by key, which stands behind its members when there are many.
inline const uint32_t* member_order(const JsonMember* members, size_t count) {
  return reinterpret_cast<const uint32_t*>(members + count);
}

class Parser {
 public:
  explicit Parser(Context& context);
  /// Parses the whole text into `context.root`.
  void run();

 private:
  struct Position {
    size_t line, column;  // from 1; columns are bytes
  };

  Position position(const char* at) const { return {line_, static_cast<size_t>(at - line_begin_) + 1}; }
  [[noreturn]] void error(Position position, const std::string& message) const;
  [[noreturn]] void error_here(const std::string& message) const { error(position(at_), message); }
  /// What stands at `at_`, for messages.
  std::string found() const;

  void skip_space();
  Json make(Json::Kind kind);
  Json parse_value(int depth);
  Json parse_array(int depth);
  Json parse_object(int depth);
  Json parse_number();
  Json parse_literal(std::string_view word, Json::Kind kind, bool value);
  std::string_view parse_string();
  void decode_escape(char*& out);
  uint32_t parse_hex4(const char* escape);
  void copy_utf8_sequence(char*& out);
  void index_members(JsonMember* members, uint32_t count, Position object) const;

  Context& context_;
  char* at_;
  const char* end_;
  // Line breaks are legal between tokens only, so skip_space() alone counts them.
  size_t line_ = 1;
  const char* line_begin_;
  size_t values_ = 0;
  std::vector<Json> elements_;       // of the arrays that are open, innermost last
  std::vector<JsonMember> members_;  // of the objects that are open, innermost last
};

}  // namespace octoformer::json_detail
