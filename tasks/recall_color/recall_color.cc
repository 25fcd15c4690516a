#include "tasks/recall_color/recall_color.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "tasks/chore.h"
#include "tasks/recall_color/recall_color_expert.h"
#include "tasks/tabletop.h"

namespace kvla {
namespace {

constexpr double kPressDepth = 0.004;   // metres a cap must go down
constexpr double kSecondsPerChore = 6;  // a transfer is owed for each such stretch before go
constexpr double kSecondsToPress = 9;   // after go
constexpr double kPlaceRadius = 0.05;

bool Done(double memory) { return memory > 0; }

}  // namespace

RecallColor::RecallColor(const std::filesystem::path& asset_root)
    : scene_(asset_root / "tasks" / "recall_color" / "scene.xml") {
  info_.name = "recall_color";
  info_.family = "object";
  info_.delays = {"short", "medium", "long"};
  info_.stages = {{"first_chore", StageKind::kMotor},
                  {"kept_working", StageKind::kMotor},
                  {"pressed", StageKind::kMotor},
                  {"right", StageKind::kDecisive}};
  info_.success_rule =
      "final: the first button pressed has the cued colour and was pressed after the lamp turned "
      "white, and one transfer of the block was done for every 6 s before that";
  info_.SetInstructions(
      {"carry the block back and forth until the white light, then press the button of the color "
       "the lamp showed",
       "keep moving the block between the two places; when the light turns white, push the button "
       "with the color that the lamp showed before",
       "move the block from side to side, and once the lamp is white press the button in the color "
       "it had earlier",
       "remember the color of the lamp while you carry the block to and fro, and press that "
       "color's "
       "button when the lamp goes white",
       "shuttle the block until the lamp shines white; then hit the button that has the lamp's "
       "earlier color"},
      {"transport the block here and there, and at the white signal push whichever button matches "
       "the color you saw on the lamp",
       "work with the block until white light appears, then choose the button colored like the "
       "lamp was",
       "the lamp will show a color: keep it in mind, go on carrying the block, and press the "
       "matching button after the lamp becomes white"});
  info_.chance = 1.0 / kNumColors;
  info_.needs_memory = true;
  info_.num_targets = info_.num_choices = kNumColors;
}

Result<Scenario> RecallColor::Draw(const EpisodeKey& key) const {
  auto started = StartScenario(info_, key);
  if (!started.ok()) return started;
  Scenario s = *std::move(started);
  Rng rng(key, "scenario");
  const int cue = StepOf(rng.Uniform(4.0, 8.0));
  const double delay = DrawSeconds(rng, key.delay, {6.0, 9.0}, {14.0, 18.0}, {35.5, 39.0});
  const int go = cue + kFlashSteps + StepOf(delay);
  s.horizon_steps = go + StepOf(kSecondsToPress);
  s.target = rng.UniformInt(kNumColors);
  s.cues = {{cue / kControlRateHz, (cue + kFlashSteps) / kControlRateHz}};
  std::array<int, kSlots> colors = {0, 1, 2, 3};
  rng.Shuffle(colors);
  s.params.resize(kFlashes);
  s.params[kCueBegin] = cue;
  s.params[kCueEnd] = cue + kFlashSteps;
  s.decision_s = go * kControlPeriod;
  s.params[kGo] = go;
  s.params[kChores] = std::max(1, static_cast<int>(go / kControlRateHz / kSecondsPerChore));
  s.params[kFirstPlace] = rng.UniformInt(2);
  std::copy(colors.begin(), colors.end(), s.params.begin() + kSlotColor);
  s.target_places.resize(kNumColors);
  for (int slot = 0; slot < kSlots; ++slot) {
    s.target_places[static_cast<size_t>(colors[static_cast<size_t>(slot)])] = {
        kButtonX, SlotY(slot), kButtonTop};
  }
  AppendFlashes(DrawFlashes(rng, s.horizon_steps, cue, cue + kFlashSteps), &s.params);
  return s;
}

Result<Scenario> RecallColor::Place(World& world, const EpisodeKey& key) const {
  auto drawn = Draw(key);
  if (!drawn.ok()) return drawn;
  if (Status s = world.Reset(); !s.ok()) return s;
  std::vector<std::string> geoms = {"cue_lamp"};
  for (int i = 0; i < kSlots; ++i) geoms.push_back(fmt::format("button{}", i));
  for (int i = 0; i < kNumLights; ++i) geoms.push_back(fmt::format("light{}", i));
  for (const std::string& name : geoms) {
    if (auto id = world.GeomId(name); !id.ok()) return id.status();
  }
  if (auto id = world.JointId("block"); !id.ok()) return id.status();
  if (world.model()->nuserdata < static_cast<int>(kMemorySize)) {
    return BadInput(fmt::format("{}: nuserdata must be {} or more", scene_.string(),
                                static_cast<int>(kMemorySize)));
  }
  Rng rng(key, "placement");
  const auto& place = drawn->params[kFirstPlace] > 0 ? kPad : kTray;
  PlaceBlock(world, place[0] + rng.Uniform(-0.012, 0.012), place[1] + rng.Uniform(-0.012, 0.012),
             rng.Uniform(-0.15, 0.15));
  world.data()->userdata[kPlace] = drawn->params[kFirstPlace];
  world.data()->userdata[kTransfersAtGo] = -1;
  world.Forward();
  Update(world, *drawn);
  return drawn;
}

void RecallColor::Update(World& world, const Scenario& scenario) const {
  mjtNum* memory = world.data()->userdata;
  const int step = world.control_steps();
  const auto& params = scenario.params;

  // The block counts as moved once it rests at the other place and the fingers have let go.
  const Vec3 block = BlockPosition(world);
  const int other = memory[kPlace] > 0 ? 0 : 1;
  const auto& place = other == 1 ? kPad : kTray;
  if (HorizontalDistance(block, {place[0], place[1], 0}) < kPlaceRadius &&
      block[2] < kBlockHalf + 0.006 && world.arm().GripperWidth(world.data()) > 0.052) {
    memory[kPlace] = other;
    memory[kTransfers] += 1;
  }
  if (step >= params[kGo] && memory[kTransfersAtGo] < 0) {
    memory[kTransfersAtGo] = memory[kTransfers];
  }
  for (int slot = 0; slot < kSlots && !Done(memory[kPressed]); ++slot) {
    const int joint = mj_name2id(world.model(), mjOBJ_JOINT, fmt::format("button{}", slot).c_str());
    if (world.data()->qpos[world.model()->jnt_qposadr[joint]] < -kPressDepth) {
      memory[kPressed] = 1 + slot;
      memory[kPressStep] = step;
    }
  }

  if (step >= params[kGo]) {
    SetColor(world, "cue_lamp", Lamp::kWhite);
  } else if (step >= params[kCueBegin] && step < params[kCueEnd]) {
    SetColor(world, "cue_lamp", Lamp::kColor, scenario.target);
  } else {
    SetColor(world, "cue_lamp", Lamp::kOff);
  }
  for (int slot = 0; slot < kSlots; ++slot) {
    SetColor(world, fmt::format("button{}", slot), Lamp::kColor,
             static_cast<int>(params[kSlotColor + slot]));
  }
  ShowFlashes(world, params, kFlashes, step);
}

Progress RecallColor::Evaluate(const World& world, const Scenario& scenario) const {
  const mjtNum* memory = world.data()->userdata;
  const auto& params = scenario.params;
  const bool any = Done(memory[kPressed]);
  const bool early = any && memory[kPressStep] < params[kGo];
  const int slot = static_cast<int>(memory[kPressed]) - 1;
  Progress p;
  p.decisive_reached = any && !early;
  p.decisive_right =
      p.decisive_reached && static_cast<int>(params[kSlotColor + slot]) == scenario.target;
  const bool worked = memory[kTransfersAtGo] >= params[kChores];
  p.reached = {memory[kTransfers] >= 1, worked, p.decisive_reached, p.decisive_right};
  p.success = p.decisive_right && worked;
  p.done = any;
  return p;
}

std::unique_ptr<Expert> RecallColor::MakeExpert(const Scenario& scenario, bool blind,
                                                Rng rng) const {
  return std::make_unique<RecallColorExpert>(scenario, blind, rng);
}

}  // namespace kvla
