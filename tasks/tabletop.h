// SPDX-License-Identifier: Apache-2.0
// What the table-top tasks share: names in the scene, lights, and the expert's carrying skill.
#ifndef KVLA_TASKS_TABLETOP_H_
#define KVLA_TASKS_TABLETOP_H_

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "base/rng.h"
#include "sim/world.h"
#include "tasks/task.h"

namespace kvla {

inline constexpr int kNumColors = 4;  // red, green, blue, yellow
inline constexpr std::array<const char*, kNumColors> kColorNames = {"red", "green", "blue",
                                                                    "yellow"};
inline constexpr int kNumLights = 3;    // distractors
inline constexpr int kFlashSteps = 10;  // control steps that a light or the cue is lit
inline constexpr double kBlockHalf = 0.0225;
inline constexpr std::array<double, 2> kTray = {0.42, -0.13};
inline constexpr std::array<double, 2> kPad = {0.42, 0.13};

using Vec3 = std::array<double, 3>;
double Distance(const Vec3& a, const Vec3& b);
double HorizontalDistance(const Vec3& a, const Vec3& b);

// A block that lies loose: body and joint have its name.
struct BlockIds {
  int body = 0, joint = 0;
};
BlockIds FindBlock(NameLookup& names, const std::string& name);

// What every table top has.
struct TabletopIds {
  explicit TabletopIds(NameLookup& names);

  int cue_lamp;             // geom
  int cue_sign;             // geom
  std::vector<int> lights;  // kNumLights geoms
  BlockIds block;
};

// `block`: that of every table top if none is given.
Vec3 BlockPosition(const World& world, const std::optional<BlockIds>& block = {});
// Puts the block at rest on the table, turned by `yaw` radians.
void PlaceBlock(World& world, double x, double y, double yaw,
                const std::optional<BlockIds>& block = {});

// Distractor light `light` is lit in `color` during [begin, begin + kFlashSteps).
struct Flash {
  int light = 0;
  int begin = 0;
  int color = 0;
};
// Random flashes up to `horizon`; none overlaps the control steps [keep_begin, keep_end).
std::vector<Flash> DrawFlashes(Rng& rng, int horizon, int keep_begin, int keep_end);
void AppendFlashes(const std::vector<Flash>& flashes, std::vector<double>* params);
// Colours the distractor lights for control step `step` from params[first..].
void ShowFlashes(World& world, const std::vector<double>& params, size_t first, int step);

// Colours of geoms: of a class, of an unlit lamp, of the white lamp; kHidden: not to be seen.
enum class Lamp { kOff, kWhite, kColor, kHidden };
void SetColor(World& world, int geom, Lamp lamp, int color = 0);
void SetCueLamp(World& world, Lamp lamp, int color = 0);

// The bar in front of the lamp, where there are decoys: magenta while what is shown is a cue, cyan
// while it is to be ignored, unseen else. Both change as many pixels as much.
enum class Sign { kNone, kHeed, kIgnore };
void SetCueSign(World& world, Sign sign);

// An object's offset from its place, metres: up to `scatter` either way. Held out: outside of that
// square, up to 1.6 times as far.
std::array<double, 2> DrawScatter(Rng& rng, double scatter, bool held_out);

// Fields that every scenario starts with.
Result<Scenario> StartScenario(const TaskInfo& info, const EpisodeKey& key);

// Moves towards `target` at a speed that falls smoothly with the distance, gripper down.
Action MoveTowards(const Pose& ee, const Vec3& target, float grip, double max_step = 0.0165);

// Picks the block and puts it at a destination, taking the situation up where it stands.
// The way to the block comes in from the robot's side, the way back goes straight up, so that
// what the cameras see tells the two apart.
class CarrySkill {
 public:
  static constexpr Vec3 kHome = {0.38, 0.0, 0.13};

  enum class Phase {
    kHome,
    kApproach,
    kDescend,
    kGrasp,
    kLift,
    kCarry,
    kLower,
    kRelease,
    kRetreat
  };

  explicit CarrySkill(const std::optional<BlockIds>& block = {}) : block_(block) {}

  // Where the way to a block begins to descend, [m, world].
  static Vec3 Approach(const Vec3& block);
  // One control step of carrying the block to `destination` (x, y).
  Action Act(const World& world, const std::array<double, 2>& destination);
  // True while the block is in the gripper or being let go.
  bool busy() const { return phase_ >= Phase::kGrasp; }
  // True from the lift until the block is let go of.
  bool holding() const { return phase_ >= Phase::kLift && phase_ <= Phase::kRelease; }
  Phase phase() const { return phase_; }
  const Vec3& waypoint() const { return waypoint_; }

 private:
  Phase Advance(const World& world, const std::array<double, 2>& destination) const;

  std::optional<BlockIds> block_;
  Phase phase_ = Phase::kHome;
  Vec3 waypoint_ = kHome;
};

}  // namespace kvla

#endif  // KVLA_TASKS_TABLETOP_H_
