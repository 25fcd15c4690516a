// SPDX-License-Identifier: Apache-2.0
#include "tasks/repeat_sequence/repeat_sequence.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "tasks/buttons.h"
#include "tasks/skills.h"

namespace kvla {
namespace {

constexpr int kLitColor = 3;            // yellow
constexpr double kSecondsToBegin = 6;   // after go
constexpr double kSecondsPerPress = 3;  // for each button of the sequence
constexpr ChoreLayout kLayout = {.go = RepeatSequence::kGo,
                                 .chores = RepeatSequence::kChores,
                                 .first_place = RepeatSequence::kFirstPlace,
                                 .flashes = RepeatSequence::kFlashes,
                                 .go_seconds = {22, 32, 56, 175},
                                 .transfers_at_go = RepeatSequence::kTransfersAtGo,
                                 .memory = RepeatSequence::kMemorySize};

// Chance: the order is drawn uniformly without repetition from five buttons, and the first wrong
// press ends the episode: 1 in 5 * 4 * 3 = 60 for three, 1 in 120 for four and for five. The task
// states the easiest.
TaskInfo Info() {
  TaskInfo info = ChoreTaskInfo("repeat_sequence", "sequence",
                                "after the lamp turned white, the buttons were pressed in the "
                                "order in which they had been lit, without a wrong press");
  info.stages.insert(info.stages.end(), {{"pressed", StageKind::kMotor},
                                         {"first_right", StageKind::kDecisive},
                                         {"right", StageKind::kDecisive}});
  info.SetInstructions(
      {("carry the block back and forth until the white light, then press the buttons in the order "
        "in which they were lit"),
       ("keep moving the block between the two places; when the light turns white, push the buttons "
        "in the same order as they lit up"),
       ("move the block from side to side, "
        "and once the lamp is white repeat the sequence of lit buttons"),
       ("remember which buttons light up one after the other while you carry the block to and fro, "
        "and press them in that order when the lamp goes white"),
       "shuttle the block until the lamp shines white; then play the sequence of buttons back"},
      {("transport the block here and there, "
        "and at the white signal reproduce the order of the glowing buttons"),
       ("work with the block until white light appears, then tap the buttons one by one just as "
        "they glowed before"),
       ("the buttons will light up in turn: keep the order in mind, go on carrying the block, and "
        "press them likewise after the lamp becomes white")});
  info.chance = 1.0 / 60;
  info.needs_memory = true;
  info.num_targets = info.num_choices = RepeatSequence::kButtons;
  info.bits = {std::log2(60), std::log2(120), std::log2(120)};
  return info;
}

class RepeatSequenceExpert : public ChoreExpert {
 public:
  // `blind`: presses in an order that it guesses from `rng`.
  RepeatSequenceExpert(const Scenario& told, bool blind, Rng rng)
      : ChoreExpert(told, kLayout, rng) {
    std::copy_n(told.params.begin() + RepeatSequence::kOrder, order_.size(), order_.begin());
    if (blind) rng.Shuffle(order_);
  }

 private:
  // The button that is lit now, -1 none.
  int LitAt(int step) const {
    const auto& params = scenario().params;
    for (size_t i = 0; i < static_cast<size_t>(params[RepeatSequence::kLength]); ++i) {
      const double begin = params[RepeatSequence::kLit + i];
      if (step >= begin && step < begin + kFlashSteps) {
        return static_cast<int>(params[RepeatSequence::kOrder + i]);
      }
    }
    return -1;
  }

  // How many were pressed already.
  static size_t Next(const World& world) {
    return static_cast<size_t>(world.data()->userdata[RepeatSequence::kRight]);
  }
  // More are to be pressed.
  bool Open(const World& world) const {
    return static_cast<double>(Next(world)) < scenario().params[RepeatSequence::kLength] &&
           world.data()->userdata[RepeatSequence::kWrong] == 0;
  }

  void LabelOf(const World& world, bool go, ExpertLabel* label) const override {
    label->decision = go && Open(world);
    label->target = go ? -1 : LitAt(world.control_steps());
    if (label->decision) {
      label->target = static_cast<int>(scenario().params[RepeatSequence::kOrder + Next(world)]);
    }
  }

  Action AfterGo(const World& world, ExpertLabel* label) override {
    const bool open = Open(world);
    const size_t next = Next(world);
    const Vec3 button =
        RepeatSequence::ButtonPlace(static_cast<int>(order_[open || next == 0 ? next : next - 1]));
    label->waypoint = open ? button : RisenFrom(button);
    return open ? press_.Act(world, button) : RiseFromButton(world, button);
  }

  PressSkill press_;
  std::array<double, RepeatSequence::kButtons> order_{};
};

}  // namespace

RepeatSequence::RepeatSequence(const std::filesystem::path& asset_root, const TaskOptions& options)
    : ChoreTask(asset_root, options, Info(), kLayout, {BindIds<Buttons<kButtons>>}) {}

Vec3 RepeatSequence::ButtonPlace(int button) { return {0.60, -0.22 + 0.11 * button, kButtonTop}; }

void RepeatSequence::DrawEpisode(Rng& rng, Scenario* scenario) const {
  Scenario& s = *scenario;
  const int length = s.delay == "short" ? 3 : s.delay == "medium" ? 4 : 5;
  std::array<int, kButtons> order = {0, 1, 2, 3, 4};
  rng.Shuffle(order);
  s.params[kLength] = length;
  std::copy(order.begin(), order.end(), s.params.begin() + kOrder);
  const std::vector<int> begins = DrawSeries(rng, s, length, {0.3, 1.5});
  for (size_t i = 0; i < begins.size(); ++i) {
    s.params[kLit + i] = begins[i];
    s.cues.push_back({begins[i] * kControlPeriod, (begins[i] + kFlashSteps) * kControlPeriod});
  }
  const int go =
      DrawGo(rng, s, begins.back() + kFlashSteps, {6.0, 9.0}, {14.0, 18.0}, {33.0, 37.0});
  s.target = order[0];
  SetGo(rng, go, kSecondsToBegin + kSecondsPerPress * length, scenario);
  for (int b = 0; b < kButtons; ++b) s.target_places.push_back(ButtonPlace(b));
  DrawDecoys(rng, kFlashSteps, kButtons, {{s.cues.front().begin_s, s.cues.back().end_s}}, scenario);
}

void RepeatSequence::Play(World& world, const Scenario& scenario, bool go) const {
  mjtNum* memory = world.data()->userdata;
  const int step = world.control_steps();
  const auto& params = scenario.params;
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

  ShowSign(world, scenario, CueShown(scenario, step));
  const int decoy = DecoyShown(scenario, step);
  for (size_t i = 0; i < kButtons; ++i) {
    const int cap = static_cast<int>(params[kOrder + i]);
    // What was pressed stays lit, so that the order is all that there is to remember.
    const bool done = static_cast<double>(i) < memory[kRight];
    const bool lit =
        i < length && step >= params[kLit + i] && step < params[kLit + i] + kFlashSteps;
    SetCap(world, cap,
           done                  ? Lamp::kWhite
           : lit || decoy == cap ? Lamp::kColor
                                 : Lamp::kOff,
           kLitColor);
  }
}

ChoreTask::Verdict RepeatSequence::Judge(const World& world, const Scenario& scenario) const {
  const mjtNum* memory = world.data()->userdata;
  const bool wrong = memory[kWrong] > 0, first = memory[kRight] >= 1;
  const bool complete = memory[kRight] >= scenario.params[kLength];
  return {.decided = wrong || complete,
          .right = complete,
          .over = wrong || complete || memory[kEarly] > 0,
          .stages = {wrong || first, first, complete}};
}

std::unique_ptr<Expert> RepeatSequence::MakeExpert(const Scenario& scenario, bool blind,
                                                   Rng rng) const {
  return std::make_unique<RepeatSequenceExpert>(scenario, blind, rng);
}

}  // namespace kvla
