// The tokens and the merges of a tokenizer as tables of numbers: made of strings one by one in JavaScript, they take
// most of the time in which a small model starts.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/metadata.h"

namespace octoformer {

struct TokenTables {
  /// All tokens in the order of their ids, one after another.
  std::u16string text;
  /// Where each ends in the text.
  std::vector<uint32_t> ends;
  /// Of byte pair encoding, first the merge that goes first: the ids of the left and of the right token and of what
  /// they make together.
  std::vector<int32_t> merges;
};

/// Adds both tokens of a merge that is written with a space between them. False for any other text.
bool append_merge(std::string_view text, StringList& merges);

/// `merges`: left and right token of each in turn. None where a token occurs twice, is no UTF-8, or is needed by a
/// merge and isn't there: whoever reads those one by one can say which.
std::optional<TokenTables> make_token_tables(const StringList& tokens, const StringList& merges);

/// The same of what GGUF's metadata says (`tokenizer.ggml.tokens` and `.merges`).
std::optional<TokenTables> token_tables_of(const Metadata& metadata);

}  // namespace octoformer
