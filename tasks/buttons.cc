// SPDX-License-Identifier: Apache-2.0
#include "tasks/buttons.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

namespace kvla {
namespace {

constexpr double kPressedDepth = 0.004;   // metres a cap must go down
constexpr double kReleasedDepth = 0.002;  // and come up again to
constexpr double kRiseHeight = 0.090;
constexpr double kRiseBack = 0.045;
constexpr double kClearHeight = 0.075;
constexpr float kClosed = 1;

double Depth(const World& world, int button) {
  return -world.data()->qpos[world.Ids<ButtonIds>().positions[static_cast<size_t>(button)]];
}

}  // namespace

Vec3 RowOfFour(int button) { return {0.60, -0.165 + 0.11 * button, kButtonTop}; }

bool IsHeldOutOrder(const std::array<int, kRowOfFour>& order) {
  const auto slot = [&order](int thing) { return std::ranges::find(order, thing) - order.begin(); };
  return std::abs(slot(0) - slot(2)) == 2;
}

std::array<int, kRowOfFour> DrawOrder(Rng& rng, const TaskOptions& options) {
  std::array<int, kRowOfFour> order = {0, 1, 2, 3};
  do {
    rng.Shuffle(order);
  } while (options.LayoutsApart() && IsHeldOutOrder(order) != options.HeldOut());
  return order;
}

void DrawColoredRow(Rng& rng, const TaskOptions& options, size_t first, Scenario* scenario) {
  const std::array<int, kRowOfFour> colors = DrawOrder(rng, options);
  scenario->target_places.resize(kNumColors);
  for (int slot = 0; slot < kRowOfFour; ++slot) {
    const auto color = static_cast<size_t>(colors[static_cast<size_t>(slot)]);
    scenario->params[first + static_cast<size_t>(slot)] = static_cast<double>(color);
    scenario->target_places[color] = RowOfFour(slot);
  }
}

void ShowColoredRow(World& world, const Scenario& scenario, size_t first) {
  for (int slot = 0; slot < kRowOfFour; ++slot) {
    SetCap(world, slot, Lamp::kColor,
           static_cast<int>(scenario.params[first + static_cast<size_t>(slot)]));
  }
}

ButtonIds::ButtonIds(NameLookup& names) : caps(names.AllNumbered(mjOBJ_GEOM, "button")) {
  for (size_t b = 0; b < caps.size(); ++b) {
    positions.push_back(names.Position(fmt::format("button{}", b)));
  }
}

void SetCap(World& world, int button, Lamp lamp, int color) {
  SetColor(world, world.Ids<ButtonIds>().caps[static_cast<size_t>(button)], lamp, color);
}

int NewlyPressed(const World& world, int count, mjtNum* down) {
  unsigned bits = static_cast<unsigned>(*down);
  int pressed = -1;
  for (int b = 0; b < count; ++b) {
    const double depth = Depth(world, b);
    const unsigned bit = 1u << b;
    if ((bits & bit) != 0 && depth < kReleasedDepth) bits &= ~bit;
    if ((bits & bit) == 0 && depth > kPressedDepth) {
      bits |= bit;
      pressed = b;
      break;
    }
  }
  *down = bits;
  return pressed;
}

int PressedNow(const World& world, int count) {
  for (int b = 0; b < count; ++b) {
    if (Depth(world, b) > kPressedDepth) return b;
  }
  return -1;
}

Vec3 RisenFrom(const Vec3& top) { return {top[0] - kRiseBack, top[1], kRiseHeight}; }

Action RiseFromButton(const World& world, const Vec3& top) {
  return MoveTowards(world.EndEffector(), RisenFrom(top), kClosed);
}

bool ClearOfButtons(const World& world) { return world.EndEffector().position[2] > kClearHeight; }

}  // namespace kvla
