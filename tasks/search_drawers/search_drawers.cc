// SPDX-License-Identifier: Apache-2.0
#include "tasks/search_drawers/search_drawers.h"

#include <fmt/format.h>

#include <array>
#include <string>

#include "tasks/search_drawers/search_drawers_expert.h"

namespace kvla {
namespace {

constexpr double kOpenAt = 0.055;    // metres a drawer is out when one sees what is in it
constexpr double kClosedAt = 0.010;  // and when it counts as closed again
constexpr double kSecondsToLook = 8;
constexpr double kNamedSeconds = 2;  // of which a drawer's lamp is surely lit

// Gaps between the rounds, seconds: least and most, before rounds 1, 2 and 3.
using Gaps = std::array<std::array<double, 2>, SearchDrawers::kRounds - 1>;
constexpr Gaps kShort = {{{11, 13}, {12, 14}, {11, 13}}};
constexpr Gaps kMedium = {{{12, 15}, {19, 22}, {16, 19}}};
constexpr Gaps kLong = {{{13, 16}, {37, 39}, {29, 31}}};

// "Go" is where the search begins.
constexpr ChoreLayout kLayout = {.go = SearchDrawers::kRound + SearchDrawers::kNamed,
                                 .chores = SearchDrawers::kChores,
                                 .first_place = SearchDrawers::kFirstPlace,
                                 .flashes = SearchDrawers::kFlashes,
                                 .transfers_at_go = SearchDrawers::kTransfersAtSearch,
                                 .memory = SearchDrawers::kMemorySize};

int IntAt(const Scenario& s, size_t first, int i) {
  return static_cast<int>(s.params[first + static_cast<size_t>(i)]);
}

// Chance: two drawers, drawn uniformly, are named and empty; of the two that are left one hides the
// ball, with 1/2 each. Without memory a search picks a drawer with probabilities q_i, the same in
// every round. It succeeds at once if it picks the ball's drawer, averaged over the scenarios 1/4
// whatever q is. Or it picks the other one that is left, and in the next round the ball's: with
// 2 left of 4 drawn uniformly, sum over i != j of (1/12) q_i q_j = (1 - sum q_i^2) / 12, at most
// 1/16, for equal q. Together 5/16.
TaskInfo Info() {
  TaskInfo info = ChoreTaskInfo("search_drawers", "revisit", "");
  info.stages = {{"looked", StageKind::kMotor},       {"looked_again", StageKind::kMotor},
                 {"kept_working", StageKind::kMotor}, {"searched", StageKind::kMotor},
                 {"not_twice", StageKind::kDecisive}, {"found", StageKind::kDecisive}};
  info.success_rule =
      "final: the drawer with the ball was opened, one drawer each time that the lamp was white, "
      "the named one where a drawer's lamp was lit, none twice and none out of turn, and one "
      "transfer of the block was done for every 6 s between, before the search";
  info.SetInstructions(
      {("carry the block back and forth; at each white light open the drawer whose lamp is lit, "
        "or if none is lit the leftmost one not opened before, until you find the ball"),
       ("keep moving the block between the two places; when the light turns white, pull out the "
        "drawer with the lit lamp, and where no lamp is lit the leftmost drawer you have not "
        "looked into yet"),
       ("remember which drawers you have opened while you carry the block to and fro; at a "
        "white light look into the marked drawer, "
        "or else into the leftmost new one, and find the ball"),
       ("move the block from side to side, and each time the lamp is white open one drawer, the "
        "marked one or the leftmost unopened one, until the ball turns up"),
       ("shuttle the block; at every white light check the drawer that is marked, otherwise the "
        "first from the left that has not been opened, and never one twice")},
      {("transport the block here and there, and at each white signal search the drawer under "
        "the lit lamp or, without one, the next one from the left that you have not seen inside"),
       ("find the ball: when white light appears open a drawer, the indicated one if there is "
        "one, if not the leftmost not yet opened, and work with the block in between"),
       ("work with the block, and whenever the lamp becomes white pull the drawer that is "
        "pointed out or the leftmost one still unopened, but no drawer a second time")});
  info.chance = 5.0 / 16;
  info.needs_memory = true;
  info.num_targets = info.num_choices = SearchDrawers::kDrawers;
  return info;
}

}  // namespace

DrawerIds::DrawerIds(NameLookup& names)
    : lamps(names.Numbered(mjOBJ_GEOM, "drawer_lamp", SearchDrawers::kDrawers)),
      hidden(names.Numbered(mjOBJ_GEOM, "hidden", SearchDrawers::kDrawers)),
      handles(names.Numbered(mjOBJ_GEOM, "handle", SearchDrawers::kDrawers)) {
  for (int i = 0; i < SearchDrawers::kDrawers; ++i) {
    positions.push_back(names.Position(fmt::format("drawer{}", i)));
  }
}

SearchDrawers::SearchDrawers(const std::filesystem::path& asset_root, const TaskOptions& options)
    : ChoreTask(asset_root, options, Info(), kLayout, {BindIds<DrawerIds>}) {}

int SearchDrawers::OpenRound(const World& world, const Scenario& scenario) {
  const mjtNum* memory = world.data()->userdata;
  const int round = static_cast<int>(memory[kLooks]);
  if (round >= kRounds || memory[kFound] > 0) return -1;
  return world.control_steps() >= IntAt(scenario, kRound, round) ? round : -1;
}

void SearchDrawers::DrawEpisode(Rng& rng, Scenario* scenario) const {
  Scenario& s = *scenario;
  const Gaps& gaps = s.delay == "short" ? kShort : s.delay == "medium" ? kMedium : kLong;
  int round = StepOf(rng.Uniform(4.0, 6.0));
  s.params[kRound] = round;
  for (size_t i = 1; i < kRounds; ++i) {
    round += StepOf(rng.Uniform(gaps[i - 1][0], gaps[i - 1][1]));
    s.params[kRound + i] = round;
  }
  std::array<int, kDrawers> drawers = {0, 1, 2, 3};
  rng.Shuffle(drawers);
  for (size_t i = 0; i < kNamed; ++i) {
    s.params[kNames + i] = drawers[i];
    const double begin = s.params[kRound + i] * kControlPeriod;
    s.cues.push_back({begin, begin + kNamedSeconds});
  }
  s.params[kBall] = drawers[kNamed];
  s.target = std::min(drawers[kNamed], drawers[kNamed + 1]);  // the leftmost one not opened
  const double search_s = s.params[kRound + kNamed] * kControlPeriod;
  // Where the first look of the search finds nothing, it is to be remembered as well.
  if (s.target != drawers[kNamed]) s.cues.push_back({search_s, search_s + kSecondsToLook});
  SetGo(rng, static_cast<int>(s.params[kRound + kNamed]), 0, scenario);
  s.params[kChores] = ChoresOwed(search_s - kNamed * kSecondsToLook);
  s.horizon_steps = round + StepOf(kSecondsToLook);
  for (int i = 0; i < kDrawers; ++i) {
    s.target_places.push_back({kHandleX, SlotY(i), kGripHeight});
  }
}

std::vector<CueInterval> SearchDrawers::Undisturbed(const Scenario&) const { return {}; }

void SearchDrawers::Play(World& world, const Scenario& scenario, bool) const {
  mjtNum* memory = world.data()->userdata;
  const DrawerIds& ids = world.Ids<DrawerIds>();
  for (int i = 0; i < kDrawers; ++i) {
    const size_t drawer = static_cast<size_t>(i);
    const double out = world.data()->qpos[ids.positions[drawer]];
    if (out < kClosedAt) memory[kOut + drawer] = 0;
    if (out < kOpenAt || memory[kOut + drawer] > 0) continue;
    memory[kOut + drawer] = 1;
    if (memory[kFault] > 0 || memory[kFound] > 0) continue;
    const int round = OpenRound(world, scenario);
    if (round < 0) {
      memory[kFault] = 1 + kOutOfTurn;
    } else if (round < kNamed && i != IntAt(scenario, kNames, round)) {
      memory[kFault] = 1 + kNotNamed;
    } else if (memory[kLooked + drawer] > 0) {
      memory[kFault] = 1 + kTwice;
    } else {
      memory[kLooks] += 1;
      memory[kLooked + drawer] = 1;
      if (i == IntAt(scenario, kBall, 0)) memory[kFound] = 1;
    }
  }

  const int round = OpenRound(world, scenario);
  for (int i = 0; i < kDrawers; ++i) {
    const bool named = round >= 0 && round < kNamed && i == IntAt(scenario, kNames, round);
    SetColor(world, ids.lamps[static_cast<size_t>(i)], named ? Lamp::kWhite : Lamp::kOff);
    const int hidden = ids.hidden[static_cast<size_t>(i)];
    world.model()->geom_rgba[4 * hidden + 3] = i == IntAt(scenario, kBall, 0) ? 1 : 0;
  }
  SetCueLamp(world, round >= 0 ? Lamp::kWhite : Lamp::kOff);
}

std::vector<bool> SearchDrawers::WorkStages(const World& world, bool worked) const {
  const mjtNum looks = world.data()->userdata[kLooks];
  return {looks >= 1, looks >= 2, worked};
}

ChoreTask::Verdict SearchDrawers::Judge(const World& world, const Scenario&) const {
  const mjtNum* memory = world.data()->userdata;
  const bool twice = memory[kFault] == 1 + kTwice && memory[kLooks] >= kNamed;
  const bool new_one = memory[kLooks] > kNamed, found = memory[kFound] > 0;
  return {.decided = new_one || twice,
          .right = found,
          .over = found || memory[kFault] > 0,
          .stages = {new_one || twice, new_one, found}};
}

std::unique_ptr<Expert> SearchDrawers::MakeExpert(const Scenario& scenario, bool blind,
                                                  Rng rng) const {
  return std::make_unique<SearchDrawersExpert>(scenario, blind, rng);
}

}  // namespace kvla
