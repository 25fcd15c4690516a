// SPDX-License-Identifier: Apache-2.0
#include "tasks/chore.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace kvla {
namespace {

constexpr double kSecondsPerChore = 6;
constexpr double kPlaceRadius = 0.05;
constexpr double kRestingHeight = kBlockHalf + 0.006;
constexpr double kLetGoWidth = 0.052;
constexpr double kYawScatter = 0.15;
constexpr double kDropScatter = 0.008;

const std::array<double, 2>& PlaceOf(double place) { return place > 0 ? kPad : kTray; }

}  // namespace

int StepOf(double seconds) { return static_cast<int>(std::lround(seconds * kControlRateHz)); }

bool CueShown(const Scenario& scenario, int step) {
  return std::any_of(scenario.cues.begin(), scenario.cues.end(), [step](const CueInterval& cue) {
    return step >= StepOf(cue.begin_s) && step < StepOf(cue.end_s);
  });
}

double DrawSeconds(Rng& rng, std::string_view delay, std::pair<double, double> brief,
                   std::pair<double, double> medium, std::pair<double, double> lasting) {
  const auto& [low, high] = delay == "short" ? brief : delay == "medium" ? medium : lasting;
  return rng.Uniform(low, high);
}

int ChoresOwed(double seconds) { return std::max(1, static_cast<int>(seconds / kSecondsPerChore)); }

Status CheckScene(const World& world, const std::vector<BindFn>& binds, size_t memory) {
  if (Status s = world.Bind<TabletopIds>(); !s.ok()) return s;
  for (const BindFn bind : binds) {
    if (Status s = bind(world); !s.ok()) return s;
  }
  if (world.model()->nuserdata < static_cast<int>(memory)) {
    return BadInput(fmt::format("{}: nuserdata must be {} or more", world.path().string(), memory));
  }
  return {};
}

void PlaceChore(World& world, Rng& rng, int first_place, size_t memory, bool held_out) {
  const auto& place = PlaceOf(first_place);
  const auto [x, y] = DrawScatter(rng, kPlaceScatter, held_out);
  PlaceBlock(world, place[0] + x, place[1] + y, rng.Uniform(-kYawScatter, kYawScatter));
  world.data()->userdata[memory + kChorePlace] = first_place;
  world.data()->userdata[memory + kChoreTransfers] = 0;
}

void UpdateChore(World& world, size_t memory) {
  mjtNum* chore = world.data()->userdata + memory;
  const Vec3 block = BlockPosition(world);
  const int other = chore[kChorePlace] > 0 ? 0 : 1;
  const auto& place = PlaceOf(other);
  if (HorizontalDistance(block, {place[0], place[1], 0}) < kPlaceRadius &&
      block[2] < kRestingHeight && world.arm().GripperWidth(world.data()) > kLetGoWidth) {
    chore[kChorePlace] = other;
    chore[kChoreTransfers] += 1;
  }
}

std::vector<Flash> DrawFlashesBetween(Rng& rng, int horizon, const std::vector<CueInterval>& cues) {
  std::vector<Flash> flashes = DrawFlashes(rng, horizon, 0, 0);
  std::erase_if(flashes, [&cues](const Flash& flash) {
    return std::any_of(cues.begin(), cues.end(), [&flash](const CueInterval& cue) {
      return flash.begin < StepOf(cue.end_s) && flash.begin + kFlashSteps > StepOf(cue.begin_s);
    });
  });
  return flashes;
}

Action ChoreSkill::Act(const World& world) {
  const mjtNum* memory = world.data()->userdata + memory_;
  const int transfers = static_cast<int>(memory[kChoreTransfers]);
  if (transfer_ != transfers) {
    transfer_ = transfers;
    const auto& place = PlaceOf(memory[kChorePlace] > 0 ? 0 : 1);
    const double x = place[0] + rng_.Uniform(-kDropScatter, kDropScatter);
    destination_ = {x, place[1] + rng_.Uniform(-kDropScatter, kDropScatter)};
  }
  return carry_.Act(world, destination_);
}

}  // namespace kvla
