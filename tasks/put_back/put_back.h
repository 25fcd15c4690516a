// SPDX-License-Identifier: Apache-2.0
// A block appears on one of four pads; it is taken to the tray, buttons are pressed for a while,
// and then the block must go back to its pad.
#ifndef KVLA_TASKS_PUT_BACK_PUT_BACK_H_
#define KVLA_TASKS_PUT_BACK_PUT_BACK_H_

#include <filesystem>
#include <memory>

#include "tasks/chore_task.h"
#include "tasks/tabletop.h"

namespace kvla {

class PutBack : public ChoreTask {
 public:
  PutBack(const std::filesystem::path& asset_root, const TaskOptions& options);

  std::unique_ptr<Expert> MakeExpert(const Scenario& scenario, bool blind, Rng rng) const override;

  static constexpr int kPads = 4;
  static constexpr int kButtons = 2;
  static std::array<double, 2> PadPlace(int pad);
  static Vec3 ButtonPlace(int button);

  // Layout of Scenario::params: control steps, then the distractor flashes.
  enum Param : size_t {
    kArrive,    // the block appears on the pad that is the target
    kGo,        // see ChoreLayout
    kPresses,   // that must be made by then
    kFirstLit,  // the button that is lit first
    kX,         // where on the pad the block appears, relative to it, metres
    kY,
    kYaw,
    kFlashes,
  };

  // Layout of mjData.userdata.
  enum Memory : size_t {
    kArrived,      // 1: the block is there
    kTaken,        // 1: it has been set down on the tray since
    kLit,          // the button to press now
    kPressed,      // presses of lit buttons
    kPressedAtGo,  // -1 before
    kPlaced,       // 1 + pad that the block was set down on after it was taken, 0 none
    kPlacedStep,   // control step of that
    kDown,         // see NewlyPressed()
    kMemorySize,
  };

 private:
  void DrawEpisode(Rng& rng, Scenario* scenario) const override;
  void ShowDecoy(World& world, const Scenario& scenario) const;
  void Play(World& world, const Scenario& scenario, bool go) const override;
  Verdict Judge(const World& world, const Scenario& scenario) const override;
  void PlaceWork(World& world, Rng& rng, const Scenario& scenario) const override;
  void UpdateWork(World& world, const Scenario& scenario) const override;
  std::vector<bool> WorkStages(const World& world, bool worked) const override;
};

}  // namespace kvla

#endif  // KVLA_TASKS_PUT_BACK_PUT_BACK_H_
