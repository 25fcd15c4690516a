#include "tasks/count_presses/count_presses.h"

#include <fmt/format.h>

#include <algorithm>

#include "tasks/buttons.h"
#include "tasks/count_presses/count_presses_expert.h"

namespace kvla {
namespace {

constexpr double kPulledAngle = -0.55;  // radians that the lever must be turned by
constexpr double kSecondsToBegin = 8;   // after go, with the lever
constexpr double kSecondsPerPress = 2;

double LeverAngle(const World& world) {
  const int joint = mj_name2id(world.model(), mjOBJ_JOINT, "lever");
  return world.data()->qpos[world.model()->jnt_qposadr[joint]];
}

}  // namespace

// Chance: the number of blinks is drawn uniformly from 1 to 4 and the lever ends the episode, so
// that one number of presses is right: 1/4. The tally shows what was pressed, not what is owed;
// colours and times of the blinks are drawn apart from their number.
CountPresses::CountPresses(const std::filesystem::path& asset_root)
    : scene_(asset_root / "tasks" / "count_presses" / "scene.xml") {
  info_.name = "count_presses";
  info_.family = "counting";
  info_.delays = {"short", "medium", "long"};
  info_.stages = {{"first_chore", StageKind::kMotor},
                  {"kept_working", StageKind::kMotor},
                  {"pressed", StageKind::kMotor},
                  {"pulled", StageKind::kMotor},
                  {"right", StageKind::kDecisive}};
  info_.success_rule =
      "final: after the lamp turned white, the button was pressed as often as the lamp had blinked "
      "when the lever was pulled, and one transfer of the block was done for every 6 s before that";
  info_.SetInstructions(
      {"carry the block back and forth until the white light, then press the button as often as "
       "the "
       "lamp blinked and pull the lever",
       "keep moving the block between the two places; when the light turns white, push the button "
       "once for every blink of the lamp, then pull the lever",
       "move the block from side to side, and once the lamp is white press the button the number "
       "of "
       "times that the lamp flashed before you pull the lever",
       "count the blinks of the lamp while you carry the block to and fro; when the lamp goes "
       "white "
       "press the button that many times and pull the lever",
       "shuttle the block until the lamp shines white; then give one press for each blink and "
       "finish "
       "with the lever"},
      {"transport the block here and there, and at the white signal push the button as many times "
       "as the lamp lit up, and draw the lever at the end",
       "work with the block until white light appears, then repeat the number of flashes on the "
       "button and pull the handle",
       "the lamp will blink some times: keep the number in mind, go on carrying the block, and "
       "after the lamp becomes white make that many presses, then the lever"});
  info_.chance = 1.0 / kMostBlinks;
  info_.needs_memory = true;
  // Presses still owed: none means the lever.
  info_.num_targets = info_.num_choices = kMostBlinks + 1;
}

Vec3 CountPresses::ButtonPlace() { return {0.58, -0.11, kButtonTop}; }
Vec3 CountPresses::LeverPlace() { return {0.56, 0.13, 0.075}; }

Result<Scenario> CountPresses::Draw(const EpisodeKey& key) const {
  auto started = StartScenario(info_, key);
  if (!started.ok()) return started;
  Scenario s = *std::move(started);
  Rng rng(key, "scenario");
  const int count = 1 + rng.UniformInt(kMostBlinks);
  s.params.resize(kFlashes);
  s.params[kCount] = count;
  double t = rng.Uniform(4.0, 8.0);
  int end = 0;
  for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
    const int begin = StepOf(t);
    end = begin + kFlashSteps;
    s.params[kBlinks + i] = begin;
    s.cues.push_back({begin * kControlPeriod, end * kControlPeriod});
    t = end * kControlPeriod + rng.Uniform(0.5, 1.6);
  }
  const double delay = DrawSeconds(rng, key.delay, {6.0, 9.0}, {16.0, 20.0}, {82.0, 86.0});
  const int go = end + StepOf(delay);
  s.target = count;
  s.decision_s = go * kControlPeriod;
  s.horizon_steps = go + StepOf(kSecondsToBegin + kSecondsPerPress * kMostBlinks);
  s.params[kColor] = rng.UniformInt(kNumColors);
  s.params[kGo] = go;
  s.params[kChores] = ChoresOwed(go * kControlPeriod);
  s.params[kFirstPlace] = rng.UniformInt(2);
  s.target_places.assign(kMostBlinks + 1, ButtonPlace());
  s.target_places[0] = LeverPlace();
  AppendFlashes(DrawFlashesBetween(rng, s.horizon_steps, s.cues), &s.params);
  return s;
}

Result<Scenario> CountPresses::Place(World& world, const EpisodeKey& key) const {
  auto drawn = Draw(key);
  if (!drawn.ok()) return drawn;
  if (Status s = world.Reset(); !s.ok()) return s;
  std::vector<std::string> geoms = {"cue_lamp"};
  for (int i = 0; i < kMostBlinks; ++i) geoms.push_back(fmt::format("tally{}", i));
  const std::vector<std::string> joints = {"block", "lever", ButtonName(0)};
  if (Status s = CheckScene(world, {.geoms = geoms, .joints = joints}, kMemorySize); !s.ok())
    return s;
  Rng rng(key, "placement");
  PlaceChore(world, rng, static_cast<int>(drawn->params[kFirstPlace]));
  world.data()->userdata[kTransfersAtGo] = -1;
  world.Forward();
  Update(world, *drawn);
  return drawn;
}

void CountPresses::Update(World& world, const Scenario& scenario) const {
  UpdateChore(world);
  mjtNum* memory = world.data()->userdata;
  const int step = world.control_steps();
  const auto& params = scenario.params;
  const bool go = step >= params[kGo];
  if (go && memory[kTransfersAtGo] < 0) memory[kTransfersAtGo] = memory[kChoreTransfers];
  const bool over = memory[kEarly] > 0 || memory[kPulled] > 0;
  if (NewlyPressed(world, 1, &memory[kDown]) >= 0 && !over) memory[go ? kPresses : kEarly] += 1;
  if (LeverAngle(world) < kPulledAngle && !over) memory[go ? kPulled : kEarly] = 1;

  bool blink = false;
  for (size_t i = 0; i < static_cast<size_t>(params[kCount]); ++i) {
    blink |= step >= params[kBlinks + i] && step < params[kBlinks + i] + kFlashSteps;
  }
  SetColor(world, "cue_lamp",
           go      ? Lamp::kWhite
           : blink ? Lamp::kColor
                   : Lamp::kOff,
           static_cast<int>(params[kColor]));
  for (int i = 0; i < kMostBlinks; ++i) {
    SetColor(world, fmt::format("tally{}", i), i < memory[kPresses] ? Lamp::kWhite : Lamp::kOff);
  }
  ShowFlashes(world, params, kFlashes, step);
}

Progress CountPresses::Evaluate(const World& world, const Scenario& scenario) const {
  const mjtNum* memory = world.data()->userdata;
  const auto& params = scenario.params;
  const bool worked = memory[kTransfersAtGo] >= params[kChores];
  Progress p;
  p.decisive_reached = memory[kPulled] > 0;
  p.decisive_right = p.decisive_reached && memory[kPresses] == params[kCount];
  p.reached = {memory[kChoreTransfers] >= 1, worked, memory[kPresses] >= 1, p.decisive_reached,
               p.decisive_right};
  p.success = p.decisive_right && worked;
  p.done = p.decisive_reached || memory[kEarly] > 0;
  return p;
}

std::unique_ptr<Expert> CountPresses::MakeExpert(const Scenario& scenario, bool blind,
                                                 Rng rng) const {
  return std::make_unique<CountPressesExpert>(scenario, blind, rng);
}

}  // namespace kvla
