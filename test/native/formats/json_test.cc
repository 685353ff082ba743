#include "formats/json.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "formats/checkpoint_files.h"

namespace octoformer {
namespace {

JsonDocument parse(std::string text, int max_depth = 64) {
  JsonOptions options;
  options.source = "test.json";
  options.code = ErrorCode::invalid_checkpoint;
  options.max_depth = max_depth;
  return JsonDocument::parse(std::move(text), options);
}

void expect_refused(std::string text, std::initializer_list<std::string_view> parts) {
  expect_error(ErrorCode::invalid_checkpoint, {"test.json"}, [&] { parse(text); });
  expect_error(ErrorCode::invalid_checkpoint, parts, [&] { parse(text); });
}

TEST(Json, ReadsEveryKind) {
  const JsonDocument document = parse(
      " {\"n\":null,\"t\":true,\"f\":false,\"i\":-12,\"d\":-1.5e2,\"s\":\"x\",\"a\":[1,[],{}],\"o\":{\"k\":2}}\r\n\t");
  const Json& root = document.root();
  EXPECT_TRUE(root.at("n").is_null());
  EXPECT_TRUE(root.at("t").as_bool());
  EXPECT_FALSE(root.at("f").as_bool());
  EXPECT_EQ(root.at("i").as_int64(), -12);
  EXPECT_EQ(root.at("d").as_double(), -150.0);
  EXPECT_EQ(root.at("s").as_string(), "x");
  ASSERT_EQ(root.at("a").as_array().size(), 3u);
  EXPECT_TRUE(root.at("a").as_array()[1].as_array().empty());
  EXPECT_TRUE(root.at("a").as_array()[2].members().empty());
  EXPECT_EQ(root.at("o").at("k").as_int64(), 2);
  EXPECT_EQ(root.find("missing"), nullptr);
  ASSERT_EQ(root.members().size(), 8u);
  EXPECT_EQ(root.members()[7].key, "o");
  EXPECT_EQ(parse("7").root().as_int64(), 7);
}

TEST(Json, KeepsIntegersExact) {
  const JsonDocument document = parse(
      "[9223372036854775807,-9223372036854775808,9223372036854775808,18446744073709551615,9007199254740993,"
      "18446744073709551616,-9223372036854775809,0,-0]");
  const auto values = document.root().as_array();
  EXPECT_EQ(values[0].as_int64(), INT64_MAX);
  EXPECT_EQ(values[1].as_int64(), INT64_MIN);
  EXPECT_EQ(values[2].as_uint64(), uint64_t{1} << 63);
  EXPECT_EQ(values[3].as_uint64(), UINT64_MAX);
  EXPECT_EQ(values[3].as_double(), 0x1p64);
  EXPECT_EQ(values[4].as_int64(), 9007199254740993);
  EXPECT_EQ(values[5].as_double(), 0x1p64);  // beyond 64 bits: the nearest double
  EXPECT_EQ(values[6].as_double(), -0x1p63);
  EXPECT_EQ(values[7].as_uint64(), 0u);
  EXPECT_TRUE(std::signbit(values[8].as_double()));
  expect_error(ErrorCode::invalid_checkpoint, {"test.json: [2]: ", "at most 9223372036854775807"},
               [&] { values[2].as_int64(); });
  expect_error(ErrorCode::invalid_checkpoint, {"test.json: [5]: expected an integer"}, [&] { values[5].as_uint64(); });
  expect_error(ErrorCode::invalid_checkpoint, {"test.json: [1]: expected at least 0"}, [&] { values[1].as_uint64(); });
}

TEST(Json, RoundsDoublesToNearest) {
  const JsonDocument document =
      parse("[0.1,1e-7,2.2250738585072014e-308,1.7976931348623157E+308,5e-324,0.30000000000000004]");
  EXPECT_EQ(
      document.root().as_double_array(),
      (std::vector<double>{0.1, 1e-7, 2.2250738585072014e-308, 1.7976931348623157e308, 5e-324, 0.30000000000000004}));
}

TEST(Json, DecodesStrings) {
  const JsonDocument document = parse(R"(["\"\\\/\b\f\n\r\t","\u0041\u00e9\u20ac\ud83d\ude00","a\u0000b","é€😀",""])");
  const auto values = document.root().as_array();
  EXPECT_EQ(values[0].as_string(), "\"\\/\b\f\n\r\t");
  EXPECT_EQ(values[1].as_string(), "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
  EXPECT_EQ(values[2].as_string(), std::string_view("a\0b", 3));
  EXPECT_EQ(values[3].as_string(), "é€😀");
  EXPECT_EQ(values[4].as_string(), "");
}

TEST(Json, RefusesWhatIsNotJson) {
  for (const char* text : {"",          " ",           "{",
                           "[",         "[1",          "[1,",
                           "[1,]",      "{\"a\"",      "{\"a\":",
                           "{\"a\":1",  "{\"a\":1,",   "{\"a\":1,}",
                           "{a:1}",     "{1:1}",       "[1 2]",
                           "01",        "-",           "+1",
                           "1.",        ".5",          "1e",
                           "1e+",       "tru",         "True",
                           "NaN",       "Infinity",    "nul",
                           "\"",        "\"\\",        "\"\\x\"",
                           "\"\\u12\"", "\"\\u12g4\"", "1 1",
                           "[1]]",      "// c\n1",     "'a'",
                           "\"\t\"",    "\"\n\"",      "\xef\xbb\xbf{}",
                           "[\x01]",    "1e999",       "-1e999"}) {
    SCOPED_TRACE(text);
    expect_refused(text, {"line "});
  }
}

TEST(Json, RefusesInvalidUnicode) {
  for (const char* text : {"\"\\ud800\"", "\"\\udc00\"", "\"\\ud800\\u0041\"", "\"\\ud800x\"", "\"\x80\"",
                           "\"\xc0\xaf\"", "\"\xc3\"", "\"\xe0\x80\x80\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"",
                           "\"\xf5\x80\x80\x80\"", "\"\xe2\x82\"", "\"\xff\""}) {
    SCOPED_TRACE(text);
    expect_refused(text, {"line 1, column 2"});
  }
}

TEST(Json, SaysWhere) {
  expect_refused("{\n  \"a\": 1,\n  \"b\": x\n}", {"test.json: line 3, column 8", "\"x\""});
  expect_refused("{\"a\\nb\": \"c\\nd\", \"e\": ?}", {"line 1, column 23"});  // escapes are no line breaks
  expect_refused("[1,2", {"the end of the text"});
}

TEST(Json, RefusesDuplicateKeys) {
  expect_refused("{\"a\":1,\"b\":2,\"a\":3}", {"duplicate key \"a\""});
  expect_refused("{\"a\":1,\"\\u0061\":3}", {"duplicate key \"a\""});
  expect_refused("[\n {\"x\":{\"k\":1,\"k\":1}}]", {"duplicate key \"k\"", "line 2, column 7"});
  std::string large = "{";
  for (int i = 0; i < 1000; ++i) large += "\"key" + std::to_string(i) + "\":" + std::to_string(i) + ",";
  expect_refused(large + "\"key500\":0}", {"duplicate key \"key500\""});
  const JsonDocument document = parse(large + "\"last\":0}");
  EXPECT_EQ(document.root().members().size(), 1001u);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(document.root().at("key" + std::to_string(i)).as_int64(), i);
  EXPECT_EQ(document.root().find("key1000"), nullptr);
  EXPECT_EQ(document.root().find(""), nullptr);
  EXPECT_EQ(document.root().find("zzz"), nullptr);
}

TEST(Json, KeepsItsLimits) {
  EXPECT_NO_THROW(parse("[[[[0]]]]", 4));
  expect_error(ErrorCode::invalid_checkpoint, {"deeper than the limit of 4"}, [] { parse("[[[[[0]]]]]", 4); });
  expect_refused(std::string(100000, '['), {"deeper than the limit of 64"});
  JsonOptions options;
  options.source = "small";
  options.max_bytes = 4;
  expect_error(ErrorCode::invalid_argument, {"small", "5 bytes", "limit is 4"},
               [&] { JsonDocument::parse("[1,2]", options); });
  options.max_bytes = 100;
  options.max_values = 3;
  EXPECT_NO_THROW(JsonDocument::parse("[1,2]", options));
  expect_error(ErrorCode::invalid_argument, {"more values than the limit of 3"},
               [&] { JsonDocument::parse("[1,2,3]", options); });
}

TEST(Json, TypedAccessNamesThePath) {
  const JsonDocument document = parse(R"({"ops":[{"op":"linear"},{"op":"norm","input":{"buffer":"x","size":1.5}}]})");
  const Json& op = document.root().at("ops").as_array()[1];
  EXPECT_EQ(op.at("input").path(), "ops[1].input");
  expect_error(ErrorCode::invalid_checkpoint, {"test.json: ops[1].input.buffer: expected an integer, found a string"},
               [&] { op.at("input").at("buffer").as_int64(); });
  expect_error(ErrorCode::invalid_checkpoint, {"test.json: ops[1].input.size: expected an integer, found a number"},
               [&] { op.at("input").at("size").as_int64(); });
  expect_error(ErrorCode::invalid_checkpoint, {"test.json: ops[1]: the key \"epsilon\" is missing"},
               [&] { op.at("epsilon"); });
  expect_error(ErrorCode::invalid_checkpoint, {"test.json: the key \"version\" is missing"},
               [&] { document.root().at("version"); });
  expect_error(ErrorCode::invalid_checkpoint, {"ops[0].op: expected an object, found a string"},
               [&] { document.root().at("ops").as_array()[0].at("op").find("x"); });
  expect_error(ErrorCode::invalid_checkpoint, {"ops: expected a boolean, found an array"},
               [&] { document.root().at("ops").as_bool(); });
  expect_error(ErrorCode::invalid_checkpoint, {"test.json: expected an array, found an object"},
               [&] { document.root().as_array(); });
  expect_error(ErrorCode::invalid_checkpoint, {"ops[1].op: unknown op norm"},
               [&] { op.at("op").fail("unknown op ", op.at("op").as_string()); });
  const JsonDocument numbers = parse("{\"shape\":[3,-1]}");
  expect_error(ErrorCode::invalid_checkpoint, {"shape[1]: expected at least 0, found -1"},
               [&] { numbers.root().at("shape").as_int64_array(0); });
  expect_error(ErrorCode::invalid_checkpoint, {"shape[0]: expected at most 2, found 3"},
               [&] { numbers.root().at("shape").as_int64_array(-1, 2); });
}

TEST(Json, SurvivesAMove) {
  JsonDocument first = parse("{\"a\":[1,2]}");
  const JsonDocument second = std::move(first);
  EXPECT_EQ(second.root().at("a").as_int64_array(), (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(second.root().at("a").path(), "a");
}

}  // namespace
}  // namespace octoformer
