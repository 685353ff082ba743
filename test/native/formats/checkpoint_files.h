// Small checkpoints made by the tests themselves, and what every test of the readers needs.
#pragma once
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "backend/error.h"
#include "formats/checkpoint.h"

namespace octoformer {

/// A file in the temporary folder that vanishes with the object.
class TemporaryFile {
 public:
  explicit TemporaryFile(std::string_view content = "", std::string_view extension = ".bin");
  ~TemporaryFile();
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  /// Replaces the content.
  void write(std::string_view content) const;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// The repository's test/fixtures.
std::filesystem::path fixtures();

/// The bytes of numbers, one after another.
template <class T>
std::string bytes_of(std::initializer_list<T> values) {
  std::string bytes(values.size() * sizeof(T), '\0');
  std::memcpy(bytes.data(), values.begin(), bytes.size());
  return bytes;
}

/// A safetensors file: the header as it is given, its length before it, the data behind it.
std::string safetensors_file(std::string_view header, std::string_view data);

enum class GgufType : uint32_t {
  uint8,
  int8,
  uint16,
  int16,
  uint32,
  int32,
  float32,
  boolean,
  string,
  array,
  uint64,
  int64,
  float64,
};

/// Writes the pieces of a GGUF file.
class GgufBuilder {
 public:
  GgufBuilder& number(auto value) {
    header_.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  GgufBuilder& type(GgufType type) { return number(static_cast<uint32_t>(type)); }
  GgufBuilder& string(std::string_view text) {
    number(uint64_t{text.size()});
    header_ += text;
    return *this;
  }
  /// Magic, version and the two counts.
  GgufBuilder& begin(uint32_t version, uint64_t tensors, uint64_t pairs) {
    header_ += "GGUF";
    return number(version).number(tensors).number(pairs);
  }
  /// Dimensions innermost first, as in the file.
  GgufBuilder& tensor(std::string_view name, std::initializer_list<uint64_t> dimensions, uint32_t ggml_type,
                      uint64_t offset) {
    string(name).number(static_cast<uint32_t>(dimensions.size()));
    for (const uint64_t dimension : dimensions) number(dimension);
    return number(ggml_type).number(offset);
  }
  const std::string& header() const { return header_; }
  /// The header, padding to the alignment, the data.
  std::string file(std::string_view data, size_t alignment = 32) const {
    return header_ + std::string((alignment - header_.size() % alignment) % alignment, '\0') + std::string(data);
  }

 private:
  std::string header_;
};

/// A valid file of every kind of entry: two dtypes, an empty tensor, a scalar, metadata, an unsupported dtype.
struct Sample {
  std::string file;
  size_t header_bytes;
};
Sample safetensors_sample();
Sample gguf_sample();

std::shared_ptr<Checkpoint> open_one(const std::string& path);

/// All numbers of a tensor.
std::vector<float> read_all(const Checkpoint& checkpoint, std::string_view name);

/// Runs `action`, which must throw an Error of `code` whose message has all the `parts`.
template <class Action>
void expect_error(ErrorCode code, std::initializer_list<std::string_view> parts, Action action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_STREQ(error_code_name(error.code()), error_code_name(code)) << error.what();
    for (const std::string_view part : parts) {
      EXPECT_NE(std::string_view(error.what()).find(part), std::string_view::npos)
          << "\"" << part << "\" is not in: " << error.what();
    }
    return;
  }
  ADD_FAILURE() << "no error was thrown";
}

}  // namespace octoformer
