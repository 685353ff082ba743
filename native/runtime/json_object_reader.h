// Reads the members of a JSON object by key and refuses keys that nobody asked for: a misspelt optional key must not
// be taken for an absent one.
#pragma once
#include <string_view>
#include <vector>

#include "formats/json.h"

namespace octoformer {

class JsonObjectReader {
 public:
  /// `what` is for messages: "a buffer".
  JsonObjectReader(const Json& object, std::string_view what) : object_(object), what_(what) {
    if (!object.is_object()) object.fail("expected an object (", what, ")");
  }

  /// Throws INVALID_ARGUMENT naming the key when it is missing.
  const Json& required(std::string_view key) {
    seen_.push_back(key);
    return object_.at(key);
  }

  /// Null when absent.
  const Json* optional(std::string_view key) {
    seen_.push_back(key);
    return object_.find(key);
  }

  /// To be called after the last key was read.
  void refuse_unknown_keys() const {
    for (const JsonMember& member : object_.members()) {
      bool known = false;
      for (const std::string_view key : seen_) known = known || key == member.key;
      if (!known) object_.fail("unknown key '", member.key, "' of ", what_);
    }
  }

 private:
  const Json& object_;
  std::string_view what_;
  std::vector<std::string_view> seen_;
};

}  // namespace octoformer
