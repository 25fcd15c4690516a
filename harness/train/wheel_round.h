// SPDX-License-Identifier: Apache-2.0
// A stage that records demonstrations with the policy of the stage before at the wheel.
#ifndef KVLA_HARNESS_TRAIN_WHEEL_ROUND_H_
#define KVLA_HARNESS_TRAIN_WHEEL_ROUND_H_

#include <filesystem>
#include <string>

#include "base/status.h"
#include "harness/demos/demos.h"
#include "harness/train/chain_config.h"

namespace kvla {

class DriverRound {
 public:
  // `folder`: OUT/stages/NAME; what is recorded lies in its subfolder train. `driver`: checkpoint.
  DriverRound(const WheelRound& round, std::string name, std::filesystem::path folder,
              std::string driver)
      : round_(round),
        name_(std::move(name)),
        folder_(std::move(folder)),
        driver_(std::move(driver)) {}

  // Whether anything of it is there, and all of it. BadInput: it was begun with other settings
  // (which, it says), or with other weights at the wheel.
  struct Found {
    bool begun = false, done = false;
  };
  Result<Found> Look() const;

  // Records what is missing. `like`: the settings of the demonstrations that are trained on;
  // cameras, images and the suite's options are theirs. `options.out` is not read.
  Status Record(const DemosConfig& like, DemosOptions options) const;

  std::filesystem::path demos() const { return folder_ / "train"; }

 private:
  DemosConfig Wanted(const DemosConfig& like) const;

  WheelRound round_;
  std::string name_;
  std::filesystem::path folder_;
  std::string driver_;
};

}  // namespace kvla

#endif  // KVLA_HARNESS_TRAIN_WHEEL_ROUND_H_
