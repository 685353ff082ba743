#include "formats/safetensors.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "formats/checkpoint_files.h"

namespace octoformer {
namespace {

FileHeader read(const std::string& content) {
  return read_safetensors_header("weights.safetensors", std::as_bytes(std::span(content)));
}

void expect_refused(const std::string& content, std::initializer_list<std::string_view> parts) {
  expect_error(ErrorCode::invalid_checkpoint, {"weights.safetensors"}, [&] { read(content); });
  expect_error(ErrorCode::invalid_checkpoint, parts, [&] { read(content); });
}

/// A file of F32 tensors "t0", "t1" ... with these offsets and shapes of one dimension, and so many bytes of data.
std::string with_offsets(const std::vector<std::pair<uint64_t, uint64_t>>& offsets, size_t data_bytes) {
  std::string header = "{";
  for (size_t i = 0; i < offsets.size(); ++i) {
    const auto [begin, end] = offsets[i];
    header += (i == 0 ? "\"t" : ",\"t") + std::to_string(i) + R"(":{"dtype":"F32","shape":[)" +
              std::to_string(end > begin ? (end - begin) / 4 : 0) + R"(],"data_offsets":[)" + std::to_string(begin) +
              "," + std::to_string(end) + "]}";
  }
  return safetensors_file(header + "}", std::string(data_bytes, '\0'));
}

TEST(Safetensors, AcceptsAnyOrderAndEmptyFiles) {
  EXPECT_EQ(read(with_offsets({{8, 16}, {0, 8}, {8, 8}}, 16)).tensors.size(), 3u);
  EXPECT_TRUE(read(safetensors_file("{}", "")).tensors.empty());
  EXPECT_TRUE(read(safetensors_file(R"({"__metadata__":null})", "")).metadata.empty());
  EXPECT_TRUE(read(safetensors_file("{}      ", "")).tensors.empty());
}

TEST(Safetensors, ChecksTheHeaderLength) {
  expect_refused("1234567", {"7 bytes", "too few"});
  expect_refused(bytes_of<uint64_t>({3}) + "{}", {"given as 3 bytes", "only 2"});
  expect_refused(bytes_of<uint64_t>({UINT64_MAX}) + "{}", {"18446744073709551615"});
  expect_refused(bytes_of<uint64_t>({0}) + "{}", {"does not begin with"});
  expect_refused(safetensors_file("[]", ""), {"does not begin with"});
  expect_refused(safetensors_file(" {}", ""), {"does not begin with"});
  std::string large = safetensors_file("{}" + std::string(100'000'000, ' '), "");
  expect_refused(large, {"100000002", "the limit is 100000000"});
}

TEST(Safetensors, GuessesWhatTheFileIs) {
  expect_refused("PK\x03\x04" + std::string(100, 'x'), {"PyTorch"});
  expect_refused("version https://git-lfs.github.com/spec/v1\n", {"git lfs pull"});
  expect_refused("<!DOCTYPE html><html>", {"web page"});
}

TEST(Safetensors, DemandsDataWithoutOverlapsAndHoles) {
  expect_refused(with_offsets({{0, 8}, {4, 12}}, 12), {"\"t1\"", "overlap"});
  expect_refused(with_offsets({{0, 8}, {0, 8}}, 8), {"overlap"});
  expect_refused(with_offsets({{0, 8}, {12, 16}}, 16), {"\"t1\"", "hole after 8"});
  expect_refused(with_offsets({{4, 8}}, 8), {"\"t0\"", "hole after 0"});
  expect_refused(with_offsets({{0, 8}}, 12), {"end at 8", "12 bytes"});
  expect_refused(with_offsets({{0, 8}}, 4), {"\"t0\"", "end at 8", "only 4", "truncated"});
  expect_refused(with_offsets({{8, 4}}, 8), {"\"t0\"", "before they begin"});
  expect_refused(with_offsets({{0, UINT64_MAX}}, 8), {"\"t0\"", "18446744073709551615"});
}

void expect_entry_refused(const std::string& entry, std::initializer_list<std::string_view> parts) {
  SCOPED_TRACE(entry);
  expect_refused(safetensors_file("{\"model.w\":" + entry + "}", "12345678"), parts);
  expect_refused(safetensors_file("{\"model.w\":" + entry + "}", "12345678"), {"model.w"});
}

TEST(Safetensors, ChecksEveryEntry) {
  expect_entry_refused("1", {"expected an object"});
  expect_entry_refused("{}", {"\"dtype\" is missing"});
  expect_entry_refused(R"({"dtype":7,"shape":[2],"data_offsets":[0,8]})", {"model.w.dtype: expected a string"});
  expect_entry_refused(R"({"dtype":"F32","data_offsets":[0,8]})", {"\"shape\" is missing"});
  expect_entry_refused(R"({"dtype":"F32","shape":2,"data_offsets":[0,8]})", {"model.w.shape: expected an array"});
  expect_entry_refused(R"({"dtype":"F32","shape":[-2],"data_offsets":[0,8]})", {"model.w.shape[0]", "-2"});
  expect_entry_refused(R"({"dtype":"F32","shape":[2.0],"data_offsets":[0,8]})", {"model.w.shape[0]", "integer"});
  expect_entry_refused(R"({"dtype":"F32","shape":[2]})", {"\"data_offsets\" is missing"});
  expect_entry_refused(R"({"dtype":"F32","shape":[2],"data_offsets":[0]})", {"[begin, end]"});
  expect_entry_refused(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8,9]})", {"[begin, end]"});
  expect_entry_refused(R"({"dtype":"F32","shape":[2],"data_offsets":[-1,8]})", {"at least 0"});
  expect_entry_refused(R"({"dtype":"F32","shape":[3],"data_offsets":[0,8]})", {"3 elements of F32", "8 bytes"});
  expect_entry_refused(R"({"dtype":"BF16","shape":[2],"data_offsets":[0,8]})", {"2 elements of BF16"});
  expect_entry_refused(R"({"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]})", {"overflows"});
  expect_entry_refused(R"({"dtype":"F32","shape":[9223372036854775807,4,0],"data_offsets":[0,0]})", {"overflows"});
  expect_entry_refused(R"({"dtype":"I64","shape":[2305843009213693953],"data_offsets":[0,8]})",
                       {"2305843009213693953"});
  expect_entry_refused(R"({"dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,8]})", {"model.w.shape[0]"});
}

TEST(Safetensors, RefusesDuplicates) {
  const std::string entry = R"({"dtype":"F32","shape":[0],"data_offsets":[0,0]})";
  expect_refused(safetensors_file("{\"twice\":" + entry + ",\"twice\":" + entry + "}", ""),
                 {"duplicate key \"twice\""});
}

TEST(Safetensors, ChecksTheMetadata) {
  expect_refused(safetensors_file(R"({"__metadata__":{"k":1}})", ""), {"__metadata__.k", "expected a string"});
  expect_refused(safetensors_file(R"({"__metadata__":[]})", ""), {"__metadata__", "expected an object"});
}

TEST(Safetensors, BoundsTheNumberOfValues) {
  std::string zeros = "0";
  for (int i = 0; i < 10000; ++i) zeros += ",0";
  expect_refused(safetensors_file("{\"x\":{\"shape\":[" + zeros + "]}}", ""), {"more values than the limit"});
}

}  // namespace
}  // namespace octoformer
