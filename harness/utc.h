// The time of day, as runs and ledgers record it.
#ifndef KVLA_HARNESS_UTC_H_
#define KVLA_HARNESS_UTC_H_

#include <ctime>
#include <string>

namespace kvla {

// "2026-11-29T15:04:05Z"
inline std::string UtcNow() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

}  // namespace kvla

#endif  // KVLA_HARNESS_UTC_H_
