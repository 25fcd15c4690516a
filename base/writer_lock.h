// SPDX-License-Identifier: Apache-2.0
// One writer at a time into a folder or file, over all kvla processes.
#ifndef KVLA_BASE_WRITER_LOCK_H_
#define KVLA_BASE_WRITER_LOCK_H_

#include <filesystem>
#include <string>
#include <utility>

#include "base/status.h"

namespace kvla {

// The file that locks a folder, within it.
inline constexpr char kFolderLockFile[] = "kvla.lock";

// Held until destroyed, by this process alone (no child inherits it); the kernel frees it when the
// process dies, however it does. The lock file says who holds it and goes when it is freed; one
// that a killed process left locks nothing.
class WriterLock {
 public:
  // Makes the folder if needed. BadInput: it cannot be written, or another holds it: which process
  // on which machine, since when, with what command.
  static Result<WriterLock> OfFolder(const std::filesystem::path& folder);
  // The lock file is `file`.lock, in a folder that is made if needed.
  static Result<WriterLock> OfFile(const std::filesystem::path& file);

  // Who writes into the folder now, "process 12 on HOST since ...: kvla eval ..."; empty: nobody.
  static std::string HolderOfFolder(const std::filesystem::path& folder);

  WriterLock(WriterLock&& other) noexcept;
  WriterLock& operator=(WriterLock&& other) noexcept;
  ~WriterLock();

 private:
  WriterLock(std::filesystem::path path, int fd) : path_(std::move(path)), fd_(fd) {}
  static Result<WriterLock> Take(const std::filesystem::path& path,
                                 const std::filesystem::path& guarded);

  std::filesystem::path path_;
  int fd_ = -1;
};

}  // namespace kvla

#endif  // KVLA_BASE_WRITER_LOCK_H_
