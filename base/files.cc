// SPDX-License-Identifier: Apache-2.0
#include "base/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/fd.h"
#include "base/temporary_file.h"

namespace kvla {
namespace {

namespace fs = std::filesystem;

std::string Reason() { return std::strerror(errno); }

// A regular file. Others are not waited for: a pipe that nobody writes to would hold the program.
Result<Fd> OpenToRead(const fs::path& path, int64_t* size) {
  Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (fd.get() < 0) return BadInput(fmt::format("cannot read {}: {}", path.string(), Reason()));
  struct stat info {};
  if (fstat(fd.get(), &info) != 0) return IoError(fmt::format("{}: {}", path.string(), Reason()));
  if (S_ISDIR(info.st_mode)) return BadInput(fmt::format("{} is a folder", path.string()));
  if (!S_ISREG(info.st_mode)) {
    return BadInput(fmt::format("{} is a pipe, device or socket; a file is wanted", path.string()));
  }
  if (size != nullptr) *size = info.st_size;
  return fd;
}

}  // namespace

bool Exists(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

bool IsFolder(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

bool IsFile(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

fs::path AbsolutePath(const fs::path& path) {
  std::error_code error;
  fs::path absolute = fs::absolute(path, error);
  return error ? path : absolute;
}

fs::path CanonicalPath(const fs::path& path) {
  std::error_code error;
  fs::path canonical = fs::weakly_canonical(AbsolutePath(path), error);
  return error ? AbsolutePath(path) : canonical;
}

fs::path NearestExisting(const fs::path& path) {
  fs::path place = AbsolutePath(path.empty() ? "." : path).lexically_normal();
  while (!Exists(place) && place.has_relative_path()) {
    place = place.has_filename() ? place.parent_path() : place.parent_path().parent_path();
  }
  return place;
}

Status CheckReadable(const fs::path& path) { return OpenToRead(path, nullptr).status(); }

Result<std::string> ReadFile(const fs::path& path, size_t max_bytes) {
  int64_t size = 0;
  const Result<Fd> fd = OpenToRead(path, &size);
  if (!fd.ok()) return fd.status();
  if (static_cast<uint64_t>(size) > max_bytes) {
    return BadInput(fmt::format("{} has {} bytes; the most that is read here is {}", path.string(),
                                size, max_bytes));
  }
  std::string bytes(static_cast<size_t>(size), '\0');
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = read(fd->get(), bytes.data() + done, bytes.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return IoError(fmt::format("cannot read {}: {}", path.string(), Reason()));
    if (n == 0) break;  // it shrank meanwhile
    done += static_cast<size_t>(n);
  }
  bytes.resize(done);
  return bytes;
}

Result<MappedFile> MapFile(const fs::path& path) {
  int64_t size = 0;
  const Result<Fd> fd = OpenToRead(path, &size);
  if (!fd.ok()) return fd.status();
  if (size == 0) return MappedFile{};  // nothing can be mapped
  const auto length = static_cast<size_t>(size);
  void* data = mmap(nullptr, length, PROT_READ, MAP_PRIVATE, fd->get(), 0);
  if (data == MAP_FAILED) {
    return IoError(fmt::format("cannot map {}: {}", path.string(), Reason()));
  }
  return MappedFile{{static_cast<const char*>(data), length},
                    {data, [length](const void* at) { munmap(const_cast<void*>(at), length); }}};
}

Status WriteFileAtomic(const fs::path& path, std::string_view bytes) {
  Result<TemporaryFile> file = TemporaryFile::Beside(path);
  if (!file.ok()) return file.status();
  while (!bytes.empty()) {
    const ssize_t n = write(file->fd(), bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return IoError(fmt::format("cannot write {}: {}", path.string(), Reason()));
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return file->Keep();
}

Status CheckFolderWritable(const fs::path& folder) {
  if (folder.empty()) return BadInput("the output folder has no name");
  std::error_code error;
  // Where the rest would be made. What cannot even be looked at cannot be written.
  const fs::path place = NearestExisting(folder);
  const bool there = fs::exists(folder, error);
  if (!there && error && error != std::errc::no_such_file_or_directory &&
      error != std::errc::not_a_directory) {
    return BadInput(fmt::format("cannot write to {}: {}", folder.string(), error.message()));
  }
  if (!IsFolder(place)) {
    return BadInput(
        fmt::format("cannot write to {}: {} is not a folder", folder.string(), place.string()));
  }
  std::string probe = (place / ".kvla_probe_XXXXXX").string();
  const int fd = mkstemp(probe.data());
  if (fd < 0) {
    return BadInput(
        fmt::format("cannot write to {}: {}: {}", folder.string(), place.string(), Reason()));
  }
  close(fd);
  unlink(probe.c_str());
  return {};
}

}  // namespace kvla
