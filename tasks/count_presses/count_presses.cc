// SPDX-License-Identifier: Apache-2.0
#include "tasks/count_presses/count_presses.h"

#include <cmath>

#include "tasks/buttons.h"
#include "tasks/count_presses/count_presses_expert.h"

namespace kvla {
namespace {

constexpr double kPulledAngle = -0.55;  // radians that the lever must be turned by
constexpr double kSecondsToBegin = 8;   // after go, with the lever
constexpr double kSecondsPerPress = 2;

struct LeverIds {
  explicit LeverIds(NameLookup& names)
      : lever(names.Position("lever")),
        tally(names.Numbered(mjOBJ_GEOM, "tally", CountPresses::kMostBlinks)) {}
  int lever;               // its angle in mjData.qpos
  std::vector<int> tally;  // geoms
};

// Chance: the number of blinks is drawn uniformly from 1 to 4 and the lever ends the episode, so
// that one number of presses is right: 1/4. The tally shows what was pressed, not what is owed;
// colours and times of the blinks are drawn apart from their number.
TaskInfo Info() {
  TaskInfo info = ChoreTaskInfo("count_presses", "counting",
                                "after the lamp turned white, the button was pressed as often as "
                                "the lamp had blinked when the lever was pulled");
  info.stages.insert(info.stages.end(), {{"pressed", StageKind::kMotor},
                                         {"pulled", StageKind::kMotor},
                                         {"right", StageKind::kDecisive}});
  info.SetInstructions(
      {("carry the block back and forth until the white light, then press the button as often as "
        "the lamp blinked and pull the lever"),
       ("keep moving the block between the two places; when the light turns white, push the button "
        "once for every blink of the lamp, then pull the lever"),
       ("move the block from side to side, and once the lamp is white press the button the number "
        "of times that the lamp flashed before you pull the lever"),
       ("count the blinks of the lamp while you carry the block to and fro; when the lamp goes "
        "white press the button that many times and pull the lever"),
       ("shuttle the block until the lamp shines white; then give one press for each blink and "
        "finish with the lever")},
      {("transport the block here and there, and at the white signal push the button as many times "
        "as the lamp lit up, and draw the lever at the end"),
       ("work with the block until white light appears, then repeat the number of flashes on the "
        "button and pull the handle"),
       ("the lamp will blink some times: keep the number in mind, go on carrying the block, and "
        "after the lamp becomes white make that many presses, then the lever")});
  info.chance = 1.0 / CountPresses::kMostBlinks;
  info.needs_memory = true;
  info.bits.assign(info.delays.size(), std::log2(CountPresses::kMostBlinks));
  // Presses still owed: none means the lever.
  info.num_targets = info.num_choices = CountPresses::kMostBlinks + 1;
  return info;
}

}  // namespace

CountPresses::CountPresses(const std::filesystem::path& asset_root, const TaskOptions& options)
    : ChoreTask(asset_root, options, Info(), kLayout, {BindIds<Buttons<1>>, BindIds<LeverIds>}) {}

Vec3 CountPresses::ButtonPlace() { return {0.58, -0.11, kButtonTop}; }
Vec3 CountPresses::LeverPlace() { return {0.56, 0.13, 0.075}; }

void CountPresses::DrawEpisode(Rng& rng, Scenario* scenario) const {
  Scenario& s = *scenario;
  const int count = 1 + rng.UniformInt(kMostBlinks);
  s.params[kCount] = count;
  const bool anywhere = options().CuesAnywhere();
  // As long a series whatever the number is, one of which is a decoy: neither the first blink's
  // time nor the decoy's place tells how many follow.
  const bool one_is_decoy = anywhere && options().decoys;
  const int lights = anywhere ? kMostBlinks + (one_is_decoy ? 1 : 0) : count;
  std::vector<int> begins = DrawSeries(rng, s, lights, {0.5, 1.6});
  const CueInterval series = {begins.front() * kControlPeriod,
                              (begins.back() + kFlashSteps) * kControlPeriod};
  if (one_is_decoy) {
    const auto decoy = begins.begin() + 1 + rng.UniformInt(kMostBlinks);
    s.decoys.push_back({*decoy, *decoy + kFlashSteps, 0});
    begins.erase(decoy);
  }
  for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
    s.params[kBlinks + i] = begins[i];
    s.cues.push_back({begins[i] * kControlPeriod, (begins[i] + kFlashSteps) * kControlPeriod});
  }
  const int go =
      DrawGo(rng, s, begins.back() + kFlashSteps, {6.0, 9.0}, {16.0, 20.0}, {82.0, 86.0});
  s.target = count;
  s.params[kColor] = rng.UniformInt(kNumColors);
  SetGo(rng, go, kSecondsToBegin + kSecondsPerPress * kMostBlinks, scenario);
  s.target_places.assign(kMostBlinks + 1, ButtonPlace());
  s.target_places[0] = LeverPlace();
  DrawDecoys(rng, kFlashSteps, 1, {series}, scenario);
}

void CountPresses::Play(World& world, const Scenario& scenario, bool go) const {
  mjtNum* memory = world.data()->userdata;
  const int step = world.control_steps();
  const auto& params = scenario.params;
  const bool over = memory[kEarly] > 0 || memory[kPulled] > 0;
  if (NewlyPressed(world, 1, &memory[kDown]) >= 0 && !over) memory[go ? kPresses : kEarly] += 1;
  const LeverIds& ids = world.Ids<LeverIds>();
  if (world.data()->qpos[ids.lever] < kPulledAngle && !over) memory[go ? kPulled : kEarly] = 1;

  bool blink = false;
  for (size_t i = 0; i < static_cast<size_t>(params[kCount]); ++i) {
    blink |= step >= params[kBlinks + i] && step < params[kBlinks + i] + kFlashSteps;
  }
  ShowSign(world, scenario, blink);
  if ((blink || DecoyShown(scenario, step) >= 0) && !go) {
    SetCueLamp(world, Lamp::kColor, static_cast<int>(params[kColor]));
  }
  for (size_t i = 0; i < ids.tally.size(); ++i) {
    const bool made = static_cast<double>(i) < memory[kPresses];
    SetColor(world, ids.tally[i], made ? Lamp::kWhite : Lamp::kOff);
  }
}

ChoreTask::Verdict CountPresses::Judge(const World& world, const Scenario& scenario) const {
  const mjtNum* memory = world.data()->userdata;
  const bool pulled = memory[kPulled] > 0;
  const bool right = pulled && memory[kPresses] == scenario.params[kCount];
  return {.decided = pulled,
          .right = right,
          .over = pulled || memory[kEarly] > 0,
          .stages = {memory[kPresses] >= 1, pulled, right}};
}

std::unique_ptr<Expert> CountPresses::MakeExpert(const Scenario& scenario, bool blind,
                                                 Rng rng) const {
  return std::make_unique<CountPressesExpert>(scenario, blind, rng);
}

}  // namespace kvla
