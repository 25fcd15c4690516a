// SPDX-License-Identifier: Apache-2.0
#include "base/temporary_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>

#include "base/files.h"

namespace kvla {
namespace {

namespace fs = std::filesystem;

constexpr int kAttempts = 1000;  // names that a killed process of the same number left behind

std::string Reason() { return std::strerror(errno); }

}  // namespace

Result<TemporaryFile> TemporaryFile::Beside(const fs::path& target) {
  const fs::path place = CanonicalPath(target);
  if (Exists(place) && !IsFile(place)) {
    return BadInput(fmt::format("cannot write {}: {} is there, and a file is wanted",
                                target.string(),
                                IsFolder(place) ? "a folder" : "a pipe or device"));
  }
  for (int i = 0; i < kAttempts; ++i) {
    // Unlike mkstemp() this gives the file the rights that others have here.
    const fs::path path = fmt::format("{}.tmp.{}.{}", place.string(), getpid(), i);
    const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (fd >= 0) return TemporaryFile(path, place, fd);
    if (errno != EEXIST) break;
  }
  return IoError(fmt::format("cannot write {}: {}", target.string(), Reason()));
}

TemporaryFile::TemporaryFile(fs::path path, fs::path target, int fd)
    : path_(std::move(path)), target_(std::move(target)), fd_(fd) {}

TemporaryFile::TemporaryFile(TemporaryFile&& other) noexcept
    : path_(std::exchange(other.path_, {})),
      target_(std::move(other.target_)),
      fd_(std::exchange(other.fd_, -1)) {}

TemporaryFile::~TemporaryFile() {
  if (fd_ >= 0) close(fd_);
  if (!path_.empty()) unlink(path_.c_str());
}

Status TemporaryFile::Keep() {
  const auto fail = [&](const char* what) {
    return IoError(fmt::format("cannot {} {}: {}", what, target_.string(), Reason()));
  };
  // By name: a library may have written a file of its own there.
  const int written = open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (written < 0) return fail("write");
  const bool synced = fsync(written) == 0;
  if (close(written) != 0 || !synced) return fail("sync");
  if (close(std::exchange(fd_, -1)) != 0) return fail("close");
  if (rename(path_.c_str(), target_.c_str()) != 0) return fail("rename to");
  path_.clear();
  // The rename itself lasts only once the folder is on disk.
  const fs::path parent = target_.has_parent_path() ? target_.parent_path() : fs::path(".");
  const int folder = open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder >= 0) {
    fsync(folder);
    close(folder);
  }
  return {};
}

Result<TemporaryFolder> TemporaryFolder::Make() {
  std::error_code error;
  const fs::path parent = fs::temp_directory_path(error);
  if (error) return IoError("no folder for temporary files (TMPDIR): " + error.message());
  std::string name = (parent / "kvla_XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) {
    return IoError(fmt::format("cannot make a folder in {}: {}", parent.string(), Reason()));
  }
  return TemporaryFolder(name);
}

TemporaryFolder::TemporaryFolder(TemporaryFolder&& other) noexcept
    : path_(std::exchange(other.path_, {})) {}

TemporaryFolder::~TemporaryFolder() {
  std::error_code error;
  if (!path_.empty()) fs::remove_all(path_, error);
}

}  // namespace kvla
