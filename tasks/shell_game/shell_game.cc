// SPDX-License-Identifier: Apache-2.0
#include "tasks/shell_game/shell_game.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <vector>

#include "tasks/shell_game/shell_game_expert.h"

namespace kvla {
namespace {

constexpr double kRevealSeconds = 1.6;
constexpr double kRevealHeight = 0.11;
constexpr int kFallSteps = 30;  // after it is let go, a cup that was shown counts as down
constexpr double kLiftHeight = 0.045;
constexpr double kLeastGap = 1.5, kMostGap = 4;  // seconds before a swap
constexpr double kPassing = 0.062;               // sideways, of two cups that swap
constexpr double kSecondsToLift = 9;             // after go

struct Swap {
  int begin, left, side;
};

Swap SwapOf(const Scenario& s, int i) {
  const double* p = &s.params[ShellGame::kSwaps + 3 * static_cast<size_t>(i)];
  return {static_cast<int>(p[0]), static_cast<int>(p[1]), static_cast<int>(p[2])};
}

int NumSwaps(const Scenario& s) { return static_cast<int>(s.params[ShellGame::kNumSwaps]); }

// Where a cup over `slot` goes in a swap.
int Swapped(int slot, const Swap& swap) {
  if (slot == swap.left) return slot + 1;
  return slot == swap.left + 1 ? slot - 1 : slot;
}

// Where the script wants a cup, table coordinates.
std::array<double, 2> PlaceAt(const Scenario& s, int cup, int step) {
  const int slot = ShellGame::SlotAt(s, cup, step);
  std::array<double, 2> place = {ShellGame::kSlotX, ShellGame::SlotY(slot)};
  for (int i = 0; i < NumSwaps(s); ++i) {
    const Swap swap = SwapOf(s, i);
    const int to = Swapped(slot, swap);
    if (to == slot || step < swap.begin || step >= swap.begin + ShellGame::kSwapSteps) continue;
    const double t = static_cast<double>(step - swap.begin) / ShellGame::kSwapSteps;
    const double u = t * t * (3 - 2 * t);
    const double side = slot == swap.left ? swap.side : -swap.side;
    place[0] += side * kPassing * std::sin(std::numbers::pi * u);
    place[1] += u * (ShellGame::SlotY(to) - place[1]);
  }
  return place;
}

bool Revealing(const Scenario& s, int step, int after) {
  return step >= s.params[ShellGame::kReveal] && step < s.params[ShellGame::kRevealEnd] + after;
}

// The script lifts the cup as a decoy, or did so less than `after` steps ago.
bool RisesEmpty(const Scenario& s, int cup, int step, int after) {
  return std::ranges::any_of(s.decoys, [=](const Decoy& decoy) {
    return decoy.what == cup && step >= decoy.begin && step < decoy.end + after;
  });
}

bool RaisedByScript(const Scenario& s, int cup, int step, int after) {
  const bool hides = cup == static_cast<int>(s.params[ShellGame::kBall]);
  return (hides && Revealing(s, step, after)) || RisesEmpty(s, cup, step, after);
}

// A joint and the servo that drives it.
struct Slide {
  int position;  // in mjData.qpos
  int servo;
};
struct SlideIds {
  explicit SlideIds(NameLookup& names) : ball_geom(names.Id(mjOBJ_GEOM, "ball")) {
    const auto find = [&names](const std::string& name) {
      return Slide{names.Position(name), names.Id(mjOBJ_ACTUATOR, name)};
    };
    for (size_t axis = 0; axis < 3; ++axis) {
      const char letter = "xyz"[axis];
      if (axis < ball.size()) ball[axis] = find(fmt::format("ball_{}", letter));
      for (size_t i = 0; i < cups.size(); ++i) {
        cups[i][axis] = find(fmt::format("cup{}_{}", i, letter));
      }
    }
  }
  int ball_geom;
  std::array<Slide, 2> ball;                                // x, y
  std::array<std::array<Slide, 3>, ShellGame::kCups> cups;  // x, y, z
};

void Drive(World& world, const Slide& slide, double value) {
  world.data()->ctrl[slide.servo] = value;
}

// Of the ways in which two cups swap (which pair, who passes in front) this one is held out.
constexpr int kSwapKinds = 4, kHeldOutSwap = 3;

// A decoy says nothing of where the ball is, since the cup that hides it may rise "empty" too.
constexpr const char* kDecoyClauses[] = {
    "; cups that rise empty mean nothing",
    "; a cup that comes up and shows no ball tells nothing, the ball may stick inside it",
    "; ignore every cup that rises without a ball under it",
    "; only the cup that shows the ball counts, not the ones that rise empty",
    "; it means nothing when a cup lifts itself and no ball is to be seen",
    "; take no account of cups that rise without a ball",
    "; a cup that lifts itself and looks empty is only there to mislead",
    "; disregard whatever cup comes up with no ball to be seen"};

// Chance: the slot in which the ball starts is uniform over three and independent of the swaps,
// and a sequence of swaps is a permutation, so that the slot in which it ends is uniform too,
// whatever the swaps; the cups are alike and one lift decides: 1/3. Cups that rise as decoys are
// drawn without regard to the ball, and it is not seen under them.
TaskInfo Info() {
  TaskInfo info = ChoreTaskInfo(
      "shell_game", "permanence",
      "the first cup lifted hides the ball and was lifted after the lamp turned white");
  info.stages.insert(info.stages.end(),
                     {{"lifted", StageKind::kMotor}, {"right", StageKind::kDecisive}});
  info.SetInstructions(
      {("carry the block back and forth until the white light, "
        "then lift the cup that hides the ball"),
       ("keep moving the block between the two places; when the light turns white, raise the "
        "cup with the ball under it"),
       ("watch where the ball goes while you carry the block to and fro, and pick up its cup "
        "once the lamp is white"),
       ("move the block from side to side, and at the white light take the cup that covers the "
        "ball by its knob and lift it"),
       "shuttle the block until the lamp shines white; then uncover the ball"},
      {("transport the block here and there, and at the white signal pull up whichever cup has "
        "the ball inside"),
       ("follow the cup with the ball as the cups trade places, work with the block meanwhile, "
        "and lift that cup after the lamp becomes white"),
       ("work with the block until white light appears, "
        "then reveal the hidden ball by raising its cup")});
  info.chance = 1.0 / ShellGame::kCups;
  info.needs_memory = info.has_twin = true;
  info.bits.assign(3, std::log2(ShellGame::kCups));
  info.num_targets = info.num_choices = ShellGame::kCups;
  return info;
}

}  // namespace

CupIds::CupIds(NameLookup& names) : cups(names.Numbered(mjOBJ_BODY, "cup", ShellGame::kCups)) {}

ShellGame::ShellGame(const std::filesystem::path& asset_root, const TaskOptions& options)
    : ChoreTask(asset_root, options, Info(), kLayout, {BindIds<SlideIds>, BindIds<CupIds>},
                kDecoyClauses) {}

int ShellGame::SlotAt(const Scenario& scenario, int cup, int step) {
  int slot = cup;
  for (int i = 0; i < NumSwaps(scenario); ++i) {
    const Swap swap = SwapOf(scenario, i);
    if (step >= swap.begin + kSwapSteps) slot = Swapped(slot, swap);
  }
  return slot;
}

int ShellGame::CupAt(const Scenario& scenario, int slot, int step) {
  for (int cup = 0; cup < kCups; ++cup) {
    if (SlotAt(scenario, cup, step) == slot) return cup;
  }
  return -1;
}

void ShellGame::DrawSwap(Rng& rng, int number, double* swap) const {
  if (!options().CuesAnywhere() && !options().HeldOut()) {
    swap[1] = rng.UniformInt(kCups - 1);
    swap[2] = rng.UniformInt(2) == 0 ? -1 : 1;
    return;
  }
  const int drawn = rng.UniformInt(options().HeldOut() ? kSwapKinds : kHeldOutSwap);
  const int kind = options().HeldOut() && number == 0 ? kHeldOutSwap : drawn;
  swap[1] = kind < 2 ? 0 : 1;
  swap[2] = kind % 2 == 0 ? -1 : 1;
}

void ShellGame::DrawEpisode(Rng& rng, Scenario* scenario) const {
  Scenario& s = *scenario;
  const bool anywhere = options().CuesAnywhere();
  // Anywhere: times count from the reveal until its onset is drawn, with room for the longest gaps.
  const int reveal = anywhere ? 0 : StepOf(rng.Uniform(4.0, 8.0));
  int last = reveal + StepOf(kRevealSeconds);
  std::vector<std::array<int, 2>> cues = {{reveal, last}};
  s.params[kBall] = DrawClass(rng, kCups, s);
  const int swaps = s.delay == "short" ? 1 : s.delay == "medium" ? 2 : kMaxSwaps;
  s.params[kNumSwaps] = swaps;
  for (int i = 0; i < swaps; ++i) {
    const int begin = last + StepOf(rng.Uniform(kLeastGap, kMostGap));
    last = begin + kSwapSteps;
    cues.push_back({begin, last});
    DrawSwap(rng, i, &s.params[kSwaps + 3 * static_cast<size_t>(i)]);
  }
  int go = 0, onset = 0;
  if (anywhere) {
    go = GoStep(s);
    onset = DrawOnset(rng, go, StepOf(kRevealSeconds) + swaps * (StepOf(kMostGap) + kSwapSteps));
  } else {
    go = last + StepOf(DrawSeconds(rng, s.delay, {5.0, 8.0}, {12.0, 16.0}, {30.0, 34.0}));
  }
  for (size_t i = 0; i < cues.size(); ++i) {
    const int begin = cues[i][0] + onset, end = cues[i][1] + onset;
    s.cues.push_back({begin * kControlPeriod, end * kControlPeriod});
    if (i > 0) s.params[kSwaps + 3 * (i - 1)] = begin;
  }
  s.params[kReveal] = cues[0][0] + onset;
  s.params[kRevealEnd] = cues[0][1] + onset;
  SetGo(rng, go, kSecondsToLift, scenario);
  s.target = SlotAt(s, static_cast<int>(s.params[kBall]), go);
  for (int slot = 0; slot < kCups; ++slot) {
    s.target_places.push_back({kSlotX, SlotY(slot), kGripHeight});
  }
  DrawDecoys(rng, StepOf(kRevealSeconds), kCups, {{s.cues.front().begin_s, s.cues.back().end_s}},
             scenario);
}

std::vector<CueInterval> ShellGame::Undisturbed(const Scenario& scenario) const {
  if (options().decoys) return {};
  return {scenario.cues.front()};
}

void ShellGame::PlaceObjects(World& world, Rng&, const Scenario& scenario) const {
  world.data()->qpos[world.Ids<SlideIds>().ball[1].position] =
      SlotY(static_cast<int>(scenario.params[kBall])) - SlotY(1);
}

void ShellGame::Play(World& world, const Scenario& scenario, bool) const {
  const int step = world.control_steps();
  const int ball = static_cast<int>(scenario.params[kBall]);
  const SlideIds& ids = world.Ids<SlideIds>();
  for (int cup = 0; cup < kCups; ++cup) {
    if (RaisedByScript(scenario, cup, step, kFallSteps)) continue;
    const Slide& height = ids.cups[static_cast<size_t>(cup)][2];
    if (world.data()->qpos[height.position] > kLiftHeight) KeepChoice(world, cup, kLifted);
  }

  for (int cup = 0; cup < kCups; ++cup) {
    const auto place = PlaceAt(scenario, cup, step);
    const auto& slides = ids.cups[static_cast<size_t>(cup)];
    Drive(world, slides[0], place[0] - kSlotX);
    Drive(world, slides[1], place[1] - SlotY(cup));
    Drive(world, slides[2], RaisedByScript(scenario, cup, step, 0) ? kRevealHeight : 0);
    if (cup == ball) {
      Drive(world, ids.ball[0], place[0] - kSlotX);
      Drive(world, ids.ball[1], place[1] - SlotY(1));
    }
  }
  const bool hidden = RisesEmpty(scenario, ball, step, kFallSteps) && !Revealing(scenario, step, 0);
  world.model()->geom_rgba[4 * ids.ball_geom + 3] = hidden ? 0 : 1;
}

ChoreTask::Verdict ShellGame::Judge(const World& world, const Scenario& scenario) const {
  return FirstChoice(world, scenario, kLifted, static_cast<int>(scenario.params[kBall]));
}

std::unique_ptr<Expert> ShellGame::MakeExpert(const Scenario& scenario, bool blind, Rng rng) const {
  return std::make_unique<ShellGameExpert>(scenario, blind, rng);
}

}  // namespace kvla
