// A strict JSON reader (RFC 8259) for file headers and Programs: limits on size, depth and number of values, duplicate
// keys refused, integers exact to 64 bits. Every error says where: "SOURCE: line 3, column 7: ..." while parsing,
// "SOURCE: ops[12].input.buffer: ..." when a value is not what its reader expects.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "backend/error.h"

namespace octoformer {

struct JsonOptions {
  /// What the text is, for messages: "model.safetensors: header", "program".
  std::string source;
  /// The code of every Error, of the parser and of the typed access alike.
  ErrorCode code = ErrorCode::invalid_argument;
  /// The parser recurses once a level: deep enough for every real file, far from the end of a thread's stack.
  int max_depth = 64;
  /// Sizes and counts are kept in 32 bits.
  size_t max_bytes = size_t{1} << 30;
  /// Bounds the memory (about 100 bytes a value at the worst moment) where the text is not trusted.
  size_t max_values = SIZE_MAX;
};

class Json;
struct JsonMember;

namespace json_detail {
struct Context;
class Parser;
}  // namespace json_detail

/// A value in a JsonDocument, which owns its memory: references live as long as the document.
class Json {
 public:
  enum class Kind : uint8_t { null, boolean, integer, number, string, array, object };

  Kind kind() const { return kind_; }
  bool is_null() const { return kind_ == Kind::null; }
  bool is_string() const { return kind_ == Kind::string; }
  bool is_array() const { return kind_ == Kind::array; }
  bool is_object() const { return kind_ == Kind::object; }

  // Typed access. Each throws an Error (the document's code) that names the path of this value, what was expected and
  // what is there.
  bool as_bool() const;
  /// Integers are numbers written without fraction or exponent, in [minimum, maximum].
  int64_t as_int64(int64_t minimum = INT64_MIN, int64_t maximum = INT64_MAX) const;
  uint64_t as_uint64() const;
  /// Any number.
  double as_double() const;
  /// Valid UTF-8, escapes decoded; may hold NUL.
  std::string_view as_string() const;
  std::span<const Json> as_array() const;
  std::vector<int64_t> as_int64_array(int64_t minimum = INT64_MIN, int64_t maximum = INT64_MAX) const;
  std::vector<double> as_double_array() const;

  /// The members of an object in the order of the text.
  std::span<const JsonMember> members() const;
  /// The member `key` of an object, or null if there is none.
  const Json* find(std::string_view key) const;
  /// The member `key` of an object; throws an Error naming the key if it is missing.
  const Json& at(std::string_view key) const;

  /// Where this value is: "ops[12].input.buffer" (empty for the root).
  std::string path() const;

  /// Throws an Error about this value: "SOURCE: PATH: parts...".
  template <class... Parts>
  [[noreturn]] void fail(const Parts&... parts) const {
    std::ostringstream message;
    (message << ... << parts);
    fail_with(message.str());
  }

 private:
  friend class json_detail::Parser;
  [[noreturn]] void fail_with(const std::string& message) const;
  [[noreturn]] void fail_kind(const char* expected) const;

  Kind kind_ = Kind::null;
  bool unsigned_ = false;  // an integer above INT64_MAX
  uint32_t size_ = 0;      // bytes of a string, elements of an array, members of an object
  union {
    bool boolean_;
    int64_t integer_;
    uint64_t unsigned_integer_;
    double number_;
    const char* text_;
    const Json* elements_;
    const JsonMember* members_;  // followed by their order by key (uint32) when there are many
  };
  const json_detail::Context* context_ = nullptr;
};

struct JsonMember {
  std::string_view key;
  Json value;
};

/// Owns the text and the tree.
class JsonDocument {
 public:
  /// Throws an Error of `options.code` with line and column of what is wrong.
  static JsonDocument parse(std::string text, JsonOptions options);

  JsonDocument(JsonDocument&&) noexcept;
  JsonDocument& operator=(JsonDocument&&) noexcept;
  ~JsonDocument();

  const Json& root() const;

 private:
  explicit JsonDocument(std::unique_ptr<json_detail::Context> context);
  std::unique_ptr<json_detail::Context> context_;
};

}  // namespace octoformer
