// SPDX-License-Identifier: Apache-2.0
#include "harness/train/stage_times.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "base/files.h"

namespace kvla {
namespace {

constexpr char kHeader[] = "stage,seconds";
constexpr std::chrono::seconds kBetweenWrites(30);

}  // namespace

Result<StageTimes> StageTimes::Open(const std::filesystem::path& file) {
  StageTimes times(file);
  if (!Exists(file)) return times;
  const Result<std::string> text = ReadFile(file);
  if (!text.ok()) return text.status();
  std::istringstream lines(*text);
  std::string line;
  std::getline(lines, line);
  if (line != kHeader) {
    return BadInput(
        fmt::format("{}: begins with '{}', '{}' is wanted", file.string(), line, kHeader));
  }
  while (std::getline(lines, line)) {
    const size_t comma = line.rfind(',');
    char* end = nullptr;
    const double seconds =
        comma == std::string::npos ? 0 : std::strtod(line.c_str() + comma + 1, &end);
    if (end == nullptr || *end != '\0' || !(seconds >= 0)) {
      return BadInput(fmt::format("{}: '{}' is no stage and its seconds", file.string(), line));
    }
    times.seconds_.emplace_back(line.substr(0, comma), seconds);
  }
  return times;
}

void StageTimes::Begin(const std::string& stage) {
  const auto found = std::ranges::find(seconds_, stage, &std::pair<std::string, double>::first);
  running_ = static_cast<size_t>(found - seconds_.begin());
  if (found == seconds_.end()) seconds_.emplace_back(stage, 0);
  counted_ = Clock::now();
}

Status StageTimes::Keep(bool now) {
  const Clock::time_point time = Clock::now();
  seconds_[running_].second += std::chrono::duration<double>(time - counted_).count();
  counted_ = time;
  if (!now && time - written_ < kBetweenWrites) return {};
  written_ = time;
  std::string text = std::string(kHeader) + "\n";
  for (const auto& [stage, seconds] : seconds_) text += fmt::format("{},{:.1f}\n", stage, seconds);
  return WriteFileAtomic(file_, text);
}

std::string StageTimes::Table() const {
  std::string text;
  double all = 0;
  const auto add = [&text](const std::string& name, double seconds) {
    text += fmt::format("{:<16} {:6.2f} h\n", name, seconds / 3600);
  };
  for (const auto& [stage, seconds] : seconds_) {
    add(stage, seconds);
    all += seconds;
  }
  add("all", all);
  return text;
}

}  // namespace kvla
