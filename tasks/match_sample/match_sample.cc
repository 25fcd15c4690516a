#include "tasks/match_sample/match_sample.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "tasks/buttons.h"
#include "tasks/skills.h"

namespace kvla {
namespace {

constexpr int kCueSteps = 16;
constexpr double kSecondsToPress = 9;  // after go
constexpr double kLineUpX = 0.515;
constexpr Vec3 kStand = {0.735, 0, 0.020};  // the lamp's top
constexpr double kBelow = -0.5;             // where a shape waits

constexpr ChoreLayout kLayout = {.go = MatchSample::kGo,
                                 .chores = MatchSample::kChores,
                                 .first_place = MatchSample::kFirstPlace,
                                 .flashes = MatchSample::kFlashes,
                                 .transfers_at_go = MatchSample::kTransfersAtGo,
                                 .memory = MatchSample::kMemorySize};

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

// Chance: which shape is shown and where each stands later are drawn independently and uniformly;
// one press decides between four slots: 1/4.
TaskInfo Info() {
  TaskInfo info = ChoreTaskInfo("match_sample", "reference",
                                "the first button pressed stands in front of the shape that was "
                                "shown and was pressed after the lamp turned white");
  info.stages.insert(info.stages.end(),
                     {{"pressed", StageKind::kMotor}, {"right", StageKind::kDecisive}});
  info.SetInstructions(
      {("carry the block back and forth until the white light, then press the button in front "
        "of the shape that was shown"),
       ("keep moving the block between the two places; when the light turns white, push the "
        "button next to the shape that stood on the lamp before"),
       ("remember the shape on the lamp while you carry the block to and fro, and press its "
        "button in the line-up when the lamp goes white"),
       ("move the block from side to side, and once the lamp is white press the button of the "
        "shape that you saw alone"),
       ("shuttle the block until the lamp shines white; then hit the button by the same shape "
        "as the sample")},
      {("transport the block here and there, and at the white signal push whichever button "
        "belongs to the object you were shown"),
       ("a shape will appear for a moment: keep it in mind, go on carrying the block, and "
        "choose its button after the lamp becomes white"),
       ("work with the block until white light appears, then pick the matching shape from the "
        "row with its button")});
  info.chance = 1.0 / MatchSample::kShapes;
  info.needs_memory = true;
  info.num_targets = 2 * MatchSample::kShapes;
  info.num_choices = MatchSample::kShapes;
  return info;
}

class MatchSampleExpert : public ChoreExpert {
 public:
  // `blind`: presses a button that it guesses from `rng`.
  MatchSampleExpert(const Scenario& told, bool blind, Rng rng) : ChoreExpert(told, kLayout, rng) {
    const int guess = rng.UniformInt(MatchSample::kShapes);
    slot_ = blind ? guess : told.target;
    WorkWith(rng);
  }

 private:
  void LabelOf(const World& world, bool go, ExpertLabel* label) const override {
    const auto& params = scenario().params;
    const int step = world.control_steps();
    const bool cue = step >= params[MatchSample::kCueBegin] && step < params[MatchSample::kCueEnd];
    label->target = go    ? scenario().target
                    : cue ? MatchSample::ShapeClass(static_cast<int>(params[MatchSample::kShown]))
                          : -1;
    label->decision = go && world.data()->userdata[MatchSample::kPressed] == 0;
  }

  Action AfterGo(const World& world, ExpertLabel* label) override {
    const Action action = press_.Act(world, scenario().target_places[static_cast<size_t>(slot_)]);
    label->waypoint = press_.waypoint();
    return action;
  }

  PressSkill press_;
  int slot_ = 0;  // whose button to press
};

}  // namespace

MatchSample::MatchSample(const std::filesystem::path& asset_root)
    : ChoreTask(
          asset_root, Info(), kLayout,
          {.joints = Numbered("button", kShapes), .mocap_bodies = Numbered("shape", kShapes)}) {}

void MatchSample::DrawEpisode(Rng& rng, Scenario* scenario) const {
  Scenario& s = *scenario;
  const int cue = StepOf(rng.Uniform(4.0, 8.0));
  const double delay = DrawSeconds(rng, s.delay, {6.0, 9.0}, {14.0, 18.0}, {33.0, 37.0});
  const int go = cue + kCueSteps + StepOf(delay);
  std::array<int, kShapes> slots = {0, 1, 2, 3};
  rng.Shuffle(slots);
  const int shown = rng.UniformInt(kShapes);
  s.target = slots[static_cast<size_t>(shown)];
  s.cues = {{cue * kControlPeriod, (cue + kCueSteps) * kControlPeriod}};
  s.params[kCueBegin] = cue;
  s.params[kCueEnd] = cue + kCueSteps;
  s.params[kLineUp] = cue + kCueSteps + StepOf(rng.Uniform(1.5, 3.0));
  SetGo(rng, go, kSecondsToPress, scenario);
  s.params[kShown] = shown;
  std::copy(slots.begin(), slots.end(), s.params.begin() + kSlotOf);
  for (int slot = 0; slot < kShapes; ++slot) s.target_places.push_back(RowOfFour(slot));
}

void MatchSample::Play(World& world, const Scenario& scenario, bool) const {
  KeepChoice(world, PressedNow(world, kShapes), kPressed);
  const mjModel* model = world.model();
  bool moved = false;
  for (int shape = 0; shape < kShapes; ++shape) {
    const int body = mj_name2id(model, mjOBJ_BODY, fmt::format("shape{}", shape).c_str());
    mjtNum* at = world.data()->mocap_pos + 3 * model->body_mocapid[body];
    const Vec3 place = PlaceAt(scenario, shape, world.control_steps());
    moved |= !std::equal(place.begin(), place.end(), at);
    std::copy(place.begin(), place.end(), at);
  }
  // What stands elsewhere now is drawn there now, not after the next step.
  if (moved) world.Forward();
}

ChoreTask::Verdict MatchSample::Judge(const World& world, const Scenario& scenario) const {
  return FirstChoice(world, scenario, kPressed, scenario.target);
}

std::unique_ptr<Expert> MatchSample::MakeExpert(const Scenario& scenario, bool blind,
                                                Rng rng) const {
  return std::make_unique<MatchSampleExpert>(scenario, blind, rng);
}

}  // namespace kvla
