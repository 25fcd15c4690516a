// SPDX-License-Identifier: Apache-2.0
// Buttons of a scene: slide joints "button0", "button1", ..., caps that can be lit.
#ifndef KVLA_TASKS_BUTTONS_H_
#define KVLA_TASKS_BUTTONS_H_

#include <mujoco/mujoco.h>

#include <array>
#include <vector>

#include "base/rng.h"
#include "sim/world.h"
#include "tasks/tabletop.h"
#include "tasks/task.h"
#include "tasks/task_options.h"

namespace kvla {

inline constexpr double kButtonTop = 0.040;  // of a cap at rest, metres

// Where the buttons of a row of four are, the row of several tasks: tops of the caps at rest.
inline constexpr int kRowOfFour = 4;
Vec3 RowOfFour(int button);

// The orders of four things that are held out, a third of all: those in which things 0 and 2 stand
// two apart. Among them, and among the others, each thing stands in each slot as often. `order`:
// the things of the slots or the slots of the things, which comes to the same.
bool IsHeldOutOrder(const std::array<int, kRowOfFour>& order);
// An order of four, uniform over those that the options' layouts have.
std::array<int, kRowOfFour> DrawOrder(Rng& rng, const TaskOptions& options);

// Draws which of the row of four has which colour into params[first...], and with it where each
// colour's target has its place.
void DrawColoredRow(Rng& rng, const TaskOptions& options, size_t first, Scenario* scenario);
void ShowColoredRow(World& world, const Scenario& scenario, size_t first);

// What a scene with buttons has; a task with `count` of them binds Buttons<count>.
struct ButtonIds {
  explicit ButtonIds(NameLookup& names);

  std::vector<int> caps;       // geoms
  std::vector<int> positions;  // in mjData.qpos
};
template <int count>
struct Buttons {
  explicit Buttons(NameLookup& names) {
    for (const mjtObj type : {mjOBJ_GEOM, mjOBJ_JOINT}) names.Numbered(type, "button", count);
  }
};

// Colours a cap.
void SetCap(World& world, int button, Lamp lamp, int color = 0);

// A button of `count` that has gone down since the last call, -1 if there is none; the lowest
// first, so that calling until -1 finds all. `down` is a number of userdata: which are down now, as
// bits. A button must come up again before it counts anew.
int NewlyPressed(const World& world, int count, mjtNum* down);

// The lowest button of `count` that is down, -1 if there is none.
int PressedNow(const World& world, int count);

// Up and back from a button, after a press of it: where to, and one control step of it.
Vec3 RisenFrom(const Vec3& top);
Action RiseFromButton(const World& world, const Vec3& top);
// The hand is high enough to move to another place.
bool ClearOfButtons(const World& world);

}  // namespace kvla

#endif  // KVLA_TASKS_BUTTONS_H_
