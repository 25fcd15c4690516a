// SPDX-License-Identifier: Apache-2.0
// Base of the chore tasks in which one press decides: after go the first button of the row of four
// that goes down is the choice, and the right one stands where the target has its place. A task
// adds what it draws and what it shows.
#ifndef KVLA_TASKS_PRESS_TASK_H_
#define KVLA_TASKS_PRESS_TASK_H_

#include <array>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "tasks/buttons.h"
#include "tasks/chore_task.h"
#include "tasks/skills.h"

namespace kvla {

inline constexpr double kSecondsToPress = 9;  // after go
// See ChoreLayout. "longer" lasts 3,980 control steps.
inline constexpr std::array<double, 4> kPressGoSeconds = {18, 28, 50, 190};

// The defaults are for new tasks, as those of ChoreLayout.
struct PressLayout {
  ChoreLayout chore = {.go_seconds = kPressGoSeconds, .memory = 5};
  size_t pressed = 3;  // in userdata: 1 + the first button pressed, 0 none; then the step of that
  // What the labels and the work of recorded demonstrations rest on.
  double waypoint_depth = PressSkill::kDepth;  // below the cap's top
  bool work_before_guess = false;              // in the expert's random numbers
};

// ChoreTaskInfo() with the stages "pressed" and "right"; `decides`: the kind of the latter.
TaskInfo PressTaskInfo(const std::string& name, const std::string& family, const std::string& rule,
                       StageKind decides = StageKind::kDecisive);

class PressTask : public ChoreTask {
 public:
  std::unique_ptr<Expert> MakeExpert(const Scenario& scenario, bool blind, Rng rng) const final;

 protected:
  // `binds`: what the scene must have besides buttons and the chore's.
  PressTask(const std::filesystem::path& asset_root, const TaskOptions& options, TaskInfo info,
            const PressLayout& layout, std::vector<BindFn> binds = {});

  // Lamps, caps and objects as the control step has them, after the lamp (white after go, else
  // off).
  virtual void Show(World& world, const Scenario& scenario, bool go) const = 0;
  // The class that the image is about while a cue is to be seen.
  virtual int CueClass(const Scenario& scenario) const { return scenario.target; }

 private:
  void Play(World& world, const Scenario& scenario, bool go) const final;
  Verdict Judge(const World& world, const Scenario& scenario) const final;

  PressLayout layout_;
};

}  // namespace kvla

#endif  // KVLA_TASKS_PRESS_TASK_H_
