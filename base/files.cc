#include "base/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace kvla {
namespace {

namespace fs = std::filesystem;

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }
  int Close() {
    const int rc = close(fd_);
    fd_ = -1;
    return rc;
  }

 private:
  int fd_;
};

std::string Reason() { return std::strerror(errno); }

}  // namespace

Result<std::string> ReadFile(const fs::path& path, size_t max_bytes) {
  const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) return BadInput(fmt::format("cannot read {}: {}", path.string(), Reason()));
  struct stat info {};
  if (fstat(fd.get(), &info) != 0) return IoError(fmt::format("{}: {}", path.string(), Reason()));
  if (S_ISDIR(info.st_mode)) return BadInput(fmt::format("{} is a folder", path.string()));
  if (static_cast<uint64_t>(info.st_size) > max_bytes) {
    return BadInput(fmt::format("{} has {} bytes; the most that is read here is {}", path.string(),
                                info.st_size, max_bytes));
  }
  std::string bytes(static_cast<size_t>(info.st_size), '\0');
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = read(fd.get(), bytes.data() + done, bytes.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return IoError(fmt::format("cannot read {}: {}", path.string(), Reason()));
    if (n == 0) break;  // it shrank meanwhile
    done += static_cast<size_t>(n);
  }
  bytes.resize(done);
  return bytes;
}

Status WriteFileAtomic(const fs::path& path, std::string_view bytes) {
  const std::string temporary = fmt::format("{}.tmp.{}", path.string(), getpid());
  const auto fail = [&](const char* what) {
    Status status = IoError(fmt::format("cannot {} {}: {}", what, path.string(), Reason()));
    unlink(temporary.c_str());
    return status;
  };
  Fd fd(open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (fd.get() < 0) return fail("write");
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = write(fd.get(), bytes.data() + done, bytes.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return fail("write");
    done += static_cast<size_t>(n);
  }
  if (fsync(fd.get()) != 0) return fail("sync");
  if (fd.Close() != 0) return fail("close");
  if (rename(temporary.c_str(), path.c_str()) != 0) return fail("rename to");
  // The rename itself lasts only once the folder is on disk.
  const fs::path parent = path.has_parent_path() ? path.parent_path() : fs::path(".");
  const Fd folder(open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.get() >= 0) fsync(folder.get());
  return {};
}

Status CheckFolderWritable(const fs::path& folder) {
  if (folder.empty()) return BadInput("the output folder has no name");
  std::error_code error;
  fs::path place = fs::absolute(folder, error).lexically_normal();
  // Up to the nearest ancestor that exists: there the rest would be made.
  while (!fs::exists(place, error) && place.has_relative_path()) {
    if (error && error != std::errc::no_such_file_or_directory &&
        error != std::errc::not_a_directory) {
      return BadInput(fmt::format("cannot write to {}: {}", folder.string(), error.message()));
    }
    place = place.has_filename() ? place.parent_path() : place.parent_path().parent_path();
  }
  if (!fs::is_directory(place, error)) {
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
