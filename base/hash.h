// SPDX-License-Identifier: Apache-2.0
// xxHash64, as 16 hex digits: names configs, checkpoints and files in results.
#ifndef KVLA_BASE_HASH_H_
#define KVLA_BASE_HASH_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/status.h"

namespace kvla {

uint64_t Hash64(const void* data, size_t size);
std::string Hex64(uint64_t value);  // 16 lower-case digits
std::string HashHex(std::string_view bytes);
// Reads the file in pieces; an IoError names the path.
Result<std::string> HashFileHex(const std::filesystem::path& path);

}  // namespace kvla

#endif  // KVLA_BASE_HASH_H_
