// The tokens and the merges of a tokenizer as tables of numbers: made of strings one by one in JavaScript, they take
// most of the time in which a small model starts.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "formats/metadata.h"
#include "formats/page_allocator.h"

namespace octoformer {

struct TokenTables {
  using Text = std::basic_string<char16_t, std::char_traits<char16_t>, PageAllocator<char16_t>>;

  /// All tokens in the order of their ids, one after another.
  Text text;
  /// Where each ends in the text.
  std::vector<uint32_t> ends;
  /// Ids by tokens, as TokenTable of ts/tokenization looks them up.
  std::vector<int32_t> slots;
  /// Of byte pair encoding, first the merge that goes first: the ids of the left and of the right token and of what
  /// they make together.
  std::vector<int32_t> merges;
  /// Places in the order of merges by the ids of both tokens, as MergeTable of ts/tokenization looks them up.
  std::vector<int32_t> merge_slots;
};

/// The left and the right token.
using MergeText = std::pair<std::string_view, std::string_view>;

/// Where tokens and merges are read from, by their places.
struct TokenTexts {
  size_t tokens = 0;
  std::function<std::string_view(size_t)> token;
  size_t merges = 0;
  /// None where there is no merge.
  std::function<std::optional<MergeText>(size_t)> merge;
};

/// Both tokens of a merge that is written with a space between them. None for any other text.
std::optional<MergeText> split_merge(std::string_view text);

/// None where a token occurs twice, is no UTF-8, or is needed by a merge and isn't there: whoever reads those one by
/// one can say which.
std::optional<TokenTables> make_token_tables(const TokenTexts& texts);

/// The same of what GGUF's metadata says (`tokenizer.ggml.tokens` and `.merges`).
std::optional<TokenTables> token_tables_of(const Metadata& metadata);

}  // namespace octoformer
