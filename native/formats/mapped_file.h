// A file as read-only memory.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace octoformer {

/// Maps a whole file; its pages are read when they are touched. The file must not be shortened while it is mapped: the
/// operating system answers a touch behind the new end with a fatal signal.
class MappedFile {
 public:
  /// `path` is UTF-8. Throws NOT_FOUND naming the file if there is none or it can't be opened, INVALID_CHECKPOINT if it
  /// is a folder or has no bytes.
  explicit MappedFile(std::string path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::string& path() const { return path_; }
  std::span<const std::byte> bytes() const { return {data_, size_}; }
  /// Takes the pages of a part of the bytes out of this process's memory; who reads them again gets them from the
  /// system's cache of the file. Windows keeps them.
  void release(std::span<const std::byte> part) const;
  /// When the file was last changed, in the operating system's smallest unit.
  int64_t modified() const { return modified_; }

 private:
  std::string path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
  int64_t modified_ = 0;
};

}  // namespace octoformer
