#include "tasks/recall_color/recall_color_expert.h"

#include "tasks/recall_color/recall_color.h"

namespace kvla {
namespace {

constexpr double kHover = 0.085;  // height of the fingertips on the way to a button
constexpr double kScatter = 0.008;

}  // namespace

RecallColorExpert::RecallColorExpert(const Scenario& scenario, bool blind, Rng rng)
    : scenario_(scenario), rng_(rng) {
  const int guess = rng_.UniformInt(kNumColors);
  const int color = blind ? guess : scenario.target;
  for (int s = 0; s < RecallColor::kSlots; ++s) {
    if (static_cast<int>(scenario.params[RecallColor::kSlotColor + s]) == color) slot_ = s;
  }
}

Action RecallColorExpert::Act(const World& world) {
  const mjtNum* memory = world.data()->userdata;
  const int step = world.control_steps();
  const bool go = step >= scenario_.params[RecallColor::kGo];
  const bool cue = step >= scenario_.params[RecallColor::kCueBegin] &&
                   step < scenario_.params[RecallColor::kCueEnd];
  const bool pressed = memory[RecallColor::kPressed] > 0;
  label_.target = cue || go ? scenario_.target : -1;
  label_.decision = go && !pressed;

  const int transfers = static_cast<int>(memory[RecallColor::kTransfers]);
  if (transfer_ != transfers) {
    transfer_ = transfers;
    const auto& place = memory[RecallColor::kPlace] > 0 ? kTray : kPad;
    destination_ = {place[0] + rng_.Uniform(-kScatter, kScatter),
                    place[1] + rng_.Uniform(-kScatter, kScatter)};
  }
  if (go && !free_ && !carry_.busy()) free_ = true;
  if (free_) return Press(world);
  const Action action = carry_.Act(world, destination_);
  label_.waypoint = carry_.waypoint();
  return action;
}

Action RecallColorExpert::Press(const World& world) {
  const Pose ee = world.EndEffector();
  const Vec3 button = {RecallColor::kButtonX, RecallColor::SlotY(slot_),
                       RecallColor::kButtonTop - 0.009};
  const Vec3 above = {button[0], button[1], kHover};
  label_.waypoint = button;
  const Vec3& p = ee.position;
  if (world.data()->userdata[RecallColor::kPressed] > 0) return MoveTowards(ee, above, 1);
  // Rise first where the block or a neighbouring button could be in the way; go down only above
  // the button.
  over_ = HorizontalDistance(p, button) < (over_ ? 0.02 : 0.008);
  if (over_) return MoveTowards(ee, button, 1);
  if (p[2] < kHover - 0.02 && HorizontalDistance(p, button) > 0.02) {
    return MoveTowards(ee, {p[0], p[1], kHover + 0.01}, 1);
  }
  return MoveTowards(ee, above, 1);
}

}  // namespace kvla
