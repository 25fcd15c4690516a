// SPDX-License-Identifier: Apache-2.0
// Bins flash in the colours of the blocks, one after the other: each block is shown its own bin.
// Later two of the blocks are asked for in turn and must be put into their bins.
#ifndef KVLA_TASKS_SORT_BY_CUE_SORT_BY_CUE_H_
#define KVLA_TASKS_SORT_BY_CUE_SORT_BY_CUE_H_

#include <array>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include "tasks/chore_task.h"

namespace kvla {

struct SortIds {
  explicit SortIds(NameLookup& names);
  std::vector<int> bins, items;  // geoms; an item is the block of a colour
  std::vector<BlockIds> blocks;  // of the items
};

class SortByCue : public ChoreTask {
 public:
  SortByCue(const std::filesystem::path& asset_root, const TaskOptions& options);

  std::unique_ptr<Expert> MakeExpert(const Scenario& scenario, bool blind, Rng rng) const override;

  static constexpr int kBins = 5;  // as many colours, blocks and places where blocks wait
  static constexpr int kAsks = 2;
  static constexpr double kBinX = 0.625;
  static constexpr double kWaitingX = 0.515;
  static double SlotY(int slot) { return -0.22 + 0.11 * slot; }
  // Target classes: first the bins, between which a held block decides, then the blocks.
  static int BlockClass(int color) { return kBins + color; }
  static const BlockIds& BlockOf(const World& world, int color);

  // Layout of Scenario::params: control steps, what belongs together, then the distractor flashes.
  enum Param : size_t {
    kGo,                            // blocks are asked for from here on
    kChores,                        // likewise
    kFirstPlace,                    // where the chore's block starts: 0 tray, 1 pad
    kNumItems,                      // blocks in play; each is shown its bin once
    kCueBegin,                      // kBins numbers: when the n-th pair is shown
    kCueColor = kCueBegin + kBins,  // kBins numbers: its block
    kBinOf = kCueColor + kBins,  // kBins numbers: bin of the block of each colour, -1 not in play
    kWaitsAt = kBinOf + kBins,   // kBins numbers: where the block of each colour waits
    kAsked = kWaitsAt + kBins,   // kAsks numbers: colours asked for
    kFlashes = kAsked + kAsks,
  };

  // Layout of mjData.userdata after the chore's: what the script remembers.
  enum Memory : size_t {
    kPut = kChoreMemorySize,  // blocks put into their bins as asked
    kRaised,                  // 1: the block asked for has been off the table
    kWrong,                   // 1: the block asked for was put into another bin
    kTransfersAtGo,           // chores done when the first block was asked for, -1 before
    kMemorySize,
  };

  static constexpr ChoreLayout kLayout = {.go = kGo,
                                          .chores = kChores,
                                          .first_place = kFirstPlace,
                                          .flashes = kFlashes,
                                          .go_seconds = {26, 38, 60, 178},
                                          .transfers_at_go = kTransfersAtGo,
                                          .memory = kMemorySize};

 private:
  // Where the blocks wait, by the order in which their bins are shown; `colors`: those in play.
  std::array<int, kBins> DrawPlaces(Rng& rng, std::span<const int> colors) const;
  void DrawEpisode(Rng& rng, Scenario* scenario) const override;
  void PlaceObjects(World& world, Rng& rng, const Scenario& scenario) const override;
  void Play(World& world, const Scenario& scenario, bool go) const override;
  Verdict Judge(const World& world, const Scenario& scenario) const override;
};

}  // namespace kvla

#endif  // KVLA_TASKS_SORT_BY_CUE_SORT_BY_CUE_H_
