// SPDX-License-Identifier: Apache-2.0
// The chore of the memory tasks: a block is carried from the tray to the pad and back, again and
// again, so that the arm is busy between a cue and its use.
#ifndef KVLA_TASKS_CHORE_H_
#define KVLA_TASKS_CHORE_H_

#include <string_view>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "base/status.h"
#include "tasks/tabletop.h"
#include "tasks/task.h"

namespace kvla {

// Slots of mjData.userdata that the chore takes, from the slot on that a task says.
enum ChoreMemory : size_t {
  kChorePlace,      // where the block rested last: 0 tray, 1 pad
  kChoreTransfers,  // chores done
  kChoreMemorySize,
};

// A control step for a time in seconds.
int StepOf(double seconds);

// A cue of the scenario is to be seen at that control step.
bool CueShown(const Scenario& scenario, int step);

// One draw from the range that belongs to the delay: "short", "medium", else long. Seconds.
double DrawSeconds(Rng& rng, std::string_view delay, std::pair<double, double> brief,
                   std::pair<double, double> medium, std::pair<double, double> lasting);

// Transfers that an arm must manage in `seconds` of work; at least one.
int ChoresOwed(double seconds);

// Looks up what a task's scene must have; BadInput names what it lacks.
using BindFn = Status (*)(const World&);
template <class T>
Status BindIds(const World& world) {
  return world.Bind<T>();
}
// BadInput names what the scene lacks: what every table top has, what `binds` look up, or room for
// `memory` numbers of userdata.
Status CheckScene(const World& world, const std::vector<BindFn>& binds, size_t memory);

inline constexpr double kPlaceScatter = 0.012;  // of the block's start, metres either way

// Puts the block on the tray (0) or the pad (1), give or take, and starts the count. `memory`:
// where ChoreMemory begins. `held_out`: see DrawScatter().
void PlaceChore(World& world, Rng& rng, int first_place, size_t memory = 0, bool held_out = false);
// Counts a transfer once the block rests at the other place and the fingers have let go.
void UpdateChore(World& world, size_t memory = 0);

// Flashes of the distractor lights over the episode, none while a cue is to be seen.
std::vector<Flash> DrawFlashesBetween(Rng& rng, int horizon, const std::vector<CueInterval>& cues);

// The demonstrator's share of the chore.
class ChoreSkill {
 public:
  explicit ChoreSkill(Rng rng, size_t memory = 0) : rng_(rng), memory_(memory) {}

  Action Act(const World& world);
  // True while the block is in the gripper or being let go: no time to leave.
  bool busy() const { return carry_.busy(); }
  // To be called when the arm comes back from something else.
  void Restart() { carry_ = CarrySkill(); }
  const Vec3& waypoint() const { return carry_.waypoint(); }

 private:
  Rng rng_;
  size_t memory_;  // where ChoreMemory begins
  CarrySkill carry_;
  int transfer_ = -1;                    // that destination_ was drawn for
  std::array<double, 2> destination_{};  // of the block
};

}  // namespace kvla

#endif  // KVLA_TASKS_CHORE_H_
