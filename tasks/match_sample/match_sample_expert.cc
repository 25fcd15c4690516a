#include "tasks/match_sample/match_sample_expert.h"

#include "tasks/match_sample/match_sample.h"

namespace kvla {

MatchSampleExpert::MatchSampleExpert(const Scenario& scenario, bool blind, Rng rng)
    : scenario_(scenario), rng_(rng), slot_(rng_.UniformInt(MatchSample::kShapes)), chore_(rng_) {
  if (!blind) slot_ = scenario.target;
}

Action MatchSampleExpert::Act(const World& world) {
  const int step = world.control_steps();
  const auto& params = scenario_.params;
  const bool go = step >= params[MatchSample::kGo];
  const bool cue = step >= params[MatchSample::kCueBegin] && step < params[MatchSample::kCueEnd];
  label_.target = go    ? scenario_.target
                  : cue ? MatchSample::ShapeClass(static_cast<int>(params[MatchSample::kShown]))
                        : -1;
  label_.decision = go && world.data()->userdata[MatchSample::kPressed] == 0;
  if (go && !free_ && !chore_.busy()) free_ = true;
  if (!free_) {
    const Action action = chore_.Act(world);
    label_.waypoint = chore_.waypoint();
    return action;
  }
  const Action action = press_.Act(world, scenario_.target_places[static_cast<size_t>(slot_)]);
  label_.waypoint = press_.waypoint();
  return action;
}

}  // namespace kvla
