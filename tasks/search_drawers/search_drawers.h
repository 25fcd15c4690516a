// SPDX-License-Identifier: Apache-2.0
// Drawers close again after they were looked into. At random times the arm is sent to a drawer,
// twice to one that is named and empty, then to search: one drawer at a time and none twice, until
// the ball is found.
#ifndef KVLA_TASKS_SEARCH_DRAWERS_SEARCH_DRAWERS_H_
#define KVLA_TASKS_SEARCH_DRAWERS_SEARCH_DRAWERS_H_

#include <filesystem>
#include <memory>

#include "tasks/chore_task.h"

namespace kvla {

struct DrawerIds {
  explicit DrawerIds(NameLookup& names);
  std::vector<int> positions;               // of the drawers in mjData.qpos, metres out
  std::vector<int> lamps, hidden, handles;  // geoms of each drawer
};

class SearchDrawers : public ChoreTask {
 public:
  SearchDrawers(const std::filesystem::path& asset_root, const TaskOptions& options);

  std::unique_ptr<Expert> MakeExpert(const Scenario& scenario, bool blind, Rng rng) const override;

  static constexpr int kDrawers = 4;
  static constexpr int kNamed = 2;           // rounds in which a lamp names the drawer
  static constexpr int kRounds = kDrawers;   // at most
  static constexpr double kHandleX = 0.556;  // of a closed drawer
  static constexpr double kGripHeight = 0.060;
  static double SlotY(int drawer) { return -0.165 + 0.11 * drawer; }

  // Layout of Scenario::params: control steps, drawers, then the distractor flashes.
  enum Param : size_t {
    kRound,  // kRounds numbers: the lamp turns white at these steps, until a drawer was opened
    kNames = kRound + kRounds,  // kNamed numbers: the drawers that are named
    kBall = kNames + kNamed,    // drawer that hides the ball
    kChores,                    // transfers that must be done when the search begins
    kFirstPlace,                // likewise
    kFlashes,
  };

  // Layout of mjData.userdata after the chore's: what the script remembers.
  enum Memory : size_t {
    kLooks = kChoreMemorySize,  // rounds done
    kLooked,                    // kDrawers numbers: 1 for a drawer that has been opened
    kOut = kLooked + kDrawers,  // kDrawers numbers: 1 while a drawer is out
    kFault = kOut + kDrawers,   // 1 + Fault of the opening that ended the episode, 0 none
    kFound,                     // 1: the ball was seen
    kTransfersAtSearch,         // chores done when the search began, -1 before
    kMemorySize,
  };
  enum Fault { kOutOfTurn, kNotNamed, kTwice };

  // The lamp is white: a drawer is to be opened. Round of it, -1 for no.
  static int OpenRound(const World& world, const Scenario& scenario);

 private:
  void DrawRounds(Rng& rng, Scenario* scenario) const;
  void DrawEpisode(Rng& rng, Scenario* scenario) const override;
  std::vector<CueInterval> Undisturbed(const Scenario& scenario) const override;
  void Play(World& world, const Scenario& scenario, bool go) const override;
  Verdict Judge(const World& world, const Scenario& scenario) const override;
  std::vector<bool> WorkStages(const World& world, bool worked) const override;
};

}  // namespace kvla

#endif  // KVLA_TASKS_SEARCH_DRAWERS_SEARCH_DRAWERS_H_
