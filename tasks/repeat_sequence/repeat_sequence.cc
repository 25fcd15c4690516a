#include "tasks/repeat_sequence/repeat_sequence.h"

#include <algorithm>
#include <array>

#include "tasks/buttons.h"
#include "tasks/repeat_sequence/repeat_sequence_expert.h"

namespace kvla {
namespace {

constexpr int kLitColor = 3;            // yellow
constexpr double kSecondsToBegin = 6;   // after go
constexpr double kSecondsPerPress = 3;  // for each button of the sequence

}  // namespace

// Chance: the order is drawn uniformly without repetition from five buttons, and the first wrong
// press ends the episode: 1 in 5 * 4 * 3 = 60 for three, 1 in 120 for four and for five. The task
// states the easiest.
RepeatSequence::RepeatSequence(const std::filesystem::path& asset_root)
    : scene_(asset_root / "tasks" / "repeat_sequence" / "scene.xml") {
  info_.name = "repeat_sequence";
  info_.family = "sequence";
  info_.delays = {"short", "medium", "long"};
  info_.stages = {{"first_chore", StageKind::kMotor},
                  {"kept_working", StageKind::kMotor},
                  {"pressed", StageKind::kMotor},
                  {"first_right", StageKind::kDecisive},
                  {"right", StageKind::kDecisive}};
  info_.success_rule =
      "final: after the lamp turned white, the buttons were pressed in the order in which they had "
      "been lit, without a wrong press, and one transfer of the block was done for every 6 s "
      "before "
      "that";
  info_.SetInstructions(
      {"carry the block back and forth until the white light, then press the buttons in the order "
       "in which they were lit",
       "keep moving the block between the two places; when the light turns white, push the buttons "
       "in the same order as they lit up",
       "move the block from side to side, and once the lamp is white repeat the sequence of lit "
       "buttons",
       "remember which buttons light up one after the other while you carry the block to and fro, "
       "and press them in that order when the lamp goes white",
       "shuttle the block until the lamp shines white; then play the sequence of buttons back"},
      {"transport the block here and there, and at the white signal reproduce the order of the "
       "glowing buttons",
       "work with the block until white light appears, then tap the buttons one by one just as "
       "they glowed before",
       "the buttons will light up in turn: keep the order in mind, go on carrying the block, and "
       "press them likewise after the lamp becomes white"});
  info_.chance = 1.0 / 60;
  info_.needs_memory = true;
  info_.num_targets = info_.num_choices = kButtons;
}

Vec3 RepeatSequence::ButtonPlace(int button) { return {0.60, -0.22 + 0.11 * button, kButtonTop}; }

Result<Scenario> RepeatSequence::Draw(const EpisodeKey& key) const {
  auto started = StartScenario(info_, key);
  if (!started.ok()) return started;
  Scenario s = *std::move(started);
  Rng rng(key, "scenario");
  const int length = key.delay == "short" ? 3 : key.delay == "medium" ? 4 : 5;
  std::array<int, kButtons> order = {0, 1, 2, 3, 4};
  rng.Shuffle(order);
  s.params.resize(kFlashes);
  s.params[kLength] = length;
  std::copy(order.begin(), order.end(), s.params.begin() + kOrder);
  double t = rng.Uniform(4.0, 8.0);
  int end = 0;
  for (size_t i = 0; i < static_cast<size_t>(length); ++i) {
    const int begin = StepOf(t);
    end = begin + kFlashSteps;
    s.params[kLit + i] = begin;
    s.cues.push_back({begin * kControlPeriod, end * kControlPeriod});
    t = end * kControlPeriod + rng.Uniform(0.3, 1.5);
  }
  const double delay = DrawSeconds(rng, key.delay, {6.0, 9.0}, {14.0, 18.0}, {33.0, 37.0});
  const int go = end + StepOf(delay);
  s.target = order[0];
  s.decision_s = go * kControlPeriod;
  s.horizon_steps = go + StepOf(kSecondsToBegin + kSecondsPerPress * length);
  s.params[kGo] = go;
  s.params[kChores] = ChoresOwed(go * kControlPeriod);
  s.params[kFirstPlace] = rng.UniformInt(2);
  for (int b = 0; b < kButtons; ++b) s.target_places.push_back(ButtonPlace(b));
  AppendFlashes(DrawFlashesBetween(rng, s.horizon_steps, s.cues), &s.params);
  return s;
}

Result<Scenario> RepeatSequence::Place(World& world, const EpisodeKey& key) const {
  auto drawn = Draw(key);
  if (!drawn.ok()) return drawn;
  if (Status s = world.Reset(); !s.ok()) return s;
  std::vector<std::string> names;
  for (int i = 0; i < kButtons; ++i) names.push_back(ButtonName(i));
  std::vector<std::string> joints = names;
  joints.push_back("block");
  names.push_back("cue_lamp");
  if (Status s = CheckScene(world, {.geoms = names, .joints = joints}, kMemorySize); !s.ok())
    return s;
  Rng rng(key, "placement");
  PlaceChore(world, rng, static_cast<int>(drawn->params[kFirstPlace]));
  world.data()->userdata[kTransfersAtGo] = -1;
  world.Forward();
  Update(world, *drawn);
  return drawn;
}

void RepeatSequence::Update(World& world, const Scenario& scenario) const {
  UpdateChore(world);
  mjtNum* memory = world.data()->userdata;
  const int step = world.control_steps();
  const auto& params = scenario.params;
  const bool go = step >= params[kGo];
  if (go && memory[kTransfersAtGo] < 0) memory[kTransfersAtGo] = memory[kChoreTransfers];
  const auto length = static_cast<size_t>(params[kLength]);
  int button = -1;
  while ((button = NewlyPressed(world, kButtons, &memory[kDown])) >= 0) {
    const auto right = static_cast<size_t>(memory[kRight]);
    if (memory[kEarly] > 0 || memory[kWrong] > 0 || right == length) continue;
    if (!go) {
      memory[kEarly] = 1;
    } else if (button == static_cast<int>(params[kOrder + right])) {
      memory[kRight] += 1;
    } else {
      memory[kWrong] = 1;
    }
  }

  SetColor(world, "cue_lamp", go ? Lamp::kWhite : Lamp::kOff);
  for (size_t i = 0; i < kButtons; ++i) {
    // What was pressed stays lit, so that the order is all that there is to remember.
    const bool done = static_cast<double>(i) < memory[kRight];
    const bool lit =
        i < length && step >= params[kLit + i] && step < params[kLit + i] + kFlashSteps;
    SetColor(world, ButtonName(static_cast<int>(params[kOrder + i])),
             done  ? Lamp::kWhite
             : lit ? Lamp::kColor
                   : Lamp::kOff,
             kLitColor);
  }
  ShowFlashes(world, params, kFlashes, step);
}

Progress RepeatSequence::Evaluate(const World& world, const Scenario& scenario) const {
  const mjtNum* memory = world.data()->userdata;
  const auto& params = scenario.params;
  const bool wrong = memory[kWrong] > 0;
  const bool complete = memory[kRight] >= params[kLength];
  const bool worked = memory[kTransfersAtGo] >= params[kChores];
  Progress p;
  p.decisive_reached = wrong || complete;
  p.decisive_right = complete;
  p.reached = {memory[kChoreTransfers] >= 1, worked, wrong || memory[kRight] >= 1,
               memory[kRight] >= 1, complete};
  p.success = complete && worked;
  p.done = wrong || complete || memory[kEarly] > 0;
  return p;
}

std::unique_ptr<Expert> RepeatSequence::MakeExpert(const Scenario& scenario, bool blind,
                                                   Rng rng) const {
  return std::make_unique<RepeatSequenceExpert>(scenario, blind, rng);
}

}  // namespace kvla
