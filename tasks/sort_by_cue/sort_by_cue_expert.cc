// SPDX-License-Identifier: Apache-2.0
#include "tasks/sort_by_cue/sort_by_cue_expert.h"

#include <algorithm>

namespace kvla {
namespace {

constexpr double kScatter = 0.006;

// Blocks put into their bins.
int Put(const World& world) { return static_cast<int>(world.data()->userdata[SortByCue::kPut]); }

}  // namespace

SortByCueExpert::SortByCueExpert(const Scenario& scenario, bool blind, Rng rng)
    : ChoreExpert(scenario, SortByCue::kLayout, rng), rng_(rng), blind_(blind) {
  rng_.Shuffle(guess_);
}

int SortByCueExpert::Shown(int step) const {
  for (const CueInterval& cue : scenario().cues) {
    if (step < StepOf(cue.begin_s) || step >= StepOf(cue.end_s)) continue;
    const size_t i = static_cast<size_t>(&cue - scenario().cues.data());
    const size_t color = static_cast<size_t>(scenario().params[SortByCue::kCueColor + i]);
    return static_cast<int>(scenario().params[SortByCue::kBinOf + color]);
  }
  return -1;
}

bool SortByCueExpert::Open(const World& world) const {
  return world.control_steps() >= scenario().params[SortByCue::kGo] &&
         Put(world) < SortByCue::kAsks;
}

int SortByCueExpert::Color(const World& world) const {
  const auto ask = static_cast<size_t>(std::min(Put(world), SortByCue::kAsks - 1));
  return static_cast<int>(scenario().params[SortByCue::kAsked + ask]);
}

void SortByCueExpert::LabelOf(const World& world, bool go, ExpertLabel* label) const {
  label->decision = false;
  label->target = !go           ? Shown(world.control_steps())
                  : Open(world) ? SortByCue::BlockClass(Color(world))
                                : -1;
}

Action SortByCueExpert::AfterGo(const World& world, ExpertLabel* label) {
  const int put = Put(world), color = Color(world);
  const auto& params = scenario().params;
  const int bin = static_cast<int>(params[SortByCue::kBinOf + static_cast<size_t>(color)]);
  if (Open(world) && !carry_.busy() && ask_ != put) {
    ask_ = put;
    carry_ = CarrySkill(SortByCue::BlockOf(world, color));
    const int to = blind_ ? guess_[static_cast<size_t>(put)] : bin;
    const double x = SortByCue::kBinX + rng_.Uniform(-kScatter, kScatter);
    destination_ = {x, SortByCue::SlotY(to) + rng_.Uniform(-kScatter, kScatter)};
  }
  const Action action = carry_.Act(world, destination_);
  label->waypoint = carry_.waypoint();
  label->decision = Open(world) && carry_.holding();
  if (label->decision) label->target = bin;
  return action;
}

}  // namespace kvla
