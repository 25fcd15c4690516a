// SPDX-License-Identifier: Apache-2.0
// A cup rises and shows a ball, the cups swap places, and much later the cup that hides the ball
// must be lifted.
#ifndef KVLA_TASKS_SHELL_GAME_SHELL_GAME_H_
#define KVLA_TASKS_SHELL_GAME_SHELL_GAME_H_

#include <filesystem>
#include <memory>

#include "tasks/chore_task.h"

namespace kvla {

struct CupIds {
  explicit CupIds(NameLookup& names);
  std::vector<int> cups;  // bodies
};

class ShellGame : public ChoreTask {
 public:
  ShellGame(const std::filesystem::path& asset_root, const TaskOptions& options);

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
    kGo,          // see ChoreLayout
    kChores,      // likewise
    kFirstPlace,  // likewise
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

  static constexpr ChoreLayout kLayout = {.go = kGo,
                                          .chores = kChores,
                                          .first_place = kFirstPlace,
                                          .flashes = kFlashes,
                                          .go_seconds = {22, 34, 60, 190},
                                          .transfers_at_go = kTransfersAtGo,
                                          .memory = kMemorySize};

 private:
  // Draws which cups the swap with that number swaps and how, into swap[1] and swap[2].
  void DrawSwap(Rng& rng, int number, double* swap) const;
  void DrawEpisode(Rng& rng, Scenario* scenario) const override;
  std::vector<CueInterval> Undisturbed(const Scenario& scenario) const override;
  void PlaceObjects(World& world, Rng& rng, const Scenario& scenario) const override;
  void Play(World& world, const Scenario& scenario, bool go) const override;
  Verdict Judge(const World& world, const Scenario& scenario) const override;
};

}  // namespace kvla

#endif  // KVLA_TASKS_SHELL_GAME_SHELL_GAME_H_
