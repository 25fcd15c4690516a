// SPDX-License-Identifier: Apache-2.0
// How long each stage of a chain took, over all the times that it was gone on with.
#ifndef KVLA_HARNESS_TRAIN_STAGE_TIMES_H_
#define KVLA_HARNESS_TRAIN_STAGE_TIMES_H_

#include <chrono>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"

namespace kvla {

// A CSV file: "stage,seconds", wall time. It is written now and then while a stage runs, so that a
// process that is killed takes little of it along.
class StageTimes {
 public:
  // BadInput where the file is there and no such table.
  static Result<StageTimes> Open(const std::filesystem::path& file);

  // The clock runs for this stage from now on.
  void Begin(const std::string& stage);
  // Writes the file, at most every half minute unless `now`.
  Status Keep(bool now = false);

  // A line a stage and one for all, in hours.
  std::string Table() const;

 private:
  explicit StageTimes(std::filesystem::path file) : file_(std::move(file)) {}
  using Clock = std::chrono::steady_clock;

  std::filesystem::path file_;
  std::vector<std::pair<std::string, double>> seconds_;
  size_t running_ = 0;  // index into seconds_
  Clock::time_point counted_, written_;
};

}  // namespace kvla

#endif  // KVLA_HARNESS_TRAIN_STAGE_TIMES_H_
