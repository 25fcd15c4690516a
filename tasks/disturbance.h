// SPDX-License-Identifier: Apache-2.0
// What goes wrong in a world that is not a laboratory: things are bumped into, sensors are noisy, a
// camera was moved, the light is another. A function of the episode's key and the level alone.
#ifndef KVLA_TASKS_DISTURBANCE_H_
#define KVLA_TASKS_DISTURBANCE_H_

#include <array>
#include <string>
#include <vector>

#include "base/status.h"
#include "sim/specs.h"
#include "sim/world.h"
#include "tasks/task.h"

namespace kvla {

enum class DisturbanceLevel { kNone, kMild, kStrong };
// "none", "mild", "strong".
Result<DisturbanceLevel> ParseDisturbance(const std::string& name);
const char* DisturbanceName(DisturbanceLevel level);

// One episode's disturbance of one world. With kNone it does nothing.
//
//   s = task.Place(world, key); Disturbance disturbance(level, s, &world);
//   loop { Sense(world.Proprio()); disturbance.Push(); world.Step(action); ... }
class Disturbance {
 public:
  // Shifts cameras and light of the world's model until it is destroyed. `world` must outlive it.
  Disturbance(DisturbanceLevel level, const Scenario& scenario, World* world);
  ~Disturbance();
  Disturbance(const Disturbance&) = delete;
  Disturbance& operator=(const Disturbance&) = delete;

  // Before each World::Step(): gives a loose object on the table a knock when one is due.
  void Push();
  // What the sensors say in place of `clean` at the world's time.
  Proprioception Sense(const Proprioception& clean) const;

 private:
  struct Knock {
    int step = 0;
    double which = 0;                  // share of the loose objects to count off, [0, 1)
    std::array<double, 2> velocity{};  // metres per second, added
  };
  // Model fields that are changed, as they were.
  struct Kept {
    std::vector<mjtNum> cam_pos, cam_quat, light_dir;
    std::vector<float> light_diffuse;
    std::array<float, 3> ambient{}, diffuse{};
  };
  void Shift();
  void Restore();
  std::vector<int> LooseObjects() const;  // joint ids

  DisturbanceLevel level_;
  Scenario scenario_;
  World* world_;
  std::vector<Knock> knocks_;
  size_t next_ = 0;  // of knocks_
  Kept kept_;
};

}  // namespace kvla

#endif  // KVLA_TASKS_DISTURBANCE_H_
