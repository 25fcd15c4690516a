// SPDX-License-Identifier: Apache-2.0
#include "tasks/search_drawers/search_drawers.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <vector>

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

// Where cues are anywhere: between the named rounds at least, and from the search's first round to
// its second.
constexpr double kNamedApart = 11;
constexpr std::array<double, 4> kSearchGap = {12, 17, 30, 30};
// Of the ball; the other one is held out.
constexpr std::array<std::array<float, 3>, 2> kBallRgb = {
    {{0.95f, 0.08f, 0.08f}, {0.10f, 0.30f, 0.95f}}};

constexpr const char* kDecoyClauses[] = {
    "; a drawer's lamp that is lit without the white light means nothing",
    "; ignore the lamps of the drawers unless the big lamp is white",
    "; lamps on drawers do not count while the big one is dark",
    "; only where the white light is on does a drawer's lamp mark it",
    "; leave the drawers alone when one of their lamps goes on by itself",
    "; take no account of a lit drawer while there is no white light",
    "; without the white signal a lamp on a drawer is only there to mislead",
    "; disregard a drawer's lamp whenever the big one is off"};

// "Go" is where the search begins.
constexpr ChoreLayout kLayout = {.go = SearchDrawers::kRound + SearchDrawers::kNamed,
                                 .chores = SearchDrawers::kChores,
                                 .first_place = SearchDrawers::kFirstPlace,
                                 .flashes = SearchDrawers::kFlashes,
                                 .go_seconds = {36, 48, 70, 160},
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
  info.bits.assign(3, std::log2(6));  // which two of four were opened
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
    : ChoreTask(asset_root, options, Info(), kLayout, {BindIds<DrawerIds>}, kDecoyClauses) {}

int SearchDrawers::OpenRound(const World& world, const Scenario& scenario) {
  const mjtNum* memory = world.data()->userdata;
  const int round = static_cast<int>(memory[kLooks]);
  if (round >= kRounds || memory[kFound] > 0) return -1;
  return world.control_steps() >= IntAt(scenario, kRound, round) ? round : -1;
}

void SearchDrawers::DrawRounds(Rng& rng, Scenario* scenario) const {
  double* round = &scenario->params[kRound];
  if (options().CuesAnywhere()) {
    // A look takes as long as its cue: the first is uniform up to where the other still fits, the
    // other from there on.
    const int go = GoStep(*scenario), look = StepOf(kSecondsToLook), apart = StepOf(kNamedApart);
    const int first = DrawOnset(rng, go, apart + look);
    round[0] = first;
    round[1] = DrawOnset(rng, go, look, first + apart);
    round[2] = go;
    round[3] = go + StepOf(ForDelay(kSearchGap, *scenario));
    return;
  }
  const std::string& delay = scenario->delay;
  const Gaps& gaps = delay == "short" ? kShort : delay == "medium" ? kMedium : kLong;
  round[0] = StepOf(rng.Uniform(4.0, 6.0));
  for (size_t i = 1; i < kRounds; ++i) {
    round[i] = round[i - 1] + StepOf(rng.Uniform(gaps[i - 1][0], gaps[i - 1][1]));
  }
}

void SearchDrawers::DrawEpisode(Rng& rng, Scenario* scenario) const {
  Scenario& s = *scenario;
  DrawRounds(rng, scenario);
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
  s.horizon_steps = IntAt(s, kRound, kRounds - 1) + StepOf(kSecondsToLook);
  for (int i = 0; i < kDrawers; ++i) {
    s.target_places.push_back({kHandleX, SlotY(i), kGripHeight});
  }
  std::vector<CueInterval> looks(s.cues.begin(), s.cues.begin() + kNamed);
  for (CueInterval& look : looks) look.end_s = look.begin_s + kSecondsToLook;
  DrawDecoys(rng, StepOf(kNamedSeconds), kDrawers, looks, scenario);
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
  const int lit = round < 0        ? DecoyShown(scenario, world.control_steps())
                  : round < kNamed ? IntAt(scenario, kNames, round)
                                   : -1;
  for (int i = 0; i < kDrawers; ++i) {
    SetColor(world, ids.lamps[static_cast<size_t>(i)], i == lit ? Lamp::kWhite : Lamp::kOff);
    float* hidden = world.model()->geom_rgba + size_t{4} * ids.hidden[static_cast<size_t>(i)];
    std::ranges::copy(kBallRgb[options().HeldOut() ? 1 : 0], hidden);
    hidden[3] = i == IntAt(scenario, kBall, 0) ? 1 : 0;
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
