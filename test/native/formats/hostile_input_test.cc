// Damaged files: whatever a header says, opening it either works or throws INVALID_CHECKPOINT naming the file; nothing
// that was listed lies outside the file, everything listed can be read, and memory stays in proportion to the file.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "formats/allocation_meter.h"
#include "formats/checkpoint_files.h"
#include "formats/gguf.h"
#include "formats/safetensors.h"

namespace octoformer {
namespace {

// The largest of what a header can make us allocate: a JSON value of 24 bytes (with a vector that doubles, and its
// copy: five times that) from 4 bytes of text; a TensorInfo of 136 bytes (doubled: three times) from 24 bytes of GGUF;
// hash tables. Messages and the tables of open files take some kilobytes whatever the file's size.
constexpr size_t kMemoryFactor = 64;
constexpr size_t kFixedBytes = 64 << 10 << 2;

struct Outcome {
  bool opened = false;
  size_t read = 0;
};

/// Reads every tensor in pieces of some rows.
size_t read_everything(const Checkpoint& checkpoint, size_t file_bytes) {
  size_t read = 0;
  for (const TensorInfo& tensor : checkpoint.tensors()) {
    EXPECT_LE(tensor.offset, file_bytes);
    EXPECT_LE(tensor.bytes, file_bytes - tensor.offset);
    if (tensor.encoding == TensorEncoding::unsupported) {
      expect_error(ErrorCode::invalid_checkpoint, {tensor.dtype}, [&] { checkpoint.read_rows(tensor, 0, 0, nullptr); });
      continue;
    }
    if (tensor.bytes == 0) {
      checkpoint.read_rows(tensor, 0, tensor.rows(), nullptr);
      continue;
    }
    // bytes > 0, so rows * columns <= the file's bytes * elements a byte
    std::vector<float> row(static_cast<size_t>(tensor.columns()));
    for (int64_t i = 0; i < tensor.rows(); ++i) checkpoint.read_rows(tensor, i, 1, row.data());
    ++read;
  }
  return read;
}

/// Opens the content from disk and checks what comes out.
Outcome open_damaged(const TemporaryFile& file, const std::string& content) {
  Outcome outcome;
  file.write(content);
  // From exactly as many bytes on the heap, where a sanitizer sees a read beyond the end.
  const std::vector<std::byte> heap(std::as_bytes(std::span(content)).begin(), std::as_bytes(std::span(content)).end());
  reset_allocation_peak();
  try {
    if (is_gguf(heap)) {
      read_gguf_header(file.path(), heap);
    } else if (!heap.empty()) {
      read_safetensors_header(file.path(), heap);
    }
  } catch (const Error&) {
    // the same as below
  }
  try {
    const std::shared_ptr<Checkpoint> checkpoint = open_one(file.path());
    outcome.opened = true;
    EXPECT_LE(allocation_peak(), kMemoryFactor * content.size() + kFixedBytes);
    outcome.read = read_everything(*checkpoint, content.size());
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_checkpoint) << error.what();
    EXPECT_NE(std::string(error.what()).find(file.path()), std::string::npos) << error.what();
    EXPECT_LE(allocation_peak(), kMemoryFactor * content.size() + kFixedBytes);
  }
  return outcome;
}

struct Format {
  const char* name;
  Sample (*sample)();
};

class HostileInput : public testing::TestWithParam<Format> {
 protected:
  const Sample sample_ = GetParam().sample();
  const TemporaryFile file_;
};

TEST_P(HostileInput, TheSampleItselfIsValid) {
  const Outcome outcome = open_damaged(file_, sample_.file);
  EXPECT_TRUE(outcome.opened);
  EXPECT_GE(outcome.read, 3u);
}

TEST_P(HostileInput, TruncationAnywhereIsAnError) {
  // Every length: some 1,000 of them.
  for (size_t bytes = 0; bytes < sample_.file.size(); ++bytes) {
    SCOPED_TRACE(bytes);
    EXPECT_FALSE(open_damaged(file_, sample_.file.substr(0, bytes)).opened);
  }
}

TEST_P(HostileInput, FlippedBytesInTheHeader) {
  std::mt19937 random(20261122);
  int opened = 0;
  for (int i = 0; i < 2000; ++i) {
    SCOPED_TRACE(i);
    std::string content = sample_.file;
    // One to three bytes: single flips leave most checks untouched.
    for (uint32_t flips = random() % 3 + 1; flips > 0; --flips) {
      char& byte = content[random() % sample_.header_bytes];
      byte = static_cast<char>(byte ^ static_cast<char>(random() % 255 + 1));
    }
    opened += open_damaged(file_, content).opened;
  }
  EXPECT_LT(opened, 2000);  // a checker that never refuses is none
  EXPECT_GT(opened, 0);     // flips in names and metadata do no harm
}

TEST_P(HostileInput, ExtremeWordsInTheHeader) {
  // Lying offsets, lengths and counts: extreme 8-byte words at every position.
  for (const uint64_t word : {uint64_t{0}, uint64_t{1}, uint64_t{1} << 31, uint64_t{1} << 32, uint64_t{1} << 61,
                              uint64_t{INT64_MAX}, uint64_t{1} << 63, UINT64_MAX, UINT64_MAX - 31}) {
    for (size_t at = 0; at + 8 <= sample_.header_bytes; ++at) {
      SCOPED_TRACE(std::to_string(word) + " at " + std::to_string(at));
      std::string content = sample_.file;
      std::memcpy(content.data() + at, &word, sizeof word);
      open_damaged(file_, content);
    }
  }
}

TEST_P(HostileInput, RepeatedAndRemovedPieces) {
  std::mt19937 random(7);
  for (int i = 0; i < 500; ++i) {
    SCOPED_TRACE(i);
    const size_t from = random() % sample_.header_bytes;
    const size_t length = random() % std::min<size_t>(64, sample_.header_bytes - from) + 1;
    std::string content = sample_.file;
    if (i % 2 == 0) {
      content.insert(from, content.substr(from, length));
    } else {
      content.erase(from, length);
    }
    open_damaged(file_, content);
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, HostileInput,
                         testing::Values(Format{"safetensors", safetensors_sample}, Format{"gguf", gguf_sample}),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(HostileHeaders, TakeMemoryInProportion) {
  const TemporaryFile file;
  // The densest things that are legal, a megabyte of each.
  std::string arrays = "{\"a\":[";
  while (arrays.size() < 1'000'000) arrays += "[],";
  EXPECT_FALSE(open_damaged(file, safetensors_file(arrays + "[]]}", "")).opened);
  std::string metadata = "{\"__metadata__\":{\"k\":\"\"";
  for (int i = 0; metadata.size() < 1'000'000; ++i) metadata += ",\"" + std::to_string(i) + "\":\"\"";
  EXPECT_TRUE(open_damaged(file, safetensors_file(metadata + "}}", "")).opened);

  constexpr uint64_t kPairs = 70'000;
  GgufBuilder pairs;
  pairs.begin(3, 0, kPairs);
  for (uint64_t i = 0; i < kPairs; ++i) pairs.string(std::to_string(i)).type(GgufType::boolean).number(uint8_t{0});
  EXPECT_TRUE(open_damaged(file, pairs.file("")).opened);
  constexpr uint64_t kTensors = 30'000;
  GgufBuilder tensors;
  tensors.begin(3, kTensors, 0);
  for (uint64_t i = 0; i < kTensors; ++i) tensors.tensor(std::to_string(i), {0}, 0, 0);
  EXPECT_TRUE(open_damaged(file, tensors.file(std::string(32, '\0'))).opened);
  GgufBuilder nested;
  nested.begin(3, 0, 1).string("nested").type(GgufType::array).type(GgufType::array).number(kPairs);
  for (uint64_t i = 0; i < kPairs; ++i) nested.type(GgufType::uint8).number(uint64_t{0});
  EXPECT_TRUE(open_damaged(file, nested.file("")).opened);
}

}  // namespace
}  // namespace octoformer
