// SPDX-License-Identifier: Apache-2.0
// Files and folders that are gone unless they are kept: under a name that was free, so that nothing
// that stands there is written through or over.
#ifndef KVLA_BASE_TEMPORARY_FILE_H_
#define KVLA_BASE_TEMPORARY_FILE_H_

#include <filesystem>

#include "base/status.h"

namespace kvla {

// A new empty file in the folder of `target`, open to be written; taken away by the destructor.
class TemporaryFile {
 public:
  // IoError: the folder cannot be written. BadInput: `target` is a folder, pipe, device or socket.
  static Result<TemporaryFile> Beside(const std::filesystem::path& target);
  TemporaryFile(TemporaryFile&& other) noexcept;
  TemporaryFile& operator=(TemporaryFile&&) = delete;
  ~TemporaryFile();

  const std::filesystem::path& path() const { return path_; }
  int fd() const { return fd_; }
  // On the disk and under the name of the target, which is replaced.
  Status Keep();

 private:
  TemporaryFile(std::filesystem::path path, std::filesystem::path target, int fd);

  std::filesystem::path path_, target_;
  int fd_ = -1;
};

// A new folder in the system's folder for such; taken away with all that is in it.
class TemporaryFolder {
 public:
  static Result<TemporaryFolder> Make();
  TemporaryFolder(TemporaryFolder&& other) noexcept;
  TemporaryFolder& operator=(TemporaryFolder&&) = delete;
  ~TemporaryFolder();

  const std::filesystem::path& path() const { return path_; }

 private:
  explicit TemporaryFolder(std::filesystem::path path) : path_(std::move(path)) {}

  std::filesystem::path path_;
};

}  // namespace kvla

#endif  // KVLA_BASE_TEMPORARY_FILE_H_
