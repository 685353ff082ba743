#include "formats/token_tables.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <string_view>
#include <variant>

namespace octoformer {

namespace {

/// Slots of a hash table with open addressing and linear probing, half full at most; -1 is free.
std::vector<int32_t> make_slots(size_t entries) {
  return std::vector<int32_t>(std::max<size_t>(16, std::bit_ceil(2 * entries)), -1);
}

/// The slot of a hash that is free or for which `matches(entry)`.
template <class Matches>
int32_t& slot_of(std::vector<int32_t>& slots, uint32_t hash, Matches matches) {
  const size_t mask = slots.size() - 1;
  size_t place = (hash ^ hash >> 15) & mask;
  while (slots[place] >= 0 && !matches(slots[place])) place = (place + 1) & mask;
  return slots[place];
}

/// Fowler, Noll and Vo's hash 1a, over UTF-16 units.
uint32_t hash_of(std::u16string_view text) {
  uint32_t hash = 0x811c9dc5u;
  for (const char16_t unit : text) hash = (hash ^ unit) * 0x01000193u;
  return hash;
}

uint32_t hash_of(int32_t left, int32_t right) {
  return static_cast<uint32_t>(left) * 0x9e3779b1u ^ static_cast<uint32_t>(right) * 0x85ebca6bu;
}

std::u16string_view token_of(const TokenTables& tables, int32_t id) {
  const size_t begin = id == 0 ? 0 : tables.ends[static_cast<size_t>(id) - 1];
  return std::u16string_view(tables.text).substr(begin, tables.ends[static_cast<size_t>(id)] - begin);
}

int32_t& slot_of(TokenTables& tables, std::u16string_view token) {
  return slot_of(tables.slots, hash_of(token), [&](int32_t id) { return token_of(tables, id) == token; });
}

/// Adds UTF-8 as UTF-16. False for bytes that are none (Unicode 15, table 3-7).
bool append_utf16(std::string_view utf8, TokenTables::Text& out) {
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

std::optional<MergeText> split_merge(std::string_view text) {
  const size_t space = text.find(' ');
  if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos) return std::nullopt;
  if (text.starts_with("#version")) return std::nullopt;  // the first line of a merges.txt
  return MergeText(text.substr(0, space), text.substr(space + 1));
}

std::optional<TokenTables> make_token_tables(const TokenTexts& texts) {
  constexpr auto kMostIds = static_cast<size_t>(std::numeric_limits<int32_t>::max());
  if (texts.tokens > kMostIds || texts.merges > kMostIds) return std::nullopt;
  size_t bytes = 0;
  for (size_t id = 0; id < texts.tokens; ++id) bytes += texts.token(id).size();
  if (bytes > std::numeric_limits<uint32_t>::max()) return std::nullopt;

  TokenTables tables;
  tables.text.reserve(bytes);  // UTF-16 never has more units
  tables.ends.reserve(texts.tokens);
  tables.slots = make_slots(texts.tokens);
  for (size_t id = 0; id < texts.tokens; ++id) {
    if (!append_utf16(texts.token(id), tables.text)) return std::nullopt;
    tables.ends.push_back(static_cast<uint32_t>(tables.text.size()));
    int32_t& slot = slot_of(tables, token_of(tables, static_cast<int32_t>(id)));
    if (slot >= 0) return std::nullopt;
    slot = static_cast<int32_t>(id);
  }

  tables.merges.reserve(3 * texts.merges);
  tables.merge_slots = make_slots(texts.merges);
  TokenTables::Text both;
  for (size_t rank = 0; rank < texts.merges; ++rank) {
    const std::optional<MergeText> merge = texts.merge(rank);
    both.clear();
    if (!merge || !append_utf16(merge->first, both)) return std::nullopt;
    const size_t middle = both.size();
    if (!append_utf16(merge->second, both)) return std::nullopt;
    const std::u16string_view joined = both;
    for (const std::u16string_view token : {joined.substr(0, middle), joined.substr(middle), joined}) {
      const int32_t id = slot_of(tables, token);
      if (id < 0) return std::nullopt;
      tables.merges.push_back(id);
    }
    const int32_t* pair = &tables.merges[3 * rank];
    // Of several merges of one pair the last counts.
    slot_of(tables.merge_slots, hash_of(pair[0], pair[1]), [&](int32_t other) {
      return tables.merges[3 * static_cast<size_t>(other)] == pair[0] &&
             tables.merges[3 * static_cast<size_t>(other) + 1] == pair[1];
    }) = static_cast<int32_t>(rank);
  }
  return tables;
}

std::optional<TokenTables> token_tables_of(const Metadata& metadata) {
  const StringList* tokens = strings_of(metadata, "tokenizer.ggml.tokens");
  const StringList* merges = strings_of(metadata, "tokenizer.ggml.merges");
  if (tokens == nullptr) return std::nullopt;
  TokenTexts texts;
  texts.tokens = tokens->size();
  texts.token = [tokens](size_t id) { return (*tokens)[id]; };
  texts.merges = merges == nullptr ? 0 : merges->size();
  texts.merge = [merges](size_t rank) { return split_merge((*merges)[rank]); };
  return make_token_tables(texts);
}

}  // namespace octoformer
