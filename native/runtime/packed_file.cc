#include "runtime/packed_file.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <system_error>

#include "backend/error.h"
#include "formats/checksum.h"

namespace octoformer {

namespace {

using Sections = std::vector<std::span<const std::byte>>;

/// Whatever changes the meaning of the bytes below changes it.
constexpr std::array<char, 8> kMagic = {'o', 'c', 't', 'o', 'p', 'k', '0', '1'};

/// As much as a thread verifies at a time.
constexpr uint64_t kPackedBlock = uint64_t{1} << 20;
constexpr uint64_t kCacheLine = 64;
constexpr uint64_t kPage = 4096;
/// From here on at most a sixteenth is lost to pages that are not full.
constexpr uint64_t kPagesFrom = 16 * kPage;

struct PackedHeader {
  std::array<char, 8> magic;
  PackedKey key;
  uint64_t file_bytes;
  uint64_t table_words;
  uint64_t weights;
  /// Of what stands above, and of the table.
  uint64_t checksum;
};
static_assert(sizeof(PackedHeader) % sizeof(uint64_t) == 0);

uint64_t round_up(uint64_t value, uint64_t multiple) { return (value + multiple - 1) / multiple * multiple; }

uint64_t block_count(uint64_t bytes) { return (bytes + kPackedBlock - 1) / kPackedBlock; }

std::span<const std::byte> block_of(std::span<const std::byte> section, uint64_t index) {
  const uint64_t first = index * kPackedBlock;
  return section.subspan(first, std::min<uint64_t>(kPackedBlock, section.size() - first));
}

uint64_t checksum_of(const PackedHeader& header, std::span<const uint64_t> table) {
  const auto before = std::as_bytes(std::span(&header, 1)).first(offsetof(PackedHeader, checksum));
  return checksum(std::as_bytes(table), checksum(before));
}

std::filesystem::path as_path(const std::string& utf8) {
  return std::filesystem::path(std::u8string(utf8.begin(), utf8.end()));
}

/// Deletes the file unless it was moved away.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& path)
      : path_(as_path(std::string(path).append(".").append(std::to_string(std::random_device()())).append(".tmp"))) {}
  ~TemporaryFile() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  const std::filesystem::path path_;
};

/// Takes numbers from the table; `fits` turns false at its end.
class TableReader {
 public:
  explicit TableReader(std::span<const std::byte> words) : words_(words) {}
  uint64_t next() {
    uint64_t word = 0;
    if (words_.size() < sizeof word) {
      fits_ = false;
      return 0;
    }
    std::memcpy(&word, words_.data(), sizeof word);
    words_ = words_.subspan(sizeof word);
    return word;
  }
  /// Numbers that are left.
  uint64_t left() const { return words_.size() / sizeof(uint64_t); }
  bool fits() const { return fits_; }

 private:
  std::span<const std::byte> words_;
  bool fits_ = true;
};

}  // namespace

std::shared_ptr<const PackedFile> PackedFile::open(const std::string& path, const PackedKey& key, size_t weights,
                                                   Backend& backend, const std::atomic<bool>* abort) {
  std::shared_ptr<PackedFile> file;
  try {
    file.reset(new PackedFile(path));
  } catch (const Error&) {
    return nullptr;  // there is none, or it can't be read
  }
  if (!file->read(key, weights) || !file->verify(backend, abort)) return nullptr;
  return file;
}

bool PackedFile::read(const PackedKey& key, size_t weights) {
  const std::span<const std::byte> bytes = file_.bytes();
  PackedHeader header;
  if (bytes.size() < sizeof header) return false;
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.magic != kMagic || header.key != key || header.weights != weights) return false;
  if (header.file_bytes != bytes.size()) return false;
  if (header.table_words > (bytes.size() - sizeof header) / sizeof(uint64_t)) return false;
  const std::span<const std::byte> words = bytes.subspan(sizeof header, header.table_words * sizeof(uint64_t));
  // A mapping begins at a page and the header is whole words long, so these are aligned.
  const std::span table(reinterpret_cast<const uint64_t*>(words.data()), header.table_words);
  if (checksum_of(header, table) != header.checksum) return false;

  TableReader reader(words);
  for (size_t i = 0; i < weights; ++i) {
    Sections& sections = weights_.emplace_back();
    const uint64_t count = reader.next();
    if (count > reader.left()) return false;
    for (uint64_t s = 0; s < count; ++s) {
      const uint64_t place = reader.next(), size = reader.next();
      if (!reader.fits() || place % kCacheLine != 0 || place > bytes.size() || size > bytes.size() - place) {
        return false;
      }
      sections.push_back(bytes.subspan(place, size));
      for (uint64_t block = 0; block < block_count(size); ++block) {
        blocks_.push_back({block_of(sections.back(), block), reader.next()});
      }
    }
  }
  return reader.fits() && reader.left() == 0;
}

bool PackedFile::verify(Backend& backend, const std::atomic<bool>* abort) const {
  std::atomic<bool> intact{true};
  backend.for_each(static_cast<int64_t>(blocks_.size()), [&](int64_t index) {
    if (abort != nullptr && abort->load(std::memory_order_relaxed)) fail(ErrorCode::aborted, "loading was aborted");
    if (!intact.load(std::memory_order_relaxed)) return;
    const Block& block = blocks_[static_cast<size_t>(index)];
    if (checksum(block.bytes) != block.checksum) intact = false;
  });
  return intact;
}

void PackedFile::write(const std::string& path, const PackedKey& key, std::span<const Sections> weights) {
  std::vector<uint64_t> table;
  struct Placed {
    std::span<const std::byte> bytes;
    size_t table_index;  // of its place
    uint64_t place;
  };
  std::vector<Placed> placed;
  for (const Sections& sections : weights) {
    table.push_back(sections.size());
    for (const std::span<const std::byte> section : sections) {
      placed.push_back({section, table.size(), 0});
      table.push_back(0);
      table.push_back(section.size());
      for (uint64_t block = 0; block < block_count(section.size()); ++block) {
        table.push_back(checksum(block_of(section, block)));
      }
    }
  }
  uint64_t end = sizeof(PackedHeader) + table.size() * sizeof(uint64_t);
  for (Placed& section : placed) {
    section.place = round_up(end, section.bytes.size() >= kPagesFrom ? kPage : kCacheLine);
    table[section.table_index] = section.place;
    end = section.place + section.bytes.size();
  }
  PackedHeader header{kMagic, key, end, table.size(), weights.size(), 0};
  header.checksum = checksum_of(header, table);

  const TemporaryFile temporary(path);
  const auto check = [&](bool good) {
    if (!good) fail(ErrorCode::not_found, path, ": the packed weights can't be written");
  };
  {
    std::ofstream file(temporary.path(), std::ios::binary | std::ios::trunc);
    uint64_t written = 0;
    const auto put = [&](std::span<const std::byte> bytes) {
      if (bytes.empty()) return;
      file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
      written += bytes.size();
    };
    const std::array<std::byte, kPage> zeros{};
    put(std::as_bytes(std::span(&header, 1)));
    put(std::as_bytes(std::span(table)));
    for (const Placed& section : placed) {
      put(std::span(zeros).first(section.place - written));
      put(section.bytes);
      check(file.good());
    }
    file.close();
    check(file.good());
  }
  std::error_code error;
  std::filesystem::rename(temporary.path(), as_path(path), error);
  check(!error);
}

}  // namespace octoformer
