#include "formats/gguf.h"

#include <gtest/gtest.h>

#include <string>

#include "formats/checkpoint_files.h"

namespace octoformer {
namespace {

FileHeader read(const std::string& content) {
  return read_gguf_header("model.gguf", std::as_bytes(std::span(content)));
}

void expect_refused(const std::string& content, std::initializer_list<std::string_view> parts) {
  expect_error(ErrorCode::invalid_checkpoint, {"model.gguf"}, [&] { read(content); });
  expect_error(ErrorCode::invalid_checkpoint, parts, [&] { read(content); });
}

/// A header with one pair, whose value is what `write` adds.
template <class Write>
std::string with_pair(std::string_view key, GgufType type, Write write) {
  GgufBuilder gguf;
  gguf.begin(3, 0, 1).string(key).type(type);
  write(gguf);
  return gguf.file("");
}

TEST(Gguf, ChecksMagicVersionAndCounts) {
  const std::string none;
  EXPECT_FALSE(is_gguf(std::as_bytes(std::span(none))));
  expect_refused("GGUF", {"only 0 follow"});
  expect_refused(GgufBuilder().begin(1, 0, 0).file(""), {"version 1", "2 and 3"});
  expect_refused(GgufBuilder().begin(4, 0, 0).file(""), {"version 4"});
  expect_refused(GgufBuilder().begin(0, 0, 0).file(""), {"version 0"});
  expect_refused(GgufBuilder().begin(0x03000000, 0, 0).file(""), {"big-endian"});
  expect_refused(GgufBuilder().begin(3, UINT64_MAX, 0).file(""), {"18446744073709551615 tensors"});
  expect_refused(GgufBuilder().begin(3, 0, UINT64_MAX).file(""), {"18446744073709551615 key-value pairs"});
  expect_refused(GgufBuilder().begin(3, 0, 2).file(""), {"2 key-value pairs"});
  EXPECT_TRUE(read(GgufBuilder().begin(3, 0, 0).header()).tensors.empty());
}

TEST(Gguf, ChecksMetadata) {
  expect_refused(with_pair("k", static_cast<GgufType>(13), [](GgufBuilder& gguf) { gguf.number(1); }),
                 {"metadata key \"k\"", "unknown type 13"});
  expect_refused(
      with_pair("k", GgufType::array, [](GgufBuilder& gguf) { gguf.number(uint32_t{99}).number(uint64_t{0}); }),
      {"\"k\"", "unknown type 99"});
  expect_refused(with_pair("k", GgufType::boolean, [](GgufBuilder& gguf) { gguf.number(uint8_t{2}); }),
                 {"\"k\"", "boolean", "2"});
  expect_refused(with_pair("k", GgufType::string, [](GgufBuilder& gguf) { gguf.number(UINT64_MAX); }),
                 {"\"k\"", "18446744073709551615 bytes"});
  for (const GgufType type :
       {GgufType::uint8, GgufType::uint64, GgufType::float32, GgufType::boolean, GgufType::string, GgufType::array}) {
    for (const uint64_t count : {uint64_t{1000}, uint64_t{1} << 32, uint64_t{1} << 61, UINT64_MAX}) {
      expect_refused(with_pair("big", GgufType::array, [&](GgufBuilder& gguf) { gguf.type(type).number(count); }),
                     {"\"big\"", "claims " + std::to_string(count)});
    }
  }
  GgufBuilder twice;
  twice.begin(3, 0, 2).string("key").type(GgufType::uint8).number(uint8_t{1});
  twice.string("key").type(GgufType::uint8).number(uint8_t{1});
  expect_refused(twice.file(""), {"\"key\"", "twice"});
  expect_refused(
      with_pair(std::string(65536, 'k'), GgufType::uint8, [](GgufBuilder& gguf) { gguf.number(uint8_t{1}); }),
      {"65536", "65535"});
}

TEST(Gguf, LimitsTheDepthOfArrays) {
  const auto nested = [](int levels) {
    return with_pair("deep", GgufType::array, [&](GgufBuilder& gguf) {
      for (int i = 1; i < levels; ++i) gguf.type(GgufType::array).number(uint64_t{1});
      gguf.type(GgufType::uint8).number(uint64_t{0});
    });
  };
  EXPECT_NO_THROW(read(nested(8)));
  expect_refused(nested(9), {"\"deep\"", "limit of 8"});
  expect_refused(nested(100000), {"\"deep\"", "limit of 8"});
}

TEST(Gguf, ChecksTheAlignment) {
  const auto aligned = [](GgufType type, auto value) {
    GgufBuilder gguf;
    gguf.begin(3, 1, 1).string("general.alignment").type(type).number(value).tensor("x", {1}, 0, 0);
    return gguf.file(bytes_of<float>({1}), 64);
  };
  EXPECT_EQ(read(aligned(GgufType::uint32, uint32_t{64})).tensors[0].offset % 64, 0u);
  expect_refused(aligned(GgufType::uint32, uint32_t{0}), {"general.alignment", "power of two"});
  expect_refused(aligned(GgufType::uint32, uint32_t{48}), {"general.alignment", "power of two"});
  expect_refused(aligned(GgufType::int32, int32_t{-32}), {"general.alignment", "power of two"});
  expect_refused(aligned(GgufType::float32, 32.0f), {"general.alignment", "power of two"});
  expect_refused(aligned(GgufType::uint64, uint64_t{32}), {"general.alignment", "32-bit"});
  expect_refused(aligned(GgufType::uint32, uint32_t{1} << 31), {"ends with its header"});
  expect_refused(aligned(GgufType::int64, int64_t{1} << 62), {"ends with its header"});
}

void expect_tensor_refused(std::initializer_list<uint64_t> dimensions, uint32_t type, uint64_t offset,
                           std::initializer_list<std::string_view> parts) {
  const std::string content =
      GgufBuilder().begin(3, 1, 0).tensor("blk.0.w", dimensions, type, offset).file(std::string(64, '\0'));
  expect_refused(content, parts);
  expect_refused(content, {"tensor \"blk.0.w\""});
}

TEST(Gguf, ChecksEveryTensor) {
  expect_tensor_refused({1, 1, 1, 1, 1}, 0, 0, {"5 dimensions", "limit is 4"});
  expect_tensor_refused({UINT64_MAX}, 0, 0, {"dimension 0", "18446744073709551615"});
  expect_tensor_refused({uint64_t{1} << 32, uint64_t{1} << 32}, 0, 0, {"elements", "overflows"});
  expect_tensor_refused({uint64_t{1} << 62}, 0, 0, {"bytes", "overflows"});
  expect_tensor_refused({1}, 0, 1, {"offset 1", "alignment 32"});
  expect_tensor_refused({1}, 0, 64, {"exceed the 64 bytes"});
  expect_tensor_refused({1}, 0, UINT64_MAX - 31, {"exceed the 64 bytes"});
  expect_tensor_refused({17}, 0, 0, {"68 bytes", "exceed the 64"});
  expect_tensor_refused({16}, 8, 0, {"16 elements", "32", "Q8_0"});
  expect_tensor_refused({128}, 12, 0, {"128 elements", "256", "Q4_K"});
  expect_tensor_refused({}, 8, 0, {"1 elements", "Q8_0"});
  expect_tensor_refused({16}, 20, 0, {"16 elements", "32", "IQ4_NL"});
  expect_tensor_refused({128}, 23, 0, {"128 elements", "256", "IQ4_XS"});
  expect_tensor_refused({33}, 39, 0, {"33 elements", "32", "MXFP4"});
  expect_tensor_refused({32, 4}, 39, 0, {"68 bytes", "exceed the 64"});
  expect_tensor_refused({32, 4}, 20, 0, {"72 bytes", "exceed the 64"});
  expect_tensor_refused({256}, 23, 0, {"136 bytes", "exceed the 64"});
  expect_tensor_refused({9}, 28, 0, {"72 bytes", "exceed the 64"});
  expect_tensor_refused({uint64_t{1} << 61}, 28, 0, {"bytes", "overflows"});
  expect_tensor_refused({1}, 16, 96, {"exceed the 64 bytes"});  // an unsupported type's begin is checked too
}

TEST(Gguf, ListsUnknownTypes) {
  const FileHeader header = read(
      GgufBuilder().begin(3, 2, 0).tensor("a", {7}, 12345, 0).tensor("b", {7}, 35, 32).file(std::string(64, '\0')));
  EXPECT_EQ(header.tensors[0].dtype, "GGML type 12345");
  EXPECT_EQ(header.tensors[0].encoding, TensorEncoding::unsupported);
  EXPECT_EQ(header.tensors[0].bytes, 32u);
  EXPECT_EQ(header.tensors[1].dtype, "TQ2_0");
  EXPECT_EQ(header.tensors[1].bytes, 32u);
}

TEST(Gguf, RefusesDuplicatesAndOverlaps) {
  const std::string data(128, '\0');
  expect_refused(GgufBuilder().begin(3, 2, 0).tensor("w", {1}, 0, 0).tensor("w", {1}, 0, 32).file(data),
                 {"tensor \"w\"", "twice"});
  expect_refused(GgufBuilder().begin(3, 2, 0).tensor("a", {16}, 0, 0).tensor("b", {1}, 0, 32).file(data),
                 {"tensor \"b\"", "overlap"});
  EXPECT_NO_THROW(read(GgufBuilder().begin(3, 2, 0).tensor("b", {1}, 0, 64).tensor("a", {16}, 0, 0).file(data)));
}

}  // namespace
}  // namespace octoformer
