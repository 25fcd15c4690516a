// SPDX-License-Identifier: Apache-2.0
// The time of day, as runs, ledgers and locks record it.
#ifndef KVLA_BASE_UTC_H_
#define KVLA_BASE_UTC_H_

#include <ctime>
#include <string>

namespace kvla {

// "2026-11-29T15:04:05Z", or as `format` (of strftime) has it, in 31 characters at most.
inline std::string UtcNow(const char* format = "%Y-%m-%dT%H:%M:%SZ") {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[32] = "";
  std::strftime(text, sizeof(text), format, &utc);
  return text;
}

}  // namespace kvla

#endif  // KVLA_BASE_UTC_H_
