// The packed weights of a model in a file that a later start maps instead of packing them again.
//
// The file, in this machine's order of bytes:
//   PackedHeader
//   of each linear weight:  sections (u64), then of each section its place in the file (u64), bytes (u64), and the
//                           checksums (u64) of its blocks of kPackedBlock bytes
//   sections: from a page's start on where they are large, else from a cache line's
// A file that says anything else is not opened.
#pragma once
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "formats/mapped_file.h"

namespace octoformer {

/// What packed bytes are made of, as a hash: files of another key are not opened.
using PackedKey = std::array<uint64_t, 2>;

class PackedFile {
 public:
  /// Maps a file of `weights` weights and compares all checksums, on the backend's threads. Null where there is none,
  /// and for one that is damaged, or of another key. Throws ABORTED when `abort` (may be null) becomes true.
  static std::shared_ptr<const PackedFile> open(const std::string& path, const PackedKey& key, size_t weights,
                                                Backend& backend, const std::atomic<bool>* abort);

  /// Writes the sections of each weight beside `path` and then moves the file there in one step. Throws NOT_FOUND,
  /// naming the file, where that fails; nothing of it stays behind then.
  static void write(const std::string& path, const PackedKey& key,
                    std::span<const std::vector<std::span<const std::byte>>> weights);

  /// Of weight `index`: in the file's memory, each aligned to 64 bytes.
  std::span<const std::span<const std::byte>> sections(size_t index) const { return weights_[index]; }

 private:
  explicit PackedFile(const std::string& path) : file_(path) {}
  bool read(const PackedKey& key, size_t weights);
  bool verify(Backend& backend, const std::atomic<bool>* abort) const;

  struct Block {
    std::span<const std::byte> bytes;
    uint64_t checksum;
  };

  MappedFile file_;
  std::vector<std::vector<std::span<const std::byte>>> weights_;
  std::vector<Block> blocks_;  // of all sections
};

}  // namespace octoformer
