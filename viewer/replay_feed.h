// SPDX-License-Identifier: Apache-2.0
// A run's file as a feed: one episode a side in memory at a time.
#ifndef KVLA_VIEWER_REPLAY_FEED_H_
#define KVLA_VIEWER_REPLAY_FEED_H_

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "results/live/episode_feed.h"
#include "results/store/run_store.h"
#include "results/trace/replay.h"

namespace kvla {

// What to open first; what is left out is chosen.
struct ReplayWish {
  std::vector<std::string> arms;  // none: one arm
  std::string task, delay;
  std::optional<int64_t> seed;
  bool follow = false;  // whatever ended last, also later on
};

// Adds what a run's file leaves out, such as states that follow from the actions.
using CompleteRecord = std::function<Status(EpisodeRecord*)>;

class ReplayFeed : public EpisodeFeed {
 public:
  // Opens an episode that fits the wish: of those the first that a cache method made fail, because
  // it has most to tell. BadInput says what the run holds when nothing fits.
  static Result<std::unique_ptr<ReplayFeed>> Open(const std::filesystem::path& run,
                                                  const ReplayWish& wish,
                                                  CompleteRecord complete = {});

  bool live() const override { return false; }
  std::string title() const override;
  const std::vector<std::string>& arms() const override { return arms_; }
  const std::vector<EpisodeEntry>& episodes() const override { return episodes_; }
  const Pick& pick() const override { return pick_; }
  Status Choose(const Pick& pick) override;
  TraceSource* source(size_t side) override { return sources_[side].get(); }
  std::string missing(size_t side) const override { return missing_[side]; }
  // With `follow`: shows the newest episode when there is a new one.
  bool Refresh() override;

  const RunMeta& meta() const { return meta_; }

 private:
  ReplayFeed(RunStore store, std::filesystem::path run, bool follow, CompleteRecord complete)
      : store_(std::move(store)),
        run_(std::move(run)),
        follow_(follow),
        complete_(std::move(complete)) {}
  Status List();
  Result<Pick> FirstPick(const ReplayWish& wish) const;
  bool Has(const EpisodeId& id) const;

  RunStore store_;
  std::filesystem::path run_;
  bool follow_;
  CompleteRecord complete_;  // may be empty
  RunMeta meta_;
  std::vector<std::string> arms_;
  std::vector<EpisodeEntry> episodes_;
  Pick pick_;
  std::vector<std::unique_ptr<ReplaySource>> sources_;
  std::vector<std::string> missing_;
};

}  // namespace kvla

#endif  // KVLA_VIEWER_REPLAY_FEED_H_
