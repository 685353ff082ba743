#include "formats/json.h"

#include <algorithm>
#include <utility>

#include "formats/json_parser.h"
#include "formats/quoted.h"

namespace octoformer {

namespace {

/// Appends to `path` the way from `from` down to `wanted`; false if it is not there.
bool find_path(const Json& from, const Json* wanted, std::string& path) {
  if (&from == wanted) return true;
  const size_t length = path.size();
  if (from.is_array()) {
    const std::span<const Json> elements = from.as_array();
    for (size_t i = 0; i < elements.size(); ++i) {
      path += '[';
      path += std::to_string(i);
      path += ']';
      if (find_path(elements[i], wanted, path)) return true;
      path.resize(length);
    }
  } else if (from.is_object()) {
    for (const JsonMember& member : from.members()) {
      if (length != 0) path += '.';
      path += member.key;
      if (find_path(member.value, wanted, path)) return true;
      path.resize(length);
    }
  }
  return false;
}

const char* kind_name(Json::Kind kind) {
  switch (kind) {
    case Json::Kind::null:
      return "null";
    case Json::Kind::boolean:
      return "a boolean";
    case Json::Kind::integer:
      return "an integer";
    case Json::Kind::number:
      return "a number with fraction or exponent";
    case Json::Kind::string:
      return "a string";
    case Json::Kind::array:
      return "an array";
    case Json::Kind::object:
      return "an object";
  }
  return "";
}

}  // namespace

std::string Json::path() const {
  std::string path;
  if (context_ != nullptr) find_path(context_->root, this, path);
  return path;
}

void Json::fail_with(const std::string& message) const {
  if (context_ == nullptr) octoformer::fail(ErrorCode::internal, "a JSON value outside a document: ", message);
  const std::string where = path();
  octoformer::fail(context_->options.code, context_->options.source, ": ", where, where.empty() ? "" : ": ", message);
}

void Json::fail_kind(const char* expected) const { fail("expected ", expected, ", found ", kind_name(kind_)); }

bool Json::as_bool() const {
  if (kind_ != Kind::boolean) fail_kind("a boolean");
  return boolean_;
}

int64_t Json::as_int64(int64_t minimum, int64_t maximum) const {
  if (kind_ != Kind::integer) fail_kind("an integer");
  if (unsigned_) fail("expected at most ", maximum, ", found ", unsigned_integer_);
  if (integer_ < minimum) fail("expected at least ", minimum, ", found ", integer_);
  if (integer_ > maximum) fail("expected at most ", maximum, ", found ", integer_);
  return integer_;
}

uint64_t Json::as_uint64() const {
  if (kind_ != Kind::integer) fail_kind("an integer");
  if (unsigned_) return unsigned_integer_;
  if (integer_ < 0) fail("expected at least 0, found ", integer_);
  return static_cast<uint64_t>(integer_);
}

double Json::as_double() const {
  if (kind_ == Kind::number) return number_;
  if (kind_ != Kind::integer) fail_kind("a number");
  return unsigned_ ? static_cast<double>(unsigned_integer_) : static_cast<double>(integer_);
}

std::string_view Json::as_string() const {
  if (kind_ != Kind::string) fail_kind("a string");
  return {text_, size_};
}

std::span<const Json> Json::as_array() const {
  if (kind_ != Kind::array) fail_kind("an array");
  return {elements_, size_};
}

std::vector<int64_t> Json::as_int64_array(int64_t minimum, int64_t maximum) const {
  std::vector<int64_t> values;
  values.reserve(as_array().size());
  for (const Json& element : as_array()) values.push_back(element.as_int64(minimum, maximum));
  return values;
}

std::vector<double> Json::as_double_array() const {
  std::vector<double> values;
  values.reserve(as_array().size());
  for (const Json& element : as_array()) values.push_back(element.as_double());
  return values;
}

std::span<const JsonMember> Json::members() const {
  if (kind_ != Kind::object) fail_kind("an object");
  return {members_, size_};
}

const Json* Json::find(std::string_view key) const {
  const std::span<const JsonMember> all = members();
  if (size_ <= json_detail::kLinearSearchMembers) {
    for (const JsonMember& member : all) {
      if (member.key == key) return &member.value;
    }
    return nullptr;
  }
  const uint32_t* const order = json_detail::member_order(members_, size_);
  const uint32_t* const place = std::lower_bound(
      order, order + size_, key, [&](uint32_t member, std::string_view wanted) { return all[member].key < wanted; });
  return place != order + size_ && all[*place].key == key ? &all[*place].value : nullptr;
}

const Json& Json::at(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr) fail("the key ", quoted(key), " is missing");
  return *value;
}

JsonDocument JsonDocument::parse(std::string text, JsonOptions options) {
  auto context = std::make_unique<json_detail::Context>();
  context->text = std::move(text);
  context->options = std::move(options);
  json_detail::Parser(*context).run();
  return JsonDocument(std::move(context));
}

JsonDocument::JsonDocument(std::unique_ptr<json_detail::Context> context) : context_(std::move(context)) {}
JsonDocument::JsonDocument(JsonDocument&&) noexcept = default;
JsonDocument& JsonDocument::operator=(JsonDocument&&) noexcept = default;
JsonDocument::~JsonDocument() = default;

const Json& JsonDocument::root() const { return context_->root; }

}  // namespace octoformer
