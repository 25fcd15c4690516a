// A cup rises and shows a ball, the cups swap places, and much later the cup that hides the ball
// must be lifted.
#ifndef KVLA_TASKS_SHELL_GAME_SHELL_GAME_H_
#define KVLA_TASKS_SHELL_GAME_SHELL_GAME_H_

#include <filesystem>
#include <memory>

#include "tasks/chore.h"
#include "tasks/task.h"

namespace kvla {

class ShellGame : public Task {
 public:
  explicit ShellGame(const std::filesystem::path& asset_root);

  const TaskInfo& info() const override { return info_; }
  std::filesystem::path scene() const override { return scene_; }
  Result<Scenario> Draw(const EpisodeKey& key) const override;
  Result<Scenario> Place(World& world, const EpisodeKey& key) const override;
  void Update(World& world, const Scenario& scenario) const override;
  Progress Evaluate(const World& world, const Scenario& scenario) const override;
  std::unique_ptr<Expert> MakeExpert(const Scenario& scenario, bool blind, Rng rng) const override;

  static constexpr int kCups = 3;  // and as many slots; cup i starts over slot i
  static constexpr int kMaxSwaps = 3;
  static constexpr int kSwapSteps = 32;
  static constexpr double kSlotX = 0.585;
  static constexpr double kGripHeight = 0.089;  // of the pinch point on a knob
  static double SlotY(int slot) { return -0.14 + 0.14 * slot; }

  // Layout of Scenario::params: control steps, swaps, then the distractor flashes.
  enum Param : size_t {
    kReveal,  // the cup with the ball is up in [kReveal, kRevealEnd)
    kRevealEnd,
    kGo,          // the lamp is white from here on
    kChores,      // transfers that must be done by then
    kFirstPlace,  // where the block starts: 0 tray, 1 pad
    kBall,        // cup that hides the ball
    kNumSwaps,
    kSwaps,  // kMaxSwaps times: first step, slot on the left, side on which its cup passes
    kFlashes = kSwaps + 3 * kMaxSwaps,
  };

  // Layout of mjData.userdata after the chore's: what the script remembers.
  enum Memory : size_t {
    kLifted = kChoreMemorySize,  // 1 + cup that the arm lifted first, 0 none
    kLiftStep,                   // control step of that
    kTransfersAtGo,              // chores done when the lamp turned white, -1 before
    kMemorySize,
  };

  // Slot of a cup at a control step; during a swap the one that it leaves.
  static int SlotAt(const Scenario& scenario, int cup, int step);
  // The cup over a slot at a control step.
  static int CupAt(const Scenario& scenario, int slot, int step);

 private:
  TaskInfo info_;
  std::filesystem::path scene_;
};

}  // namespace kvla

#endif  // KVLA_TASKS_SHELL_GAME_SHELL_GAME_H_
