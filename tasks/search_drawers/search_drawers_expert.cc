// SPDX-License-Identifier: Apache-2.0
#include "tasks/search_drawers/search_drawers_expert.h"

namespace kvla {
namespace {

constexpr double kHover = 0.125;  // of the open gripper above the handles
constexpr double kPull = 0.075;

}  // namespace

SearchDrawersExpert::SearchDrawersExpert(const Scenario& scenario, bool blind, Rng rng)
    : scenario_(scenario), rng_(rng), blind_(blind), chore_(rng), knob_(kHover) {
  for (int& guess : guess_) guess = rng_.UniformInt(SearchDrawers::kDrawers);
}

int SearchDrawersExpert::Wanted(const World& world, int round) const {
  if (round < SearchDrawers::kNamed) {
    return static_cast<int>(scenario_.params[SearchDrawers::kNames + static_cast<size_t>(round)]);
  }
  for (size_t i = 0; i < SearchDrawers::kDrawers; ++i) {
    if (world.data()->userdata[SearchDrawers::kLooked + i] == 0) return static_cast<int>(i);
  }
  return 0;
}

Action SearchDrawersExpert::Act(const World& world) {
  const int round = SearchDrawers::OpenRound(world, scenario_);
  const bool search = round >= SearchDrawers::kNamed;
  label_.target = round >= 0 ? Wanted(world, round) : -1;
  label_.decision = search;
  if (round >= 0 && drawer_ < 0 && !chore_.busy()) {
    drawer_ = blind_ && search ? guess_[static_cast<size_t>(round)] : label_.target;
    knob_ = KnobSkill(kHover);
  }
  if (round < 0 && drawer_ >= 0) leaving_ = true;
  if (leaving_ && knob_.Clear(world)) {
    leaving_ = false;
    drawer_ = -1;
    chore_.Restart();
  }
  if (leaving_) {
    const Action action = knob_.LetGo(world);
    label_.waypoint = knob_.waypoint();
    return action;
  }
  if (drawer_ < 0) {
    const Action action = chore_.Act(world);
    label_.waypoint = chore_.waypoint();
    return action;
  }
  const int handle = world.Ids<DrawerIds>().handles[static_cast<size_t>(drawer_)];
  const mjtNum* at = world.data()->geom_xpos + 3 * handle;
  const Vec3 knob = {at[0], at[1], SearchDrawers::kGripHeight};
  const Action action = knob_.Act(
      world, knob,
      {SearchDrawers::kHandleX - kPull, SearchDrawers::SlotY(drawer_), SearchDrawers::kGripHeight});
  label_.waypoint = knob_.waypoint();
  return action;
}

}  // namespace kvla
