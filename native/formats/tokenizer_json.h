// The vocabulary and the merges of a tokenizer.json: nearly all of it, and what JSON.parse would take longest for.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "formats/token_tables.h"

namespace octoformer {

struct TokenizerJson {
  /// The file's text, with null for `model.vocab` and `model.merges`. It may be no valid JSON elsewhere.
  std::string rest;
  TokenTables tables;
};

/// Reads `model.vocab`, where that maps tokens to all ids from 0 on, and `model.merges`. None for a file of another
/// kind, or one that is damaged there: whoever reads it as JSON can say what is wrong.
std::optional<TokenizerJson> read_tokenizer_json(std::string_view text);

}  // namespace octoformer
