#include "tasks/put_back/put_back.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tasks/buttons.h"
#include "tasks/put_back/put_back_expert.h"

namespace kvla {
namespace {

constexpr double kSeenSeconds = 2;       // that the block is sure to stand on its pad
constexpr double kSecondsToTake = 10;    // from its arrival, to the tray
constexpr double kSecondsPerPress = 4;   // a press is owed for each such stretch of the rest
constexpr double kSecondsToReturn = 12;  // after go
constexpr double kPlaceRadius = 0.05;
constexpr double kRestingHeight = kBlockHalf + 0.006;
constexpr double kLetGoWidth = 0.052;
constexpr int kLitColor = 3;                         // yellow
constexpr std::array<double, 2> kShelf = {1.70, 0};  // where the block waits
constexpr double kScatter = 0.010;

bool RestsAt(const World& world, const std::array<double, 2>& place) {
  const Vec3 block = BlockPosition(world);
  return HorizontalDistance(block, {place[0], place[1], 0}) < kPlaceRadius &&
         block[2] < kRestingHeight && world.arm().GripperWidth(world.data()) > kLetGoWidth;
}

}  // namespace

// Chance: the pad is drawn uniformly from four; all of them are empty and alike when the block must
// go back, and the first pad it is put on decides: 1/4.
PutBack::PutBack(const std::filesystem::path& asset_root)
    : scene_(asset_root / "tasks" / "put_back" / "scene.xml") {
  info_.name = "put_back";
  info_.family = "place";
  info_.delays = {"short", "medium", "long"};
  info_.stages = {{"taken", StageKind::kMotor},
                  {"kept_working", StageKind::kMotor},
                  {"returned", StageKind::kMotor},
                  {"right", StageKind::kDecisive}};
  info_.success_rule =
      "final: the block was taken to the tray, the first pad it was put on again is the one where "
      "it had appeared, after the lamp turned white, and a lit button was pressed for every 4 s "
      "before that, but for 10 s that fetching the block takes";
  info_.SetInstructions(
      {"press the lit button again and again, take the block to the tray when it appears, and at "
       "the "
       "white light put it back on its pad",
       "keep pressing whichever button is lit; carry the block to the tray once it is there, and "
       "when "
       "the light turns white return it to the pad it came from",
       "push the lit buttons, move the block that appears onto the tray, and once the lamp is "
       "white "
       "put the block back where it stood",
       "remember on which pad the block appears: bring it to the tray, go on pressing the lit "
       "button, "
       "and put it back there when the lamp goes white",
       "work the lit buttons, fetch the block to the tray, and after the white light set it down "
       "on "
       "its old pad"},
      {"hit each button that glows, bring the cube to the tray when it shows up, and at the white "
       "signal take it back to its former place",
       "go on with the glowing buttons, store the block on the tray, and return it to the same pad "
       "when white light appears",
       "a block will show up on a pad: lay it on the tray, press buttons until the lamp becomes "
       "white, then restore the block to the pad where you found it"});
  info_.chance = 1.0 / kPads;
  info_.needs_memory = true;
  info_.num_targets = info_.num_choices = kPads;
}

std::array<double, 2> PutBack::PadPlace(int pad) { return {0.58, -0.21 + 0.14 * pad}; }
Vec3 PutBack::ButtonPlace(int button) { return {0.42, 0.03 + 0.15 * button, kButtonTop}; }

Result<Scenario> PutBack::Draw(const EpisodeKey& key) const {
  auto started = StartScenario(info_, key);
  if (!started.ok()) return started;
  Scenario s = *std::move(started);
  Rng rng(key, "scenario");
  const int arrive = StepOf(rng.Uniform(4.0, 8.0));
  const int seen = arrive + StepOf(kSeenSeconds);
  const double delay = DrawSeconds(rng, key.delay, {9.0, 12.0}, {17.0, 21.0}, {36.0, 40.0});
  const int go = seen + StepOf(delay);
  s.target = rng.UniformInt(kPads);
  s.cues = {{arrive * kControlPeriod, seen * kControlPeriod}};
  s.decision_s = go * kControlPeriod;
  s.horizon_steps = go + StepOf(kSecondsToReturn);
  s.params.resize(kFlashes);
  s.params[kArrive] = arrive;
  s.params[kGo] = go;
  s.params[kPresses] =
      std::max(1.0, std::floor((go * kControlPeriod - kSecondsToTake) / kSecondsPerPress));
  s.params[kFirstLit] = rng.UniformInt(kButtons);
  s.params[kX] = rng.Uniform(-kScatter, kScatter);
  s.params[kY] = rng.Uniform(-kScatter, kScatter);
  s.params[kYaw] = rng.Uniform(-0.15, 0.15);
  for (int pad = 0; pad < kPads; ++pad) {
    const auto place = PadPlace(pad);
    s.target_places.push_back({place[0], place[1], kBlockHalf});
  }
  AppendFlashes(DrawFlashesBetween(rng, s.horizon_steps, s.cues), &s.params);
  return s;
}

Result<Scenario> PutBack::Place(World& world, const EpisodeKey& key) const {
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
  const double x = kShelf[0] + rng.Uniform(-kScatter, kScatter);
  PlaceBlock(world, x, kShelf[1] + rng.Uniform(-kScatter, kScatter), 0);
  world.data()->userdata[kLit] = drawn->params[kFirstLit];
  world.data()->userdata[kPressedAtGo] = -1;
  world.Forward();
  Update(world, *drawn);
  return drawn;
}

void PutBack::Update(World& world, const Scenario& scenario) const {
  mjtNum* memory = world.data()->userdata;
  const int step = world.control_steps();
  const auto& params = scenario.params;
  const bool go = step >= params[kGo];
  if (step >= params[kArrive] && memory[kArrived] == 0) {
    const auto pad = PadPlace(scenario.target);
    PlaceBlock(world, pad[0] + params[kX], pad[1] + params[kY], params[kYaw]);
    const int joint = mj_name2id(world.model(), mjOBJ_JOINT, "block");
    mju_zero(world.data()->qvel + world.model()->jnt_dofadr[joint], 6);
    memory[kArrived] = 1;
    world.Forward();
  }
  if (memory[kArrived] > 0 && RestsAt(world, kTray)) memory[kTaken] = 1;
  if (memory[kTaken] > 0 && memory[kPlaced] == 0) {
    for (int pad = 0; pad < kPads; ++pad) {
      if (!RestsAt(world, PadPlace(pad))) continue;
      memory[kPlaced] = 1 + pad;
      memory[kPlacedStep] = step;
    }
  }
  const int button = NewlyPressed(world, kButtons, &memory[kDown]);
  if (button == static_cast<int>(memory[kLit])) {
    memory[kPressed] += 1;
    memory[kLit] = 1 - button;
  }
  if (go && memory[kPressedAtGo] < 0) memory[kPressedAtGo] = memory[kPressed];

  SetColor(world, "cue_lamp", go ? Lamp::kWhite : Lamp::kOff);
  for (int b = 0; b < kButtons; ++b) {
    const bool lit = b == static_cast<int>(memory[kLit]);
    SetColor(world, ButtonName(b), lit ? Lamp::kColor : Lamp::kOff, kLitColor);
  }
  ShowFlashes(world, params, kFlashes, step);
}

Progress PutBack::Evaluate(const World& world, const Scenario& scenario) const {
  const mjtNum* memory = world.data()->userdata;
  const auto& params = scenario.params;
  const bool worked = memory[kPressedAtGo] >= params[kPresses];
  Progress p;
  p.decisive_reached = memory[kPlaced] > 0 && memory[kPlacedStep] >= params[kGo];
  p.decisive_right = p.decisive_reached && memory[kPlaced] - 1 == scenario.target;
  p.reached = {memory[kTaken] > 0, worked, p.decisive_reached, p.decisive_right};
  p.success = p.decisive_right && worked;
  p.done = memory[kPlaced] > 0;
  return p;
}

std::unique_ptr<Expert> PutBack::MakeExpert(const Scenario& scenario, bool blind, Rng rng) const {
  return std::make_unique<PutBackExpert>(scenario, blind, rng);
}

}  // namespace kvla
