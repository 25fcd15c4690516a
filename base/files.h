// SPDX-License-Identifier: Apache-2.0
// Whole-file reads, writes that are either complete or absent, and questions about paths. Nothing
// here throws, whatever a path is: too long, a loop of links, not readable, not UTF-8.
#ifndef KVLA_BASE_FILES_H_
#define KVLA_BASE_FILES_H_

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"

namespace kvla {

// Whether there is one, as far as can be told; links are followed.
bool Exists(const std::filesystem::path& path);
bool IsFolder(const std::filesystem::path& path);
bool IsFile(const std::filesystem::path& path);  // a regular one: no pipe, device or folder

// From the root; `path` itself where the current folder is gone.
std::filesystem::path AbsolutePath(const std::filesystem::path& path);
// Links resolved as far as the path exists; AbsolutePath() where they cannot be.
std::filesystem::path CanonicalPath(const std::filesystem::path& path);
// The nearest folder above `path`, or itself, that exists.
std::filesystem::path NearestExisting(const std::filesystem::path& path);

// OK for a regular file that can be opened to be read. BadInput: it is missing, or a folder, pipe,
// device or socket, which is never waited for.
Status CheckReadable(const std::filesystem::path& path);

// The file's bytes. BadInput as CheckReadable(), or it is longer than `max_bytes`.
Result<std::string> ReadFile(const std::filesystem::path& path, size_t max_bytes = size_t{1} << 32);

// A file's bytes where the system keeps them: read as they are touched, shared with whoever else
// maps the file. They may be read by any number of threads as long as `owner` lives; a file that is
// cut short meanwhile ends the program, as with any mapping.
struct MappedFile {
  std::string_view bytes;
  std::shared_ptr<const void> owner;
};

// BadInput as CheckReadable().
Result<MappedFile> MapFile(const std::filesystem::path& path);

// Writes a TemporaryFile, syncs it, and renames it over `path`: a crash leaves the old file or the
// new. A link stays one: what it leads to is replaced. BadInput: a folder, pipe or device is there.
Status WriteFileAtomic(const std::filesystem::path& path, std::string_view bytes);

// Whether `folder` can be written, or made if it does not exist. Leaves nothing behind. BadInput
// names the folder and the reason.
Status CheckFolderWritable(const std::filesystem::path& folder);

}  // namespace kvla

#endif  // KVLA_BASE_FILES_H_
