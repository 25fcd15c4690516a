#include "tasks/match_sample/match_sample.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "tasks/match_sample/match_sample_expert.h"

namespace kvla {
namespace {

constexpr int kCueSteps = 16;
constexpr double kPressDepth = 0.004;  // metres a cap must go down
constexpr double kSecondsToPress = 9;  // after go
constexpr double kLineUpX = 0.515;
constexpr Vec3 kStand = {0.735, 0, 0.020};  // the lamp's top
constexpr double kBelow = -0.5;             // where a shape waits

// Where the script wants a shape.
Vec3 PlaceAt(const Scenario& s, int shape, int step) {
  const auto& params = s.params;
  const int slot = static_cast<int>(params[MatchSample::kSlotOf + static_cast<size_t>(shape)]);
  if (shape == params[MatchSample::kShown] && step >= params[MatchSample::kCueBegin] &&
      step < params[MatchSample::kCueEnd]) {
    return kStand;
  }
  return {kLineUpX, MatchSample::SlotY(slot), step >= params[MatchSample::kLineUp] ? 0 : kBelow};
}

}  // namespace

// Chance: which shape is shown and where each stands later are drawn independently and uniformly;
// one press decides between four slots: 1/4.
MatchSample::MatchSample(const std::filesystem::path& asset_root)
    : scene_(asset_root / "tasks" / "match_sample" / "scene.xml") {
  info_.name = "match_sample";
  info_.family = "reference";
  info_.delays = {"short", "medium", "long"};
  info_.stages = {{"first_chore", StageKind::kMotor},
                  {"kept_working", StageKind::kMotor},
                  {"pressed", StageKind::kMotor},
                  {"right", StageKind::kDecisive}};
  info_.success_rule =
      "final: the first button pressed stands in front of the shape that was shown and was pressed "
      "after the lamp turned white, and one transfer of the block was done for every 6 s before "
      "that";
  info_.SetInstructions(
      {"carry the block back and forth until the white light, then press the button in front "
       "of the shape that was shown",
       "keep moving the block between the two places; when the light turns white, push the "
       "button next to the shape that stood on the lamp before",
       "remember the shape on the lamp while you carry the block to and fro, and press its "
       "button in the line-up when the lamp goes white",
       "move the block from side to side, and once the lamp is white press the button of the "
       "shape that you saw alone",
       "shuttle the block until the lamp shines white; then hit the button by the same shape "
       "as the sample"},
      {"transport the block here and there, and at the white signal push whichever button "
       "belongs to the object you were shown",
       "a shape will appear for a moment: keep it in mind, go on carrying the block, and "
       "choose its button after the lamp becomes white",
       "work with the block until white light appears, then pick the matching shape from the "
       "row with its button"});
  info_.chance = 1.0 / kShapes;
  info_.needs_memory = true;
  info_.num_targets = 2 * kShapes;
  info_.num_choices = kShapes;
}

Result<Scenario> MatchSample::Draw(const EpisodeKey& key) const {
  auto started = StartScenario(info_, key);
  if (!started.ok()) return started;
  Scenario s = *std::move(started);
  Rng rng(key, "scenario");
  const int cue = StepOf(rng.Uniform(4.0, 8.0));
  const double delay = DrawSeconds(rng, key.delay, {6.0, 9.0}, {14.0, 18.0}, {33.0, 37.0});
  const int go = cue + kCueSteps + StepOf(delay);
  std::array<int, kShapes> slots = {0, 1, 2, 3};
  rng.Shuffle(slots);
  const int shown = rng.UniformInt(kShapes);
  s.target = slots[static_cast<size_t>(shown)];
  s.cues = {{cue * kControlPeriod, (cue + kCueSteps) * kControlPeriod}};
  s.decision_s = go * kControlPeriod;
  s.horizon_steps = go + StepOf(kSecondsToPress);
  s.params.resize(kFlashes);
  s.params[kCueBegin] = cue;
  s.params[kCueEnd] = cue + kCueSteps;
  s.params[kLineUp] = cue + kCueSteps + StepOf(rng.Uniform(1.5, 3.0));
  s.params[kGo] = go;
  s.params[kChores] = ChoresOwed(go * kControlPeriod);
  s.params[kFirstPlace] = rng.UniformInt(2);
  s.params[kShown] = shown;
  std::copy(slots.begin(), slots.end(), s.params.begin() + kSlotOf);
  for (int slot = 0; slot < kShapes; ++slot) {
    s.target_places.push_back({kButtonX, SlotY(slot), kButtonTop});
  }
  AppendFlashes(DrawFlashesBetween(rng, s.horizon_steps, s.cues), &s.params);
  return s;
}

Result<Scenario> MatchSample::Place(World& world, const EpisodeKey& key) const {
  auto drawn = Draw(key);
  if (!drawn.ok()) return drawn;
  if (Status s = world.Reset(); !s.ok()) return s;
  std::vector<std::string> joints = {"block"};
  for (int i = 0; i < kShapes; ++i) {
    joints.push_back(fmt::format("button{}", i));
    const std::string shape = fmt::format("shape{}", i);
    auto body = world.BodyId(shape);
    if (!body.ok()) return body.status();
    if (world.model()->body_mocapid[*body] < 0) {
      return BadInput(fmt::format("{}: body '{}' must be a mocap body", scene_.string(), shape));
    }
  }
  if (Status s = CheckScene(world, {.geoms = {"cue_lamp"}, .joints = joints}, kMemorySize); !s.ok())
    return s;
  Rng rng(key, "placement");
  PlaceChore(world, rng, static_cast<int>(drawn->params[kFirstPlace]));
  world.data()->userdata[kTransfersAtGo] = -1;
  world.Forward();
  Update(world, *drawn);
  return drawn;
}

void MatchSample::Update(World& world, const Scenario& scenario) const {
  UpdateChore(world);
  mjtNum* memory = world.data()->userdata;
  const mjModel* model = world.model();
  const int step = world.control_steps();
  const auto& params = scenario.params;
  const bool go = step >= params[kGo];
  if (go && memory[kTransfersAtGo] < 0) memory[kTransfersAtGo] = memory[kChoreTransfers];
  for (int slot = 0; slot < kShapes && memory[kPressed] == 0; ++slot) {
    const int joint = mj_name2id(model, mjOBJ_JOINT, fmt::format("button{}", slot).c_str());
    if (world.data()->qpos[model->jnt_qposadr[joint]] < -kPressDepth) {
      memory[kPressed] = 1 + slot;
      memory[kPressStep] = step;
    }
  }

  bool moved = false;
  for (int shape = 0; shape < kShapes; ++shape) {
    const int body = mj_name2id(model, mjOBJ_BODY, fmt::format("shape{}", shape).c_str());
    mjtNum* at = world.data()->mocap_pos + 3 * model->body_mocapid[body];
    const Vec3 place = PlaceAt(scenario, shape, step);
    moved |= !std::equal(place.begin(), place.end(), at);
    std::copy(place.begin(), place.end(), at);
  }
  // What stands elsewhere now is drawn there now, not after the next step.
  if (moved) world.Forward();
  SetColor(world, "cue_lamp", go ? Lamp::kWhite : Lamp::kOff);
  ShowFlashes(world, params, kFlashes, step);
}

Progress MatchSample::Evaluate(const World& world, const Scenario& scenario) const {
  const mjtNum* memory = world.data()->userdata;
  const auto& params = scenario.params;
  const bool any = memory[kPressed] > 0;
  Progress p;
  p.decisive_reached = any && memory[kPressStep] >= params[kGo];
  p.decisive_right = p.decisive_reached && memory[kPressed] - 1 == scenario.target;
  const bool worked = memory[kTransfersAtGo] >= params[kChores];
  p.reached = {memory[kChoreTransfers] >= 1, worked, p.decisive_reached, p.decisive_right};
  p.success = p.decisive_right && worked;
  p.done = any;
  return p;
}

std::unique_ptr<Expert> MatchSample::MakeExpert(const Scenario& scenario, bool blind,
                                                Rng rng) const {
  return std::make_unique<MatchSampleExpert>(scenario, blind, rng);
}

}  // namespace kvla
