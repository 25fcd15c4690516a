// SPDX-License-Identifier: Apache-2.0
// Motions of the scripted experts beside carrying a block. Each takes the situation up where it
// stands.
#ifndef KVLA_TASKS_SKILLS_H_
#define KVLA_TASKS_SKILLS_H_

#include "sim/world.h"
#include "tasks/tabletop.h"

namespace kvla {

// Presses a button from above, fingers closed.
class PressSkill {
 public:
  static constexpr double kDepth = 0.009;  // of the pinch point below the cap's top

  // One control step of pressing the button whose cap's top is at `top`.
  Action Act(const World& world, const Vec3& top);
  const Vec3& waypoint() const { return waypoint_; }

 private:
  bool over_ = false;  // the button is below
  Vec3 waypoint_{};
};

// Takes a standing knob between the fingers and moves it.
class KnobSkill {
 public:
  static constexpr double kKnobWidth = 0.024;

  // `hover`: height of the pinch point at which the open gripper clears everything.
  explicit KnobSkill(double hover) : hover_(hover) {}

  // One control step of taking the knob, to be gripped at `knob` as it stands now, to `goal`.
  Action Act(const World& world, const Vec3& knob, const Vec3& goal);
  // One control step of letting go and rising; at the end of it Clear() holds.
  Action LetGo(const World& world);
  bool Clear(const World& world) const;
  const Vec3& waypoint() const { return waypoint_; }

 private:
  enum class Phase { kOver, kDescend, kGrasp, kMove };
  Phase Advance(const World& world, const Vec3& knob) const;

  double hover_;
  Phase phase_ = Phase::kOver;
  Vec3 waypoint_{};
};

}  // namespace kvla

#endif  // KVLA_TASKS_SKILLS_H_
