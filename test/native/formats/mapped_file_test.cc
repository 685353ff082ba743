#include "formats/mapped_file.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <utility>

#include "formats/checkpoint_files.h"

namespace octoformer {
namespace {

TEST(MappedFile, GivesTheContent) {
  const TemporaryFile file("hello");
  const MappedFile mapped(file.path());
  EXPECT_EQ(mapped.path(), file.path());
  ASSERT_EQ(mapped.bytes().size(), 5u);
  EXPECT_EQ(std::memcmp(mapped.bytes().data(), "hello", 5), 0);
}

TEST(MappedFile, GivesTheSameAfterReleasing) {
  std::string content(100'000, '\0');
  for (size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i % 251);
  const TemporaryFile file(content);
  const MappedFile mapped(file.path());
  const std::span<const std::byte> bytes = mapped.bytes();
  // Whole pages, parts of pages, nothing.
  for (const auto& [begin, size] :
       {std::pair<size_t, size_t>{0, 100'000}, {1, 99'999}, {4095, 2}, {4096, 4096}, {7, 0}}) {
    EXPECT_EQ(std::memcmp(bytes.data(), content.data(), content.size()), 0);
    mapped.release(bytes.subspan(begin, size));
  }
  EXPECT_EQ(std::memcmp(bytes.data(), content.data(), content.size()), 0);
}

TEST(MappedFile, ReadsNamesOutsideAscii) {
  const TemporaryFile file("x", "-gewichte-ä€.bin");
  EXPECT_EQ(MappedFile(file.path()).bytes().size(), 1u);
}

TEST(MappedFile, NamesWhatCantBeMapped) {
  const TemporaryFile empty("");
  const std::string folder = std::filesystem::temp_directory_path().string();
  expect_error(ErrorCode::invalid_checkpoint, {empty.path(), "empty"}, [&] { MappedFile{empty.path()}; });
  expect_error(ErrorCode::invalid_checkpoint, {folder, "not a regular file"}, [&] { MappedFile{folder}; });
  expect_error(ErrorCode::not_found, {"/nowhere/model.gguf"}, [] { MappedFile{"/nowhere/model.gguf"}; });
  expect_error(ErrorCode::not_found, {"can't open"}, [] { MappedFile{""}; });
  expect_error(ErrorCode::not_found, {"NUL"}, [&] { MappedFile{empty.path() + std::string("\0x", 2)}; });
}

}  // namespace
}  // namespace octoformer
