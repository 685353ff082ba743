#include "formats/mapped_file.h"

#include <cstdint>
#include <system_error>
#include <utility>

#include "backend/error.h"
#include "formats/quoted.h"

#ifdef _WIN32
#ifndef NOMINMAX
#define NOMINMAX
#endif
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#else
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#endif

namespace octoformer {

namespace {

[[noreturn]] void refuse_folder(const std::string& path) {
  fail(ErrorCode::invalid_checkpoint, path, ": is not a regular file; give the path of a .safetensors or .gguf file");
}

[[noreturn]] void refuse_empty(const std::string& path) {
  fail(ErrorCode::invalid_checkpoint, path, ": the file is empty; download it again");
}

[[noreturn]] void refuse_large(const std::string& path) {
  fail(ErrorCode::invalid_checkpoint, path, ": the file is too large for the address space of this process");
}

/// What comes behind a NUL would be lost on the way to the operating system.
void refuse_nul(const std::string& path) {
  if (path.find('\0') != std::string::npos) {
    fail(ErrorCode::not_found, quoted(path), ": can't open the file: the path has a NUL character");
  }
}

#ifdef _WIN32

class Handle {
 public:
  explicit Handle(HANDLE handle) : handle_(handle) {}
  ~Handle() {
    if (valid()) CloseHandle(handle_);
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  bool valid() const { return handle_ != nullptr && handle_ != INVALID_HANDLE_VALUE; }
  HANDLE get() const { return handle_; }

 private:
  HANDLE handle_;
};

[[noreturn]] void fail_system(const std::string& path, const char* what, DWORD error) {
  fail(ErrorCode::not_found, path, ": ", what, ": ", std::system_category().message(static_cast<int>(error)));
}

std::wstring wide(const std::string& path) {
  const int length = MultiByteToWideChar(CP_UTF8, 0, path.data(), static_cast<int>(path.size()), nullptr, 0);
  std::wstring result(static_cast<size_t>(length), L'\0');
  MultiByteToWideChar(CP_UTF8, 0, path.data(), static_cast<int>(path.size()), result.data(), length);
  return result;
}

#else

class Descriptor {
 public:
  explicit Descriptor(int descriptor) : descriptor_(descriptor) {}
  ~Descriptor() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return descriptor_; }

 private:
  int descriptor_;
};

[[noreturn]] void fail_system(const std::string& path, const char* what, int error) {
  fail(ErrorCode::not_found, path, ": ", what, ": ", std::generic_category().message(error));
}

#endif

}  // namespace

#ifdef _WIN32

MappedFile::MappedFile(std::string path) : path_(std::move(path)) {
  refuse_nul(path_);
  const std::wstring name = wide(path_);
  const DWORD attributes = GetFileAttributesW(name.c_str());
  if (attributes == INVALID_FILE_ATTRIBUTES) fail_system(path_, "can't open the file", GetLastError());
  if ((attributes & FILE_ATTRIBUTE_DIRECTORY) != 0) refuse_folder(path_);
  const Handle file(
      CreateFileW(name.c_str(), GENERIC_READ, FILE_SHARE_READ, nullptr, OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, nullptr));
  if (!file.valid()) fail_system(path_, "can't open the file", GetLastError());
  LARGE_INTEGER size;
  if (GetFileSizeEx(file.get(), &size) == 0) fail_system(path_, "can't get the file's size", GetLastError());
  if (size.QuadPart == 0) refuse_empty(path_);
  if (static_cast<uint64_t>(size.QuadPart) > SIZE_MAX) refuse_large(path_);
  const Handle mapping(CreateFileMappingW(file.get(), nullptr, PAGE_READONLY, 0, 0, nullptr));
  if (!mapping.valid()) fail_system(path_, "can't map the file", GetLastError());
  const void* data = MapViewOfFile(mapping.get(), FILE_MAP_READ, 0, 0, 0);
  if (data == nullptr) fail_system(path_, "can't map the file", GetLastError());
  data_ = static_cast<const std::byte*>(data);
  size_ = static_cast<size_t>(size.QuadPart);
  FILETIME written;
  if (GetFileTime(file.get(), nullptr, nullptr, &written) != 0) {
    modified_ = static_cast<int64_t>(uint64_t{written.dwHighDateTime} << 32 | written.dwLowDateTime);
  }
}

MappedFile::~MappedFile() { UnmapViewOfFile(data_); }

void MappedFile::release(std::span<const std::byte>) const {}

#else

MappedFile::MappedFile(std::string path) : path_(std::move(path)) {
  refuse_nul(path_);
  // A pipe would block the open for ever without O_NONBLOCK; regular files ignore it.
  const Descriptor file(open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) fail_system(path_, "can't open the file", errno);
  struct stat status{};
  if (fstat(file.get(), &status) != 0) fail_system(path_, "can't get the file's size", errno);
  if (!S_ISREG(status.st_mode)) refuse_folder(path_);
  if (status.st_size == 0) refuse_empty(path_);
  if (static_cast<uint64_t>(status.st_size) > SIZE_MAX) refuse_large(path_);
  const auto size = static_cast<size_t>(status.st_size);
  void* data = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (data == MAP_FAILED) fail_system(path_, "can't map the file", errno);
  data_ = static_cast<const std::byte*>(data);
  size_ = size;
#ifdef __APPLE__
  const struct timespec& changed = status.st_mtimespec;
#else
  const struct timespec& changed = status.st_mtim;
#endif
  modified_ = static_cast<int64_t>(changed.tv_sec) * 1'000'000'000 + changed.tv_nsec;
}

MappedFile::~MappedFile() { munmap(const_cast<std::byte*>(data_), size_); }

void MappedFile::release(std::span<const std::byte> part) const {
  // Only pages that lie in it as a whole: others may be in use for what stands beside it.
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<uintptr_t>(part.data());
  const uintptr_t first = (begin + page - 1) / page * page, end = (begin + part.size()) / page * page;
  if (first < end) madvise(const_cast<std::byte*>(part.data()) + (first - begin), end - first, MADV_DONTNEED);
}

#endif

}  // namespace octoformer
