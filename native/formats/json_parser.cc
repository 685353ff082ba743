#include "formats/json_parser.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <locale>
#include <sstream>
#include <system_error>
#include <utility>

#include "formats/quoted.h"

namespace octoformer::json_detail {

void* Arena::allocate(size_t bytes) {
  bytes = (bytes + 7) & ~size_t{7};
  if (bytes > kChunkBytes / 4) {  // a piece of its own: what is left of the open chunk stays usable
    chunks_.push_back(std::make_unique_for_overwrite<std::byte[]>(bytes));
    return chunks_.back().get();
  }
  if (bytes > free_bytes_) {
    chunks_.push_back(std::make_unique_for_overwrite<std::byte[]>(kChunkBytes));
    free_ = chunks_.back().get();
    free_bytes_ = kChunkBytes;
  }
  void* piece = free_;
  free_ += bytes;
  free_bytes_ -= bytes;
  return piece;
}

Parser::Parser(Context& context)
    : context_(context),
      at_(context.text.data()),
      end_(context.text.data() + context.text.size()),
      line_begin_(context.text.data()) {}

void Parser::error(Position position, const std::string& message) const {
  octoformer::fail(context_.options.code, context_.options.source, ": line ", position.line, ", column ",
                   position.column, ": ", message);
}

std::string Parser::found() const {
  if (at_ == end_) return "the end of the text";
  const auto byte = static_cast<unsigned char>(*at_);
  if (byte >= 0x80) return "a character outside a string";
  return quoted(std::string_view(at_, 1));
}

void Parser::run() {
  const size_t bytes = context_.text.size();
  if (bytes > context_.options.max_bytes) {
    error_here("the text has " + std::to_string(bytes) + " bytes, the limit is " +
               std::to_string(context_.options.max_bytes));
  }
  if (context_.text.starts_with("\xef\xbb\xbf")) error_here("JSON must not begin with a byte order mark");
  context_.root = parse_value(0);
  skip_space();
  if (at_ != end_) error_here("expected the end of the text, found " + found());
}

void Parser::skip_space() {
  for (; at_ != end_; ++at_) {
    if (*at_ == '\n') {
      ++line_;
      line_begin_ = at_ + 1;
    } else if (*at_ != ' ' && *at_ != '\t' && *at_ != '\r') {
      return;
    }
  }
}

Json Parser::make(Json::Kind kind) {
  Json value;
  value.kind_ = kind;
  value.integer_ = 0;
  value.context_ = &context_;
  return value;
}

Json Parser::parse_value(int depth) {
  skip_space();
  if (depth > context_.options.max_depth) {
    error_here("nested deeper than the limit of " + std::to_string(context_.options.max_depth) + " levels");
  }
  if (++values_ > context_.options.max_values) {
    error_here("more values than the limit of " + std::to_string(context_.options.max_values));
  }
  if (at_ == end_) error_here("expected a value, found the end of the text");
  switch (*at_) {
    case '{':
      return parse_object(depth);
    case '[':
      return parse_array(depth);
    case 't':
      return parse_literal("true", Json::Kind::boolean, true);
    case 'f':
      return parse_literal("false", Json::Kind::boolean, false);
    case 'n':
      return parse_literal("null", Json::Kind::null, false);
    case '"': {
      Json value = make(Json::Kind::string);
      const std::string_view text = parse_string();
      value.text_ = text.data();
      value.size_ = static_cast<uint32_t>(text.size());
      return value;
    }
    default:
      if (*at_ == '-' || (*at_ >= '0' && *at_ <= '9')) return parse_number();
      error_here("expected a value, found " + found());
  }
}

Json Parser::parse_literal(std::string_view word, Json::Kind kind, bool value) {
  if (std::string_view(at_, static_cast<size_t>(end_ - at_)).substr(0, word.size()) != word) {
    error_here("expected a value, found a word that is none of true, false and null");
  }
  at_ += word.size();
  Json literal = make(kind);
  literal.boolean_ = value;
  return literal;
}

Json Parser::parse_array(int depth) {
  ++at_;
  const size_t base = elements_.size();
  skip_space();
  if (at_ != end_ && *at_ == ']') {
    ++at_;
  } else {
    for (;;) {
      const Json element = parse_value(depth + 1);
      elements_.push_back(element);
      skip_space();
      if (at_ == end_ || (*at_ != ',' && *at_ != ']')) error_here("expected \",\" or \"]\", found " + found());
      if (*at_++ == ']') break;
    }
  }
  Json array = make(Json::Kind::array);
  const size_t count = elements_.size() - base;
  auto* elements = static_cast<Json*>(context_.arena.allocate(count * sizeof(Json)));
  std::uninitialized_copy(elements_.begin() + static_cast<ptrdiff_t>(base), elements_.end(), elements);
  elements_.resize(base);
  array.elements_ = elements;
  array.size_ = static_cast<uint32_t>(count);
  return array;
}

Json Parser::parse_object(int depth) {
  const Position begin = position(at_);
  ++at_;
  const size_t base = members_.size();
  skip_space();
  if (at_ != end_ && *at_ == '}') {
    ++at_;
  } else {
    for (;;) {
      skip_space();
      if (at_ == end_ || *at_ != '"') error_here("expected a key in quotes, found " + found());
      const std::string_view key = parse_string();
      skip_space();
      if (at_ == end_ || *at_ != ':') error_here("expected \":\" after key " + quoted(key) + ", found " + found());
      ++at_;
      const Json value = parse_value(depth + 1);
      members_.push_back({key, value});
      skip_space();
      if (at_ == end_ || (*at_ != ',' && *at_ != '}')) error_here("expected \",\" or \"}\", found " + found());
      if (*at_++ == '}') break;
    }
  }
  Json object = make(Json::Kind::object);
  const size_t count = members_.size() - base;
  const size_t index_bytes = count > kLinearSearchMembers ? count * sizeof(uint32_t) : 0;
  auto* members = static_cast<JsonMember*>(context_.arena.allocate(count * sizeof(JsonMember) + index_bytes));
  std::uninitialized_copy(members_.begin() + static_cast<ptrdiff_t>(base), members_.end(), members);
  members_.resize(base);
  index_members(members, static_cast<uint32_t>(count), begin);
  object.members_ = members;
  object.size_ = static_cast<uint32_t>(count);
  return object;
}

/// Finds duplicate keys, and writes the order by key of a large object.
void Parser::index_members(JsonMember* members, uint32_t count, Position object) const {
  const auto refuse = [&](std::string_view key) {
    error(object, "duplicate key " + quoted(key) + " in the object that begins here");
  };
  if (count <= kLinearSearchMembers) {
    for (uint32_t i = 1; i < count; ++i) {
      for (uint32_t j = 0; j < i; ++j) {
        if (members[i].key == members[j].key) refuse(members[i].key);
      }
    }
    return;
  }
  auto* order = reinterpret_cast<uint32_t*>(members + count);
  for (uint32_t i = 0; i < count; ++i) order[i] = i;
  std::sort(order, order + count, [&](uint32_t a, uint32_t b) { return members[a].key < members[b].key; });
  for (uint32_t i = 1; i < count; ++i) {
    if (members[order[i]].key == members[order[i - 1]].key) refuse(members[order[i]].key);
  }
}

namespace {

bool is_digit(char character) { return character >= '0' && character <= '9'; }

/// The nearest double of a number in JSON's grammar; false if it is out of range.
bool to_double(std::string_view text, double& value) {
#if defined(__cpp_lib_to_chars)
  return std::from_chars(text.data(), text.data() + text.size(), value).ec == std::errc();
#else
  std::istringstream stream{std::string(text)};
  stream.imbue(std::locale::classic());
  return static_cast<bool>(stream >> value);
#endif
}

}  // namespace

Json Parser::parse_number() {
  const char* const begin = at_;
  const Position start = position(at_);
  const auto digits = [&] {
    if (at_ == end_ || !is_digit(*at_)) error_here("expected a digit, found " + found());
    while (at_ != end_ && is_digit(*at_)) ++at_;
  };
  const bool negative = *at_ == '-';
  if (negative) ++at_;
  if (at_ != end_ && *at_ == '0') {
    ++at_;
    if (at_ != end_ && is_digit(*at_)) error_here("a number must not begin with 0");
  } else {
    digits();
  }
  bool integral = true;
  if (at_ != end_ && *at_ == '.') {
    integral = false;
    ++at_;
    digits();
  }
  if (at_ != end_ && (*at_ == 'e' || *at_ == 'E')) {
    integral = false;
    ++at_;
    if (at_ != end_ && (*at_ == '+' || *at_ == '-')) ++at_;
    digits();
  }
  const std::string_view text(begin, static_cast<size_t>(at_ - begin));
  if (integral && text != "-0") {  // minus zero is a double
    Json value = make(Json::Kind::integer);
    if (std::from_chars(begin, at_, value.integer_).ec == std::errc()) return value;
    value.unsigned_ = true;
    if (!negative && std::from_chars(begin, at_, value.unsigned_integer_).ec == std::errc()) return value;
  }
  Json value = make(Json::Kind::number);
  if (!to_double(text, value.number_)) error(start, "the number " + quoted(text) + " is out of the range of a double");
  return value;
}

std::string_view Parser::parse_string() {
  const char* const quote = at_;
  char* const begin = ++at_;
  // Up to the first escape there is nothing to move.
  while (at_ != end_ && *at_ != '"' && *at_ != '\\' && static_cast<unsigned char>(*at_) - 0x20u < 0x60u) ++at_;
  char* out = at_;
  for (;;) {
    if (at_ == end_) error(position(quote), "this string has no end");
    const auto byte = static_cast<unsigned char>(*at_);
    if (byte == '"') {
      ++at_;
      return {begin, static_cast<size_t>(out - begin)};
    }
    if (byte == '\\') {
      decode_escape(out);
    } else if (byte < 0x20) {
      error_here("a control character in a string must be written as an escape");
    } else if (byte < 0x80) {
      *out++ = *at_++;
    } else {
      copy_utf8_sequence(out);
    }
  }
}

uint32_t Parser::parse_hex4(const char* escape) {
  uint32_t unit = 0;
  if (end_ - at_ < 4 || std::from_chars(at_, at_ + 4, unit, 16).ptr != at_ + 4) {
    error(position(escape), "expected four hexadecimal digits after \\u");
  }
  at_ += 4;
  return unit;
}

void Parser::decode_escape(char*& out) {
  const char* const escape = at_++;
  if (at_ == end_) error(position(escape), "this escape has no end");
  const char kind = *at_++;
  switch (kind) {
    case '"':
    case '\\':
    case '/':
      *out++ = kind;
      return;
    case 'b':
      *out++ = '\b';
      return;
    case 'f':
      *out++ = '\f';
      return;
    case 'n':
      *out++ = '\n';
      return;
    case 'r':
      *out++ = '\r';
      return;
    case 't':
      *out++ = '\t';
      return;
    case 'u':
      break;
    default:
      error(position(escape), "unknown escape in a string");
  }
  uint32_t code = parse_hex4(escape);
  if (code >= 0xdc00 && code < 0xe000) error(position(escape), "a low surrogate without a high one before it");
  if (code >= 0xd800 && code < 0xdc00) {
    if (end_ - at_ < 2 || at_[0] != '\\' || at_[1] != 'u') {
      error(position(escape), "a high surrogate without a low one after it");
    }
    at_ += 2;
    const uint32_t low = parse_hex4(escape);
    if (low < 0xdc00 || low >= 0xe000) error(position(escape), "a high surrogate without a low one after it");
    code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
  }
  const auto put = [&](uint32_t byte) { *out++ = static_cast<char>(byte); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xc0 | code >> 6);
    put(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    put(0xe0 | code >> 12);
    put(0x80 | (code >> 6 & 0x3f));
    put(0x80 | (code & 0x3f));
  } else {
    put(0xf0 | code >> 18);
    put(0x80 | (code >> 12 & 0x3f));
    put(0x80 | (code >> 6 & 0x3f));
    put(0x80 | (code & 0x3f));
  }
}

/// Well-formed sequences by table 3-7 of the Unicode standard: no overlong forms, surrogates or code points above
/// 10FFFF.
void Parser::copy_utf8_sequence(char*& out) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(at_);
  const unsigned char first = bytes[0];
  ptrdiff_t length = 0;
  unsigned char least = 0x80, most = 0xbf;  // of the second byte
  if (first >= 0xc2 && first <= 0xdf) {
    length = 2;
  } else if (first >= 0xe0 && first <= 0xef) {
    length = 3;
    if (first == 0xe0) least = 0xa0;
    if (first == 0xed) most = 0x9f;
  } else if (first >= 0xf0 && first <= 0xf4) {
    length = 4;
    if (first == 0xf0) least = 0x90;
    if (first == 0xf4) most = 0x8f;
  }
  bool valid = length != 0 && end_ - at_ >= length && bytes[1] >= least && bytes[1] <= most;
  for (ptrdiff_t i = 2; valid && i < length; ++i) valid = (bytes[i] & 0xc0) == 0x80;
  if (!valid) error_here("invalid UTF-8 in a string");
  std::memmove(out, at_, static_cast<size_t>(length));
  out += length;
  at_ += length;
}

}  // namespace octoformer::json_detail
