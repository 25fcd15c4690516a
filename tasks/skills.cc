// SPDX-License-Identifier: Apache-2.0
#include "tasks/skills.h"

#include <cmath>

namespace kvla {
namespace {

constexpr float kOpen = -1;
constexpr float kClose = 1;

constexpr double kPressHover = 0.085;  // height of the pinch point on the way to a button
constexpr double kWidthSlack = 0.006;  // of the gripper around a knob
constexpr double kOpenWidth = 0.058;
constexpr double kLow = 0.02;  // below the hover height: rise before moving sideways

}  // namespace

Action PressSkill::Act(const World& world, const Vec3& top) {
  const Pose ee = world.EndEffector();
  const Vec3& p = ee.position;
  const Vec3 down = {top[0], top[1], top[2] - kDepth};
  const Vec3 above = {top[0], top[1], kPressHover};
  waypoint_ = down;
  // Rise first where a block or a neighbouring button could be in the way; go down only above the
  // button.
  over_ = HorizontalDistance(p, down) < (over_ ? 0.02 : 0.008);
  if (over_) return MoveTowards(ee, down, kClose);
  if (p[2] < kPressHover - kLow && HorizontalDistance(p, down) > 0.02) {
    return MoveTowards(ee, {p[0], p[1], kPressHover + 0.01}, kClose);
  }
  return MoveTowards(ee, above, kClose);
}

KnobSkill::Phase KnobSkill::Advance(const World& world, const Vec3& knob) const {
  const Vec3 ee = world.EndEffector().position;
  const double width = world.arm().GripperWidth(world.data());
  const double aside = HorizontalDistance(ee, knob);
  const bool held = std::abs(width - kKnobWidth) < kWidthSlack && Distance(ee, knob) < 0.022;
  switch (phase_) {
    case Phase::kOver:
      return aside < 0.008 && width > kOpenWidth && ee[2] > knob[2] ? Phase::kDescend
                                                                    : Phase::kOver;
    case Phase::kDescend:
      if (aside > 0.02) return Phase::kOver;
      return Distance(ee, knob) < 0.009 ? Phase::kGrasp : Phase::kDescend;
    case Phase::kGrasp:
      if (width < kKnobWidth - kWidthSlack || aside > 0.03) return Phase::kOver;
      return held && width < kKnobWidth + 0.003 ? Phase::kMove : Phase::kGrasp;
    case Phase::kMove:
      return held ? Phase::kMove : Phase::kOver;
  }
  return Phase::kOver;
}

Action KnobSkill::Act(const World& world, const Vec3& knob, const Vec3& goal) {
  phase_ = Advance(world, knob);
  const Pose ee = world.EndEffector();
  const Vec3& p = ee.position;
  switch (phase_) {
    case Phase::kOver: {
      waypoint_ = knob;
      const Vec3 above = {knob[0], knob[1], hover_};
      const bool rise = p[2] < hover_ - kLow && HorizontalDistance(p, knob) > 0.008;
      return MoveTowards(ee, rise ? Vec3{p[0], p[1], hover_ + 0.01} : above, kOpen);
    }
    case Phase::kDescend:
      waypoint_ = knob;
      return MoveTowards(ee, knob, kOpen);
    case Phase::kGrasp:
      waypoint_ = knob;
      return MoveTowards(ee, knob, kClose);
    case Phase::kMove:
      waypoint_ = goal;
      return MoveTowards(ee, goal, kClose);
  }
  return MoveTowards(ee, p, kOpen);
}

Action KnobSkill::LetGo(const World& world) {
  phase_ = Phase::kOver;
  const Pose ee = world.EndEffector();
  const Vec3& p = ee.position;
  waypoint_ = {p[0], p[1], hover_};
  const bool open = world.arm().GripperWidth(world.data()) > kOpenWidth;
  return MoveTowards(ee, open ? Vec3{p[0], p[1], hover_ + 0.01} : p, kOpen);
}

bool KnobSkill::Clear(const World& world) const {
  return world.arm().GripperWidth(world.data()) > kOpenWidth &&
         world.EndEffector().position[2] > hover_ - kLow;
}

}  // namespace kvla
