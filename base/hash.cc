// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"

#define XXH_INLINE_ALL
#include <fmt/format.h>
#include <xxhash.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "base/files.h"

namespace kvla {

uint64_t Hash64(const void* data, size_t size) { return XXH64(data, size, 0); }

std::string Hex64(uint64_t value) { return fmt::format("{:016x}", value); }

std::string HashHex(std::string_view bytes) { return Hex64(Hash64(bytes.data(), bytes.size())); }

Result<std::string> HashFileHex(const std::filesystem::path& path) {
  if (Status status = CheckReadable(path); !status.ok()) return status;
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"),
                                                             &std::fclose);
  if (!file) return IoError(fmt::format("cannot read {}: {}", path.string(), strerror(errno)));
  XXH64_state_t state;
  XXH64_reset(&state, 0);
  std::vector<char> buffer(1 << 20);
  while (const size_t n = std::fread(buffer.data(), 1, buffer.size(), file.get())) {
    XXH64_update(&state, buffer.data(), n);
  }
  if (std::ferror(file.get())) {
    return IoError(fmt::format("cannot read {}: {}", path.string(), strerror(errno)));
  }
  return Hex64(XXH64_digest(&state));
}

}  // namespace kvla
