// SPDX-License-Identifier: Apache-2.0
#include "tasks/press_task.h"

#include <utility>

namespace kvla {
namespace {

class PressExpert : public ChoreExpert {
 public:
  // `blind`: presses the place of a target that it guesses from `rng`, one of `choices`.
  PressExpert(const Scenario& told, const PressLayout& layout, int choices, int cue_class,
              bool blind, Rng rng)
      : ChoreExpert(told, layout.chore, rng), layout_(layout), cue_class_(cue_class) {
    const int guess = rng.UniformInt(choices);
    button_ = told.target_places[static_cast<size_t>(blind ? guess : told.target)];
    if (!layout.work_before_guess) WorkWith(rng);
  }

 private:
  bool Pressed(const World& world) const { return world.data()->userdata[layout_.pressed] > 0; }

  void LabelOf(const World& world, bool go, ExpertLabel* label) const override {
    const bool cue = CueShown(scenario(), world.control_steps());
    label->target = go ? scenario().target : cue ? cue_class_ : -1;
    label->decision = go && !Pressed(world);
  }

  Action AfterGo(const World& world, ExpertLabel* label) override {
    label->waypoint = RisenFrom(button_);
    if (Pressed(world)) return RiseFromButton(world, button_);
    label->waypoint = {button_[0], button_[1], button_[2] - layout_.waypoint_depth};
    return press_.Act(world, button_);
  }

  PressLayout layout_;
  int cue_class_;
  PressSkill press_;
  Vec3 button_{};  // to press
};

std::vector<BindFn> WithButtons(std::vector<BindFn> binds) {
  binds.push_back(BindIds<Buttons<kRowOfFour>>);
  return binds;
}

}  // namespace

TaskInfo PressTaskInfo(const std::string& name, const std::string& family, const std::string& rule,
                       StageKind decides) {
  TaskInfo info = ChoreTaskInfo(name, family, rule);
  info.stages.insert(info.stages.end(), {{"pressed", StageKind::kMotor}, {"right", decides}});
  return info;
}

PressTask::PressTask(const std::filesystem::path& asset_root, const TaskOptions& options,
                     TaskInfo info, const PressLayout& layout, std::vector<BindFn> binds)
    : ChoreTask(asset_root, options, std::move(info), layout.chore, WithButtons(std::move(binds))),
      layout_(layout) {}

void PressTask::Play(World& world, const Scenario& scenario, bool go) const {
  KeepChoice(world, PressedNow(world, kRowOfFour), layout_.pressed);
  Show(world, scenario, go);
}

ChoreTask::Verdict PressTask::Judge(const World& world, const Scenario& scenario) const {
  int right = 0;
  const Vec3& place = scenario.target_places[static_cast<size_t>(scenario.target)];
  while (right < kRowOfFour && RowOfFour(right) != place) ++right;
  return FirstChoice(world, scenario, layout_.pressed, right);
}

std::unique_ptr<Expert> PressTask::MakeExpert(const Scenario& scenario, bool blind, Rng rng) const {
  return std::make_unique<PressExpert>(scenario, layout_, info().num_choices, CueClass(scenario),
                                       blind, rng);
}

}  // namespace kvla
