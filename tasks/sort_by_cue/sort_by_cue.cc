// SPDX-License-Identifier: Apache-2.0
#include "tasks/sort_by_cue/sort_by_cue.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "tasks/sort_by_cue/sort_by_cue_expert.h"

namespace kvla {
namespace {

constexpr int kCueSteps = 12;
constexpr double kLeastGap = 1.5, kMostGap = 4;  // seconds between two cues
constexpr double kSecondsToSort = 20;            // after the first block was asked for
constexpr double kBinRadius = 0.05;
constexpr double kRaisedHeight = kBlockHalf + 0.03;
constexpr double kParkY = 0.47;  // of blocks that are not in play: out of the cameras' sight

// The blocks' colours; the first ones are those of the distractor lights.
constexpr std::array<std::array<float, 4>, SortByCue::kBins> kRgba = {{{0.90f, 0.06f, 0.06f, 1},
                                                                       {0.06f, 0.72f, 0.12f, 1},
                                                                       {0.08f, 0.20f, 0.95f, 1},
                                                                       {0.95f, 0.85f, 0.05f, 1},
                                                                       {0.80f, 0.10f, 0.85f, 1}}};

int IntAt(const Scenario& s, size_t first, int i) {
  return static_cast<int>(s.params[first + static_cast<size_t>(i)]);
}

// Lights a geom in a block's colour, or not at all for -1.
void Light(World& world, int geom, int color) {
  if (color < 0) return SetColor(world, geom, Lamp::kOff);
  const auto& rgba = kRgba[static_cast<size_t>(color)];
  std::copy(rgba.begin(), rgba.end(), world.model()->geom_rgba + 4 * geom);
}

// The bin in which the block of a colour rests, let go of; -1 none.
int RestsIn(const World& world, int color) {
  const Vec3 item = BlockPosition(world, SortByCue::BlockOf(world, color));
  if (item[2] > kBlockHalf + 0.006 || world.arm().GripperWidth(world.data()) < 0.052) return -1;
  for (int bin = 0; bin < SortByCue::kBins; ++bin) {
    if (HorizontalDistance(item, {SortByCue::kBinX, SortByCue::SlotY(bin), 0}) < kBinRadius) {
      return bin;
    }
  }
  return -1;
}

// A block of color c that waits at place (c + kHeldOutTurn) % kBins is held out; a held-out episode
// has this many of them or more.
constexpr int kHeldOutTurn = 2, kHeldOutBlocks = 2;

constexpr const char* kDecoyClauses[] = {
    "; a bin that flashes beside a cyan bar means nothing",
    "; heed only bins that flash with the magenta bar",
    "; ignore every bin that the cyan sign goes with",
    "; bins do not count while the bar is cyan",
    "; only the bins that light up beside the magenta sign matter",
    "; take no account of bins that a cyan sign accompanies",
    "; what counts is only what bins show while the sign is magenta",
    "; disregard whatever bin lights up with the cyan bar"};

// Chance: the bins of the blocks are different ones of five, drawn uniformly. Without memory the
// first block asked for goes into its bin with 1/5. That one's bin is then known to be another
// block's, so that the second goes right with 1/4 (the episode ends at the first mistake). Both:
// 1/20, however many blocks there are to remember. A decoy shows any block in play, in any bin.
TaskInfo Info() {
  TaskInfo info = ChoreTaskInfo("sort_by_cue", "capacity", "");
  info.success_rule =
      "final: the blocks asked for, one after the other, were put into the bins that flashed in "
      "their colours and into no other, and one transfer of the plain block was done for every 6 s "
      "before the first was asked for";
  info.stages.insert(info.stages.end(), {{"put", StageKind::kMotor},
                                         {"first_right", StageKind::kDecisive},
                                         {"second_right", StageKind::kDecisive}});
  info.SetInstructions(
      {("carry the plain block back and forth until the lamp shows a color, then put the block "
        "of that color into the bin that flashed in it"),
       ("keep moving the wooden block between the two places; when the lamp lights up in a "
        "color, sort the block of that color into the bin that lit up the same way"),
       ("remember which bin flashed in which color while you carry the plain block to and fro, "
        "and bring each block that the lamp asks for to its bin"),
       ("move the plain block from side to side, and once the lamp is colored place the block "
        "with its color on the bin that blinked in this color"),
       ("shuttle the plain block until the lamp calls for a color; then drop the block of that "
        "color in its own bin")},
      {("transport the wooden block here and there, and whenever the lamp names a color deliver "
        "that colored block to the bin which showed it"),
       ("each bin lights up in the color of the block it is for: keep that in mind, go on "
        "working, and put away the blocks the lamp asks for"),
       ("work with the plain block until the lamp turns to a color, then take the matching "
        "block to the bin you saw in this color")});
  info.chance = 1.0 / (SortByCue::kBins * (SortByCue::kBins - 1));
  info.needs_memory = true;
  info.bits = {std::log2(5 * 4 * 3), std::log2(5 * 4 * 3 * 2), std::log2(5 * 4 * 3 * 2)};
  info.num_targets = 2 * SortByCue::kBins;
  info.num_choices = SortByCue::kBins;
  return info;
}

}  // namespace

SortIds::SortIds(NameLookup& names)
    : bins(names.Numbered(mjOBJ_GEOM, "bin", SortByCue::kBins)),
      items(names.Numbered(mjOBJ_GEOM, "item", SortByCue::kBins)) {
  for (int color = 0; color < SortByCue::kBins; ++color) {
    blocks.push_back(FindBlock(names, fmt::format("item{}", color)));
  }
}

SortByCue::SortByCue(const std::filesystem::path& asset_root, const TaskOptions& options)
    : ChoreTask(asset_root, options, Info(), kLayout, {BindIds<SortIds>}, kDecoyClauses) {}

const BlockIds& SortByCue::BlockOf(const World& world, int color) {
  return world.Ids<SortIds>().blocks[static_cast<size_t>(color)];
}

std::array<int, SortByCue::kBins> SortByCue::DrawPlaces(Rng& rng,
                                                        std::span<const int> colors) const {
  std::array<int, kBins> places = {0, 1, 2, 3, 4};
  const auto fits = [&] {
    int held_out = 0;
    for (size_t i = 0; i < colors.size(); ++i) {
      held_out += places[i] == (colors[i] + kHeldOutTurn) % kBins;
    }
    if (options().HeldOut()) return held_out >= kHeldOutBlocks;
    return held_out == 0 || !options().CuesAnywhere();
  };
  do {
    rng.Shuffle(places);
  } while (!fits());
  return places;
}

void SortByCue::DrawEpisode(Rng& rng, Scenario* scenario) const {
  Scenario& s = *scenario;
  const bool anywhere = options().CuesAnywhere();
  const int items = s.delay == "short" ? 3 : s.delay == "medium" ? 4 : kBins;
  int wait = 0;
  if (!anywhere) {
    wait = StepOf(DrawSeconds(rng, s.delay, {5.0, 8.0}, {10.0, 14.0}, {22.0, 26.0}));
  }
  std::array<int, kBins> colors = {0, 1, 2, 3, 4};  // the first `items` are in play
  std::array<int, kBins> bins = colors;
  rng.Shuffle(colors);
  rng.Shuffle(bins);
  const auto played = static_cast<size_t>(items);
  const std::array<int, kBins> places = DrawPlaces(rng, std::span(colors).first(played));
  s.params.assign(kFlashes, -1);
  s.params[kNumItems] = items;
  // Anywhere: times count from the first cue until its onset is drawn, with room for the longest
  // gaps.
  int last = anywhere ? 0 : StepOf(rng.Uniform(4.0, 6.5));
  std::array<int, kBins> begins{};
  for (size_t i = 0; i < played; ++i) {
    begins[i] = i == 0 ? last : last + StepOf(rng.Uniform(kLeastGap, kMostGap));
    last = begins[i] + kCueSteps;
  }
  const int go = anywhere ? GoStep(s) : last + wait;
  const int longest = items * kCueSteps + (items - 1) * StepOf(kMostGap);
  const int onset = anywhere ? DrawOnset(rng, go, longest) : 0;
  for (size_t i = 0; i < played; ++i) {
    const int begin = begins[i] + onset;
    s.params[kCueBegin + i] = begin;
    s.params[kCueColor + i] = colors[i];
    s.params[kBinOf + static_cast<size_t>(colors[i])] = bins[i];
    s.params[kWaitsAt + static_cast<size_t>(colors[i])] = places[i];
    s.cues.push_back({begin * kControlPeriod, (begin + kCueSteps) * kControlPeriod});
  }
  SetGo(rng, go, kSecondsToSort, scenario);
  // Any two of the blocks, in any order.
  const int first = rng.UniformInt(items);
  const int second = (first + 1 + rng.UniformInt(items - 1)) % items;
  s.params[kAsked] = colors[static_cast<size_t>(first)];
  s.params[kAsked + 1] = colors[static_cast<size_t>(second)];
  s.target = bins[static_cast<size_t>(first)];
  for (int bin = 0; bin < kBins; ++bin) s.target_places.push_back({kBinX, SlotY(bin), kBlockHalf});
  for (int color = 0; color < kBins; ++color) {
    const int slot = IntAt(s, kWaitsAt, color);
    s.target_places.push_back(
        slot < 0 ? kNoPlace : CarrySkill::Approach({kWaitingX, SlotY(slot), kBlockHalf}));
  }
  DrawDecoys(rng, kCueSteps, items * kBins, s.cues, scenario);
}

void SortByCue::PlaceObjects(World& world, Rng& rng, const Scenario& scenario) const {
  for (int color = 0; color < kBins; ++color) {
    const int slot = IntAt(scenario, kWaitsAt, color);
    const double dx = rng.Uniform(-0.006, 0.006), dy = rng.Uniform(-0.006, 0.006);
    const double yaw = rng.Uniform(-0.1, 0.1);
    if (slot < 0) {
      PlaceBlock(world, 0.30 + 0.1 * color, kParkY, 0, BlockOf(world, color));
    } else {
      PlaceBlock(world, kWaitingX + dx, SlotY(slot) + dy, yaw, BlockOf(world, color));
    }
  }
}

void SortByCue::Play(World& world, const Scenario& scenario, bool go) const {
  mjtNum* memory = world.data()->userdata;
  const int step = world.control_steps();
  if (go && memory[kWrong] == 0 && memory[kPut] < kAsks) {
    const int color = IntAt(scenario, kAsked, static_cast<int>(memory[kPut]));
    if (BlockPosition(world, BlockOf(world, color))[2] > kRaisedHeight) memory[kRaised] = 1;
    const int bin = memory[kRaised] > 0 ? RestsIn(world, color) : -1;
    if (bin >= 0) {
      memory[bin == IntAt(scenario, kBinOf, color) ? kPut : kWrong] += 1;
      memory[kRaised] = 0;
    }
  }

  std::array<int, kBins> lit;
  lit.fill(-1);
  for (int i = 0; i < IntAt(scenario, kNumItems, 0); ++i) {
    const int begin = IntAt(scenario, kCueBegin, i);
    const int color = IntAt(scenario, kCueColor, i);
    if (step >= begin && step < begin + kCueSteps) {
      lit[static_cast<size_t>(IntAt(scenario, kBinOf, color))] = color;
    }
  }
  ShowSign(world, scenario, CueShown(scenario, step));
  if (const int decoy = DecoyShown(scenario, step); decoy >= 0) {
    lit[static_cast<size_t>(decoy % kBins)] = IntAt(scenario, kCueColor, decoy / kBins);
  }
  const SortIds& ids = world.Ids<SortIds>();
  for (int bin = 0; bin < kBins; ++bin) {
    const auto b = static_cast<size_t>(bin);
    Light(world, ids.bins[b], lit[b]);
    // A block that is not in play does not show.
    Light(world, ids.items[b], bin);
    if (IntAt(scenario, kBinOf, bin) < 0) world.model()->geom_rgba[4 * ids.items[b] + 3] = 0;
  }
  const int put = static_cast<int>(memory[kPut]);
  Light(world, world.Ids<TabletopIds>().cue_lamp,
        go && put < kAsks ? IntAt(scenario, kAsked, put) : -1);
}

ChoreTask::Verdict SortByCue::Judge(const World& world, const Scenario&) const {
  const mjtNum* memory = world.data()->userdata;
  const bool first = memory[kPut] > 0, both = memory[kPut] >= kAsks, wrong = memory[kWrong] > 0;
  return {.decided = first || wrong,
          .right = both,
          .over = both || wrong,
          .stages = {first || wrong, first, both}};
}

std::unique_ptr<Expert> SortByCue::MakeExpert(const Scenario& scenario, bool blind, Rng rng) const {
  return std::make_unique<SortByCueExpert>(scenario, blind, rng);
}

}  // namespace kvla
