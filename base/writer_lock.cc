// SPDX-License-Identifier: Apache-2.0
#include "base/writer_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>

#include "base/streams.h"
#include "base/text.h"
#include "base/utc.h"

namespace kvla {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxHolderText = 400;

std::string ReadAt(int fd, size_t max_bytes) {
  std::string text(max_bytes, '\0');
  const ssize_t n = pread(fd, text.data(), text.size(), 0);
  text.resize(n > 0 ? static_cast<size_t>(n) : 0);
  return text;
}

// Any process can have written it, and any file name can be in a command.
std::string OneLine(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\0')) text.pop_back();
  std::replace(text.begin(), text.end(), '\0', ' ');
  return PrintableLine(text);
}

// "process 12 on HOST since 2026-01-31 23:59:59 UTC: kvla demos ..."
std::string Holder() {
  std::array<char, 256> host{};
  if (gethostname(host.data(), host.size() - 1) != 0) host[0] = '?';
  std::string command;
  if (const int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC); fd >= 0) {
    command = ReadAt(fd, kMaxHolderText);
    close(fd);
  }
  return OneLine(fmt::format("process {} on {} since {}: {}", getpid(), host.data(),
                             UtcNow("%Y-%m-%d %H:%M:%S UTC"), command));
}

// Whether `path` still is the file behind `fd`: its last holder may have removed it meanwhile.
bool IsAt(const fs::path& path, int fd) {
  struct stat here {
  }, open_file{};
  return stat(path.c_str(), &here) == 0 && fstat(fd, &open_file) == 0 &&
         here.st_ino == open_file.st_ino && here.st_dev == open_file.st_dev;
}

// Looked up and not tried: a writer that starts this moment would be told that another is at work.
bool IsLocked(int fd) {
  struct stat file {};
  if (fstat(fd, &file) != 0) return false;
  std::ifstream locks("/proc/locks");
  // "1: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF": the inode stands behind the last colon.
  for (std::string line; std::getline(locks, line);) {
    std::istringstream words(line);
    std::string number, type, kind, access, process, place;
    if (!(words >> number >> type >> kind >> access >> process >> place)) continue;
    if (type == "FLOCK" && place.substr(place.rfind(':') + 1) == std::to_string(file.st_ino)) {
      return true;
    }
  }
  return false;
}

}  // namespace

Result<WriterLock> WriterLock::OfFolder(const fs::path& folder) {
  return Take(folder / kFolderLockFile, folder);
}

Result<WriterLock> WriterLock::OfFile(const fs::path& file) {
  fs::path path = file;
  path += ".lock";
  return Take(path, file);
}

std::string WriterLock::HolderOfFolder(const fs::path& folder) {
  const int fd = open((folder / kFolderLockFile).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return "";
  std::string holder;
  if (IsLocked(fd)) {
    holder = OneLine(ReadAt(fd, kMaxHolderText));
    if (holder.empty()) holder = "another process";
  }
  close(fd);
  return holder;
}

Result<WriterLock> WriterLock::Take(const fs::path& path, const fs::path& guarded) {
  const auto fail = [&](const std::string& why) {
    return BadInput(fmt::format("cannot write to {}: {}", guarded.string(), why));
  };
  std::error_code error;
  if (path.has_parent_path()) fs::create_directories(path.parent_path(), error);
  if (error) return fail(error.message());
  while (true) {
    WriterLock lock(path, open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666));
    if (lock.fd_ < 0) return fail(std::strerror(errno));
    if (flock(lock.fd_, LOCK_EX | LOCK_NB) != 0) {
      const int reason = errno;
      const std::string holder = OneLine(ReadAt(lock.fd_, kMaxHolderText));
      close(std::exchange(lock.fd_, -1));
      if (reason == EINTR) continue;
      if (reason == EWOULDBLOCK) {
        return BadInput(fmt::format("another kvla process is writing to {}{}", guarded.string(),
                                    holder.empty() ? "" : ": " + holder));
      }
      Say("kvla: warning: {} cannot be locked ({}): let nothing else write there\n",
          guarded.string(), std::strerror(reason));
      return lock;
    }
    if (!IsAt(path, lock.fd_)) {
      close(std::exchange(lock.fd_, -1));
      continue;
    }
    const std::string holder = Holder() + "\n";
    // What it says is only for a message.
    if (ftruncate(lock.fd_, 0) == 0) (void)!pwrite(lock.fd_, holder.data(), holder.size(), 0);
    return lock;
  }
}

WriterLock::WriterLock(WriterLock&& other) noexcept
    : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)) {}

WriterLock& WriterLock::operator=(WriterLock&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(fd_, other.fd_);
  return *this;
}

WriterLock::~WriterLock() {
  if (fd_ < 0) return;
  unlink(path_.c_str());  // while it is held: no other can hold a file of this name now
  close(fd_);
}

}  // namespace kvla
