#include "tasks/press_named/press_named.h"

#include <algorithm>
#include <array>

#include "tasks/buttons.h"
#include "tasks/skills.h"

namespace kvla {
namespace {

constexpr double kSecondsToPress = 9;  // after go
constexpr ChoreLayout kLayout = {.go = PressNamed::kGo,
                                 .chores = PressNamed::kChores,
                                 .first_place = PressNamed::kFirstPlace,
                                 .flashes = PressNamed::kFlashes,
                                 .transfers_at_go = PressNamed::kTransfersAtGo,
                                 .memory = PressNamed::kMemorySize};

// No chance level: the fact that decides stands in the instruction, which every cache keeps. Who
// does not read it is right in one of four episodes, as colour and slots are drawn independently.
TaskInfo Info() {
  TaskInfo info = ChoreTaskInfo("press_named", "control",
                                "the first button pressed has the colour that the instruction "
                                "names and was pressed after the lamp turned white");
  info.stages.insert(info.stages.end(),
                     {{"pressed", StageKind::kMotor}, {"right", StageKind::kMotor}});
  info.SetInstructions(
      {"carry the block back and forth until the white light, then press the {target} button",
       ("keep moving the block between the two places; "
        "when the light turns white, push the {target} button"),
       "move the block from side to side and, once the lamp is white, press {target}",
       ("the {target} button is the one to press when the lamp goes white; until then carry the "
        "block to and fro"),
       "shuttle the block until the lamp shines white; then hit the button that is {target}"},
      {"transport the block here and there, and at the white signal choose the {target} button",
       "work with the block until white light appears, then push down the button colored {target}",
       ("after the lamp becomes white, {target} is the button you must press; before that, go on "
        "carrying the block")});
  info.target_names.assign(kColorNames.begin(), kColorNames.end());
  info.num_targets = info.num_choices = kNumColors;
  return info;
}

class PressNamedExpert : public ChoreExpert {
 public:
  // `blind`: does not know the instruction and guesses a colour from `rng`.
  PressNamedExpert(const Scenario& scenario, bool blind, Rng rng)
      : ChoreExpert(scenario, kLayout, rng) {
    const int guess = rng.UniformInt(kNumColors);
    button_ = scenario.target_places[static_cast<size_t>(blind ? guess : scenario.target)];
  }

 private:
  static bool Pressed(const World& world) {
    return world.data()->userdata[PressNamed::kPressed] > 0;
  }

  void LabelOf(const World& world, bool go, ExpertLabel* label) const override {
    label->target = go ? scenario().target : -1;
    label->decision = go && !Pressed(world);
  }

  Action AfterGo(const World& world, ExpertLabel* label) override {
    label->waypoint = Pressed(world) ? RisenFrom(button_) : button_;
    return Pressed(world) ? RiseFromButton(world, button_) : press_.Act(world, button_);
  }

  PressSkill press_;
  Vec3 button_{};  // to press
};

}  // namespace

PressNamed::PressNamed(const std::filesystem::path& asset_root)
    : ChoreTask(asset_root, Info(), kLayout,
                {.geoms = Numbered("button", kSlots), .joints = Numbered("button", kSlots)}) {}

void PressNamed::DrawEpisode(Rng& rng, Scenario* scenario) const {
  Scenario& s = *scenario;
  const double wait = DrawSeconds(rng, s.delay, {7.0, 10.0}, {16.0, 20.0}, {34.0, 38.0});
  s.target = rng.UniformInt(kNumColors);
  std::array<int, kSlots> colors = {0, 1, 2, 3};
  rng.Shuffle(colors);
  s.params[kLampBegin] = StepOf(rng.Uniform(1.0, wait - 2.0));
  s.params[kLampColor] = rng.UniformInt(kNumColors);
  SetGo(rng, StepOf(wait), kSecondsToPress, scenario);
  std::copy(colors.begin(), colors.end(), s.params.begin() + kSlotColor);
  s.target_places.resize(kNumColors);
  for (int slot = 0; slot < kSlots; ++slot) {
    s.target_places[static_cast<size_t>(colors[static_cast<size_t>(slot)])] = RowOfFour(slot);
  }
}

void PressNamed::Play(World& world, const Scenario& scenario, bool go) const {
  const auto& params = scenario.params;
  const int step = world.control_steps();
  KeepChoice(world, NewlyPressed(world, kSlots, &world.data()->userdata[kDown]), kPressed);
  if (!go && step >= params[kLampBegin] && step < params[kLampBegin] + kFlashSteps) {
    SetColor(world, "cue_lamp", Lamp::kColor, static_cast<int>(params[kLampColor]));
  }
  for (int slot = 0; slot < kSlots; ++slot) {
    SetColor(world, ButtonName(slot), Lamp::kColor,
             static_cast<int>(params[kSlotColor + static_cast<size_t>(slot)]));
  }
}

ChoreTask::Verdict PressNamed::Judge(const World& world, const Scenario& scenario) const {
  const double* colors = &scenario.params[kSlotColor];
  const auto slot = std::find(colors, colors + kSlots, scenario.target) - colors;
  return FirstChoice(world, scenario, kPressed, static_cast<int>(slot));
}

std::unique_ptr<Expert> PressNamed::MakeExpert(const Scenario& scenario, bool blind,
                                               Rng rng) const {
  return std::make_unique<PressNamedExpert>(scenario, blind, rng);
}

}  // namespace kvla
