#include "formats/token_tables.h"

#include <bit>
#include <limits>
#include <string_view>
#include <variant>

namespace octoformer {

namespace {

constexpr uint32_t kHashBegin = 0x811c9dc5u;

/// Fowler, Noll and Vo's hash 1a, which goes on from the hash of what comes before.
uint32_t hash_of(std::string_view text, uint32_t hash) {
  for (const char byte : text) hash = (hash ^ static_cast<uint8_t>(byte)) * 0x01000193u;
  return hash;
}

/// Finds ids by tokens: open addressing with linear probing, half full at most.
class TokenIds {
 public:
  explicit TokenIds(const StringList& tokens)
      : tokens_(tokens), slots_(std::bit_ceil(2 * tokens.size() + 1), -1), mask_(slots_.size() - 1) {}

  /// False for one that is there already.
  bool add(int32_t id) {
    const std::string_view token = tokens_[static_cast<size_t>(id)];
    int32_t& slot = slot_of(hash_of(token, kHashBegin), token, {});
    if (slot >= 0) return false;
    slot = id;
    return true;
  }

  /// The token that two texts make, one behind the other, or -1.
  int32_t find(std::string_view left, std::string_view right) {
    return slot_of(hash_of(right, hash_of(left, kHashBegin)), left, right);
  }

 private:
  int32_t& slot_of(uint32_t hash, std::string_view left, std::string_view right) {
    for (size_t place = (hash ^ hash >> 15) & mask_;; place = (place + 1) & mask_) {
      int32_t& slot = slots_[place];
      if (slot < 0) return slot;
      const std::string_view token = tokens_[static_cast<size_t>(slot)];
      if (token.size() == left.size() + right.size() && token.starts_with(left) && token.ends_with(right)) return slot;
    }
  }

  const StringList& tokens_;
  std::vector<int32_t> slots_;
  const size_t mask_;
};

/// Adds UTF-8 as UTF-16. False for bytes that are none (Unicode 15, table 3-7).
bool append_utf16(std::string_view utf8, std::u16string& out) {
  for (size_t at = 0; at < utf8.size();) {
    const auto lead = static_cast<uint8_t>(utf8[at]);
    if (lead < 0x80) {
      out.push_back(lead);
      ++at;
      continue;
    }
    const size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || length > utf8.size() - at) return false;
    uint32_t point = lead & (0xff >> (length + 1));
    for (size_t i = 1; i < length; ++i) {
      const auto byte = static_cast<uint8_t>(utf8[at + i]);
      if ((byte & 0xc0) != 0x80) return false;
      point = point << 6 | (byte & 0x3f);
    }
    const uint32_t least = length == 4 ? 0x10000 : length == 3 ? 0x800 : 0x80;
    if (point < least || point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) return false;
    if (point < 0x10000) {
      out.push_back(static_cast<char16_t>(point));
    } else {
      out.push_back(static_cast<char16_t>(0xd7c0 + (point >> 10)));
      out.push_back(static_cast<char16_t>(0xdc00 + (point & 0x3ff)));
    }
    at += length;
  }
  return true;
}

const StringList* strings_of(const Metadata& metadata, std::string_view key) {
  const MetadataValue* value = find_metadata(metadata, key);
  return value == nullptr ? nullptr : std::get_if<StringList>(&value->value);
}

}  // namespace

bool append_merge(std::string_view text, StringList& merges) {
  const size_t space = text.find(' ');
  if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos) return false;
  if (text.starts_with("#version")) return false;  // the first line of a merges.txt
  merges.push_back(text.substr(0, space));
  merges.push_back(text.substr(space + 1));
  return true;
}

std::optional<TokenTables> make_token_tables(const StringList& tokens, const StringList& merges) {
  if (tokens.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max())) return std::nullopt;
  TokenTables tables;
  TokenIds ids(tokens);
  tables.ends.reserve(tokens.size());
  for (size_t id = 0; id < tokens.size(); ++id) {
    if (!ids.add(static_cast<int32_t>(id)) || !append_utf16(tokens[id], tables.text)) return std::nullopt;
    if (tables.text.size() > std::numeric_limits<uint32_t>::max()) return std::nullopt;
    tables.ends.push_back(static_cast<uint32_t>(tables.text.size()));
  }
  tables.merges.reserve(merges.size() / 2 * 3);
  for (size_t i = 0; i + 1 < merges.size(); i += 2) {
    const std::string_view left = merges[i], right = merges[i + 1];
    for (const int32_t id : {ids.find(left, {}), ids.find(right, {}), ids.find(left, right)}) {
      if (id < 0) return std::nullopt;
      tables.merges.push_back(id);
    }
  }
  return tables;
}

std::optional<TokenTables> token_tables_of(const Metadata& metadata) {
  const StringList* tokens = strings_of(metadata, "tokenizer.ggml.tokens");
  const StringList* texts = strings_of(metadata, "tokenizer.ggml.merges");
  StringList merges;
  if (tokens == nullptr) return std::nullopt;
  for (size_t i = 0; texts != nullptr && i < texts->size(); ++i) {
    if (!append_merge((*texts)[i], merges)) return std::nullopt;
  }
  return make_token_tables(*tokens, merges);
}

}  // namespace octoformer
