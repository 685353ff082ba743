#include "formats/token_tables.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <initializer_list>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/tokenizer_json.h"

namespace octoformer {
namespace {

StringList strings(std::initializer_list<std::string_view> items) {
  StringList list;
  for (const std::string_view item : items) list.push_back(item);
  return list;
}

/// `merges`: left and right token of each in turn.
std::optional<TokenTables> tables_of(const StringList& tokens, const StringList& merges) {
  return make_token_tables({tokens.size(), [&](size_t id) { return tokens[id]; }, merges.size() / 2,
                            [&](size_t rank) { return MergeText(merges[2 * rank], merges[2 * rank + 1]); }});
}

TEST(TokenTables, HoldTokensAsUtf16AndMergesAsIds) {
  const auto tables = tables_of(strings({"b", "a", "ab", "\xC4\xA0", "", "\xF0\x9F\x98\x80", "\xE2\x96\x81"}),
                                strings({"a", "b", "", "ab", "\xC4\xA0", ""}));
  ASSERT_TRUE(tables);
  EXPECT_EQ(tables->text, u"baab\u0120\U0001F600\u2581");
  EXPECT_EQ(tables->ends, (std::vector<uint32_t>{1, 2, 4, 5, 5, 7, 8}));
  EXPECT_EQ(tables->merges, (std::vector<int32_t>{1, 0, 2, 4, 2, 2, 3, 4, 3}));
}

TEST(TokenTables, HaveASlotForEachTokenAndEachPair) {
  StringList tokens, merges;
  for (int i = 0; i < 1000; ++i) tokens.push_back("t" + std::to_string(i));
  tokens.push_back("");
  for (int i = 0; i < 9; ++i) {
    merges.push_back("t" + std::to_string(i));
    merges.push_back("");
  }
  merges.push_back("t3");  // once more: the last counts
  merges.push_back("");
  const auto tables = tables_of(tokens, merges);
  ASSERT_TRUE(tables);
  EXPECT_EQ(tables->slots.size(), 2048u);
  EXPECT_EQ(tables->merge_slots.size(), 32u);
  const auto entries = [](std::vector<int32_t> slots) {
    std::erase(slots, -1);
    std::sort(slots.begin(), slots.end());
    return slots;
  };
  std::vector<int32_t> ids(1001);
  std::iota(ids.begin(), ids.end(), 0);
  EXPECT_EQ(entries(tables->slots), ids);
  EXPECT_EQ(entries(tables->merge_slots), (std::vector<int32_t>{0, 1, 2, 4, 5, 6, 7, 8, 9}));
}

TEST(TokenTables, AreNotMadeOfWhatIsDamaged) {
  EXPECT_FALSE(tables_of(strings({"a", "b", "a"}), {}));
  EXPECT_FALSE(tables_of(strings({"a", "b"}), strings({"a", "b"})));
  EXPECT_FALSE(tables_of(strings({"a", "ab"}), strings({"a", "b"})));
  // A byte that begins nothing, an end in the middle, a byte that goes on with nothing, more bytes than needed, half of
  // a surrogate pair, beyond Unicode.
  for (const std::string_view bad :
       {"\xFF", "\xE2\x96", "\x80", "\xC0\xAF", "\xE0\x80\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xC3("}) {
    EXPECT_FALSE(tables_of(strings({"a", bad}), {})) << bad;
  }
}

TEST(TokenTables, OfGgufsMetadata) {
  Metadata metadata;
  EXPECT_FALSE(token_tables_of(metadata));
  metadata.push_back({"tokenizer.ggml.tokens", {strings({"a", "b", "ab"})}});
  ASSERT_TRUE(token_tables_of(metadata));
  metadata.push_back({"tokenizer.ggml.merges", {strings({"a b"})}});
  const auto tables = token_tables_of(metadata);
  ASSERT_TRUE(tables);
  EXPECT_EQ(tables->merges, (std::vector<int32_t>{0, 1, 2}));
  for (const std::string_view odd : {"ab", "a b ", "a  b", "b a", "#version: 0.2"}) {
    metadata.back().value = {strings({odd})};
    EXPECT_FALSE(token_tables_of(metadata)) << odd;
  }
}

TEST(TokenizerJson, LeavesOutVocabularyAndMerges) {
  const auto read = read_tokenizer_json(
      " {\"a\": [1, {\"vocab\": {\"}\": \"]\\\"\"}}],\n \"model\" : {\"type\":\"BPE\", \"vocab\" : { \"b\\u0120\\n\" : "
      "1 ,"
      "\"\\ud83d\\ude00\":2,\"\\u00e9\":0}, \"x\": -1.5e3,\"merges\":[[\"b\\u0120\",\"\\n\"]] , "
      "\"continuing_subword_prefix\":"
      " null}, \"z\": true} ");
  EXPECT_FALSE(read);  // a merge of tokens that there aren't
  const auto good = read_tokenizer_json(
      " {\"a\": [1, {\"vocab\": {\"}\": \"]\\\"\"}}],\n \"model\" : {\"type\":\"BPE\", \"vocab\" : { \"b\\u0120\\/\" : "
      "3 ,"
      "\"\\ud83d\\ude00\":2,\"\\u00e9\":0, \"b \xC3\xA9\":1}, \"x\": -1.5e3,\"merges\":[] , "
      "\"continuing_subword_prefix\": null}, \"z\": true} ");
  ASSERT_TRUE(good);
  EXPECT_EQ(good->rest,
            " {\"a\": [1, {\"vocab\": {\"}\": \"]\\\"\"}}],\n \"model\" : {\"type\":\"BPE\", \"vocab\" : null, \"x\": "
            "-1.5e3,\"merges\":null , \"continuing_subword_prefix\": null}, \"z\": true} ");
  EXPECT_EQ(good->tables.text, u"\u00e9b \u00e9\U0001F600b\u0120/");
  EXPECT_EQ(good->tables.ends, (std::vector<uint32_t>{1, 4, 6, 9}));
}

TEST(TokenizerJson, ReadsBothFormsOfMergesBeforeTheVocabularyToo) {
  const std::string vocabulary = "\"vocab\":{\"a\":0,\"b c\":1,\"ab c\":2,\"b\":3,\"ab\":4}";
  const auto read = read_tokenizer_json("{\"model\":{\"merges\":[[\"a\",\"b c\"],\"a b\"]," + vocabulary + "}}");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->tables.merges, (std::vector<int32_t>{0, 1, 2, 0, 3, 4}));
  EXPECT_EQ(read->rest, "{\"model\":{\"merges\":null,\"vocab\":null}}");
  const auto none = read_tokenizer_json("{\"model\":{" + vocabulary + "}}");
  ASSERT_TRUE(none);
  EXPECT_TRUE(none->tables.merges.empty());
  EXPECT_EQ(none->rest, "{\"model\":{\"vocab\":null}}");
}

TEST(TokenizerJson, LeavesUnusualFilesToOthers) {
  const auto of_model = [](std::string_view model) {
    return read_tokenizer_json(std::string("{\"model\":{").append(model).append("}}"));
  };
  ASSERT_TRUE(of_model("\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b\"]"));
  for (const std::string_view model : {
           "\"vocab\":[[\"a\",-1.5]]",             // Unigram
           "\"vocab\":{\"a\":0,\"b\":2}",          // a hole
           "\"vocab\":{\"a\":0,\"b\":0}",          // one id for two
           "\"vocab\":{\"a\":0,\"a\":1}",          // two ids for one
           "\"vocab\":{\"a\":-0}",                 //
           "\"vocab\":{\"a\":0.0}",                //
           "\"vocab\":{\"a\":00}",                 //
           "\"vocab\":{\"a\":\"0\"}",              //
           "\"vocab\":{\"a\":4294967296}",         //
           "\"vocab\":{\"\\ud800\":0}",            // half of a pair
           "\"vocab\":{\"\\udc00\\ud800\":0}",     //
           "\"vocab\":{\"\\u00g0\":0}",            //
           "\"vocab\":{\"\\x\":0}",                //
           "\"vocab\":{\"a\n\":0}",                //
           "\"vocab\":{\"a\":0,}",                 //
           "\"vocab\":{\"a\":0",                   //
           "\"vocab\":{\"a\":0},\"vocab\":{}",     //
           "\"merges\":[]",                        // no vocabulary
           "\"vocab\":null",                       //
           "\"vocab\":{\"a\":0},\"merges\":null",  //
           "\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b c\"]",
           "\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[[\"a\",\"b\",\"\"]]",
           "\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[[\"a\"]]",
           "\"vocab\":{\"a\":0,\"##b\":1,\"a##b\":2},\"merges\":[\"a ##b\"],\"continuing_subword_prefix\":\"##\"",
           "\"continuing_subword_prefix\":\"##\",\"vocab\":{\"a\":0,\"##b\":1,\"a##b\":2},\"merges\":[\"a ##b\"]",
       }) {
    EXPECT_FALSE(of_model(model)) << model;
  }
  for (const std::string_view text :
       {"", "[]", "{", "{\"a\":1}", "{\"a\":[}", "{\"model\":{\"vocab\":{}}", "\xEF\xBB\xBF{}"}) {
    EXPECT_FALSE(read_tokenizer_json(text)) << text;
  }
}

}  // namespace
}  // namespace octoformer
