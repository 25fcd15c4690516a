// Whole-file reads, and writes that are either complete or absent.
#ifndef KVLA_BASE_FILES_H_
#define KVLA_BASE_FILES_H_

#include <filesystem>
#include <string>
#include <string_view>

#include "base/status.h"

namespace kvla {

// The file's bytes. BadInput: it is missing, a folder, or longer than `max_bytes`.
Result<std::string> ReadFile(const std::filesystem::path& path, size_t max_bytes = size_t{1} << 32);

// Writes path.tmp.PID, syncs it, and renames it over `path`: a crash leaves the old file or the
// new.
Status WriteFileAtomic(const std::filesystem::path& path, std::string_view bytes);

// Whether `folder` can be written, or made if it does not exist. Leaves nothing behind. BadInput
// names the folder and the reason.
Status CheckFolderWritable(const std::filesystem::path& folder);

}  // namespace kvla

#endif  // KVLA_BASE_FILES_H_
