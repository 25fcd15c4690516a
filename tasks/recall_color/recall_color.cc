#include "tasks/recall_color/recall_color.h"

#include <algorithm>
#include <array>

#include "tasks/buttons.h"
#include "tasks/skills.h"

namespace kvla {
namespace {

constexpr double kSecondsToPress = 9;  // after go
constexpr ChoreLayout kLayout = {.go = RecallColor::kGo,
                                 .chores = RecallColor::kChores,
                                 .first_place = RecallColor::kFirstPlace,
                                 .flashes = RecallColor::kFlashes,
                                 .chore = RecallColor::kChore,
                                 .transfers_at_go = RecallColor::kTransfersAtGo,
                                 .memory = RecallColor::kMemorySize};

// Chance: the colour of the lamp and which button has which colour are drawn independently and
// uniformly; one press decides between four: 1/4.
TaskInfo Info() {
  TaskInfo info = ChoreTaskInfo(
      "recall_color", "object",
      "the first button pressed has the cued colour and was pressed after the lamp turned white");
  info.stages.insert(info.stages.end(),
                     {{"pressed", StageKind::kMotor}, {"right", StageKind::kDecisive}});
  info.SetInstructions(
      {("carry the block back and forth until the white light, then press the button of the color "
        "the lamp showed"),
       ("keep moving the block between the two places; when the light turns white, push the button "
        "with the color that the lamp showed before"),
       ("move the block from side to side, and once the lamp is white press the button in the color "
        "it had earlier"),
       ("remember the color of the lamp while you carry the block to and fro, and press that "
        "color's button when the lamp goes white"),
       ("shuttle the block until the lamp shines white; "
        "then hit the button that has the lamp's earlier color")},
      {("transport the block here and there, and at the white signal push whichever button matches "
        "the color you saw on the lamp"),
       ("work with the block until white light appears, "
        "then choose the button colored like the lamp was"),
       ("the lamp will show a color: keep it in mind, go on carrying the block, and press the "
        "matching button after the lamp becomes white")});
  info.chance = 1.0 / kNumColors;
  info.needs_memory = true;
  info.num_targets = info.num_choices = kNumColors;
  return info;
}

class RecallColorExpert : public ChoreExpert {
 public:
  // `blind`: presses a button that it guesses from `rng`.
  RecallColorExpert(const Scenario& told, bool blind, Rng rng) : ChoreExpert(told, kLayout, rng) {
    const int guess = rng.UniformInt(kNumColors);
    button_ = told.target_places[static_cast<size_t>(blind ? guess : told.target)];
    WorkWith(rng);
  }

 private:
  void LabelOf(const World& world, bool go, ExpertLabel* label) const override {
    const auto& params = scenario().params;
    const int step = world.control_steps();
    const bool cue = step >= params[RecallColor::kCueBegin] && step < params[RecallColor::kCueEnd];
    label->target = cue || go ? scenario().target : -1;
    label->decision = go && world.data()->userdata[RecallColor::kPressed] == 0;
  }

  Action AfterGo(const World& world, ExpertLabel* label) override {
    const Action action = press_.Act(world, button_);
    label->waypoint = press_.waypoint();
    return action;
  }

  PressSkill press_;
  Vec3 button_{};  // to press
};

}  // namespace

RecallColor::RecallColor(const std::filesystem::path& asset_root)
    : ChoreTask(asset_root, Info(), kLayout,
                {.geoms = Numbered("button", kSlots), .joints = Numbered("button", kSlots)}) {}

void RecallColor::DrawEpisode(Rng& rng, Scenario* scenario) const {
  Scenario& s = *scenario;
  const int cue = StepOf(rng.Uniform(4.0, 8.0));
  const double delay = DrawSeconds(rng, s.delay, {6.0, 9.0}, {14.0, 18.0}, {35.5, 39.0});
  const int go = cue + kFlashSteps + StepOf(delay);
  s.target = rng.UniformInt(kNumColors);
  s.cues = {{cue / kControlRateHz, (cue + kFlashSteps) / kControlRateHz}};
  std::array<int, kSlots> colors = {0, 1, 2, 3};
  rng.Shuffle(colors);
  s.params[kCueBegin] = cue;
  s.params[kCueEnd] = cue + kFlashSteps;
  SetGo(rng, go, kSecondsToPress, scenario);
  std::copy(colors.begin(), colors.end(), s.params.begin() + kSlotColor);
  s.target_places.resize(kNumColors);
  for (int slot = 0; slot < kSlots; ++slot) {
    s.target_places[static_cast<size_t>(colors[static_cast<size_t>(slot)])] = RowOfFour(slot);
  }
}

// As PlaceChore(), but its numbers are drawn in the order in which the first compiler of this task
// drew them: its episodes rest on that.
void RecallColor::PlaceWork(World& world, Rng& rng, const Scenario& scenario) const {
  const double first = scenario.params[kFirstPlace];
  const auto& place = first > 0 ? kPad : kTray;
  const double yaw = rng.Uniform(-0.15, 0.15);
  const double y = place[1] + rng.Uniform(-0.012, 0.012);
  PlaceBlock(world, place[0] + rng.Uniform(-0.012, 0.012), y, yaw);
  world.data()->userdata[kChore + size_t{kChorePlace}] = first;
}

void RecallColor::Play(World& world, const Scenario& scenario, bool) const {
  const auto& params = scenario.params;
  const int step = world.control_steps();
  KeepChoice(world, PressedNow(world, kSlots), kPressed);
  if (step >= params[kCueBegin] && step < params[kCueEnd]) {
    SetColor(world, "cue_lamp", Lamp::kColor, scenario.target);
  }
  for (int slot = 0; slot < kSlots; ++slot) {
    SetColor(world, ButtonName(slot), Lamp::kColor,
             static_cast<int>(params[kSlotColor + static_cast<size_t>(slot)]));
  }
}

ChoreTask::Verdict RecallColor::Judge(const World& world, const Scenario& scenario) const {
  const double* colors = &scenario.params[kSlotColor];
  const auto slot = std::find(colors, colors + kSlots, scenario.target) - colors;
  return FirstChoice(world, scenario, kPressed, static_cast<int>(slot));
}

std::unique_ptr<Expert> RecallColor::MakeExpert(const Scenario& scenario, bool blind,
                                                Rng rng) const {
  return std::make_unique<RecallColorExpert>(scenario, blind, rng);
}

}  // namespace kvla
