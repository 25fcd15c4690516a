#include "tasks/sort_by_cue/sort_by_cue_expert.h"

#include <algorithm>

namespace kvla {
namespace {

constexpr double kScatter = 0.006;

}  // namespace

SortByCueExpert::SortByCueExpert(const Scenario& scenario, bool blind, Rng rng)
    : scenario_(scenario), rng_(rng), blind_(blind), chore_(rng) {
  rng_.Shuffle(guess_);
}

int SortByCueExpert::Shown(int step) const {
  for (const CueInterval& cue : scenario_.cues) {
    if (step < StepOf(cue.begin_s) || step >= StepOf(cue.end_s)) continue;
    const size_t i = static_cast<size_t>(&cue - scenario_.cues.data());
    const size_t color = static_cast<size_t>(scenario_.params[SortByCue::kCueColor + i]);
    return static_cast<int>(scenario_.params[SortByCue::kBinOf + color]);
  }
  return -1;
}

Action SortByCueExpert::Act(const World& world) {
  const int step = world.control_steps();
  const auto& params = scenario_.params;
  const int put = static_cast<int>(world.data()->userdata[SortByCue::kPut]);
  const bool open = step >= params[SortByCue::kGo] && put < SortByCue::kAsks;
  const size_t ask = static_cast<size_t>(std::min(put, SortByCue::kAsks - 1));
  const int color = static_cast<int>(params[SortByCue::kAsked + ask]);
  const int bin = static_cast<int>(params[SortByCue::kBinOf + static_cast<size_t>(color)]);

  const bool busy = ask_ < 0 ? chore_.busy() : carry_.busy();
  if (open && !busy && ask_ != put) {
    ask_ = put;
    carry_ = CarrySkill(SortByCue::ItemName(color));
    const int to = blind_ ? guess_[ask] : bin;
    const double x = SortByCue::kBinX + rng_.Uniform(-kScatter, kScatter);
    destination_ = {x, SortByCue::SlotY(to) + rng_.Uniform(-kScatter, kScatter)};
  }
  if (ask_ < 0) {
    const Action action = chore_.Act(world);
    label_.waypoint = chore_.waypoint();
    label_.target = open ? SortByCue::BlockClass(color) : Shown(step);
    return action;
  }
  const Action action = carry_.Act(world, destination_);
  label_.waypoint = carry_.waypoint();
  label_.decision = open && carry_.holding();
  label_.target = !open ? -1 : label_.decision ? bin : SortByCue::BlockClass(color);
  return action;
}

}  // namespace kvla
