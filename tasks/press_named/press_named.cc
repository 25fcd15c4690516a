#include "tasks/press_named/press_named.h"

#include <algorithm>
#include <array>

#include "tasks/buttons.h"
#include "tasks/press_named/press_named_expert.h"

namespace kvla {
namespace {

constexpr double kSecondsToPress = 9;  // after go

}  // namespace

// No chance level: the fact that decides stands in the instruction, which every cache keeps. Who
// does not read it is right in one of four episodes, as colour and slots are drawn independently.
PressNamed::PressNamed(const std::filesystem::path& asset_root)
    : scene_(asset_root / "tasks" / "press_named" / "scene.xml") {
  info_.name = "press_named";
  info_.family = "control";
  info_.delays = {"short", "medium", "long"};
  info_.stages = {{"first_chore", StageKind::kMotor},
                  {"kept_working", StageKind::kMotor},
                  {"pressed", StageKind::kMotor},
                  {"right", StageKind::kMotor}};
  info_.success_rule =
      "final: the first button pressed has the colour that the instruction names and was pressed "
      "after the lamp turned white, and one transfer of the block was done for every 6 s before "
      "that";
  info_.SetInstructions(
      {"carry the block back and forth until the white light, then press the {target} button",
       "keep moving the block between the two places; when the light turns white, push the "
       "{target} "
       "button",
       "move the block from side to side and, once the lamp is white, press {target}",
       "the {target} button is the one to press when the lamp goes white; until then carry the "
       "block to and fro",
       "shuttle the block until the lamp shines white; then hit the button that is {target}"},
      {"transport the block here and there, and at the white signal choose the {target} button",
       "work with the block until white light appears, then push down the button colored {target}",
       "after the lamp becomes white, {target} is the button you must press; before that, go on "
       "carrying the block"});
  info_.target_names.assign(kColorNames.begin(), kColorNames.end());
  info_.num_targets = info_.num_choices = kNumColors;
}

Vec3 PressNamed::SlotPlace(int slot) { return {0.60, -0.165 + 0.11 * slot, kButtonTop}; }

Result<Scenario> PressNamed::Draw(const EpisodeKey& key) const {
  auto started = StartScenario(info_, key);
  if (!started.ok()) return started;
  Scenario s = *std::move(started);
  Rng rng(key, "scenario");
  const double wait = DrawSeconds(rng, key.delay, {7.0, 10.0}, {16.0, 20.0}, {34.0, 38.0});
  const int go = StepOf(wait);
  s.horizon_steps = go + StepOf(kSecondsToPress);
  s.target = rng.UniformInt(kNumColors);
  Result<std::string> instruction = InstructionOf(info_, s, Phrasing::kCanonical);
  if (!instruction.ok()) return instruction.status();
  s.instruction = *std::move(instruction);
  std::array<int, kSlots> colors = {0, 1, 2, 3};
  rng.Shuffle(colors);
  s.params.resize(kFlashes);
  s.params[kLampBegin] = StepOf(rng.Uniform(1.0, wait - 2.0));
  s.params[kLampColor] = rng.UniformInt(kNumColors);
  s.params[kGo] = go;
  s.params[kChores] = ChoresOwed(go * kControlPeriod);
  s.params[kFirstPlace] = rng.UniformInt(2);
  std::copy(colors.begin(), colors.end(), s.params.begin() + kSlotColor);
  s.target_places.resize(kNumColors);
  for (int slot = 0; slot < kSlots; ++slot) {
    s.target_places[static_cast<size_t>(colors[static_cast<size_t>(slot)])] = SlotPlace(slot);
  }
  AppendFlashes(DrawFlashesBetween(rng, s.horizon_steps, {}), &s.params);
  return s;
}

Result<Scenario> PressNamed::Place(World& world, const EpisodeKey& key) const {
  auto drawn = Draw(key);
  if (!drawn.ok()) return drawn;
  if (Status s = world.Reset(); !s.ok()) return s;
  std::vector<std::string> names;
  for (int i = 0; i < kSlots; ++i) names.push_back(ButtonName(i));
  std::vector<std::string> joints = names;
  joints.push_back("block");
  names.push_back("cue_lamp");
  if (Status s = CheckScene(world, names, joints, kMemorySize); !s.ok()) return s;
  Rng rng(key, "placement");
  PlaceChore(world, rng, static_cast<int>(drawn->params[kFirstPlace]));
  world.data()->userdata[kTransfersAtGo] = -1;
  world.Forward();
  Update(world, *drawn);
  return drawn;
}

void PressNamed::Update(World& world, const Scenario& scenario) const {
  UpdateChore(world);
  mjtNum* memory = world.data()->userdata;
  const int step = world.control_steps();
  const auto& params = scenario.params;
  const bool go = step >= params[kGo];
  if (go && memory[kTransfersAtGo] < 0) memory[kTransfersAtGo] = memory[kChoreTransfers];
  const int pressed = NewlyPressed(world, kSlots, &memory[kDown]);
  if (pressed >= 0 && memory[kPressed] == 0) {
    memory[kPressed] = 1 + pressed;
    memory[kPressStep] = step;
  }

  const bool lit = step >= params[kLampBegin] && step < params[kLampBegin] + kFlashSteps;
  SetColor(world, "cue_lamp",
           go    ? Lamp::kWhite
           : lit ? Lamp::kColor
                 : Lamp::kOff,
           static_cast<int>(params[kLampColor]));
  for (int slot = 0; slot < kSlots; ++slot) {
    SetColor(world, ButtonName(slot), Lamp::kColor,
             static_cast<int>(params[kSlotColor + static_cast<size_t>(slot)]));
  }
  ShowFlashes(world, params, kFlashes, step);
}

Progress PressNamed::Evaluate(const World& world, const Scenario& scenario) const {
  const mjtNum* memory = world.data()->userdata;
  const auto& params = scenario.params;
  const bool pressed = memory[kPressed] > 0 && memory[kPressStep] >= params[kGo];
  const bool right =
      pressed && params[kSlotColor + static_cast<size_t>(memory[kPressed]) - 1] == scenario.target;
  const bool worked = memory[kTransfersAtGo] >= params[kChores];
  Progress p;
  p.reached = {memory[kChoreTransfers] >= 1, worked, pressed, right};
  p.success = right && worked;
  p.done = memory[kPressed] > 0;
  return p;
}

std::unique_ptr<Expert> PressNamed::MakeExpert(const Scenario& scenario, bool blind,
                                               Rng rng) const {
  return std::make_unique<PressNamedExpert>(scenario, blind, rng);
}

}  // namespace kvla
