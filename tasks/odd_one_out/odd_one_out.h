// SPDX-License-Identifier: Apache-2.0
// Four balls stand before four buttons for a moment, three of one colour and one of another; long
// after they have gone, the button of the odd one must be pressed.
#ifndef KVLA_TASKS_ODD_ONE_OUT_ODD_ONE_OUT_H_
#define KVLA_TASKS_ODD_ONE_OUT_ODD_ONE_OUT_H_

#include <filesystem>

#include "tasks/press_task.h"

namespace kvla {

class OddOneOut : public PressTask {
 public:
  OddOneOut(const std::filesystem::path& asset_root, const TaskOptions& options);

  // Layout of Scenario::params after the first ones of ChoreLayout; Scenario::target: the slot of
  // the odd ball.
  enum Param : size_t {
    kCommonColor = 3,  // of three balls
    kOddColor,         // of the other one
    kFlashes,
  };

 private:
  void DrawEpisode(Rng& rng, Scenario* scenario) const override;
  void Show(World& world, const Scenario& scenario, bool go) const override;
};

}  // namespace kvla

#endif  // KVLA_TASKS_ODD_ONE_OUT_ODD_ONE_OUT_H_
