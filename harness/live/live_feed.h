// SPDX-License-Identifier: Apache-2.0
// Episodes that run now, for a viewer: each side on a thread of its own.
#ifndef KVLA_HARNESS_LIVE_LIVE_FEED_H_
#define KVLA_HARNESS_LIVE_LIVE_FEED_H_

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "harness/eval/run_config.h"
#include "harness/live/live_runner.h"
#include "harness/live/live_store.h"
#include "results/live/episode_feed.h"

namespace kvla {

// For the viewer's thread.
class LiveFeed : public EpisodeFeed {
 public:
  // `store` keeps the episodes; may be null, else outlives the feed.
  LiveFeed(RunPlan plan, double speed, LiveStore* store);

  bool live() const override { return true; }
  std::string title() const override { return "live " + plan_.config.name; }
  const std::vector<std::string>& arms() const override { return arms_; }
  const std::vector<EpisodeEntry>& episodes() const override { return episodes_; }
  const Pick& pick() const override { return pick_; }
  TraceSource* source(size_t side) override { return sides_[side]->source(); }
  void Send(size_t side, const ViewerCommand& command) override;
  Status Choose(const Pick& pick) override;
  std::vector<LiveSetting> settings(size_t side) const override;
  Status Set(size_t side, const std::string& name, const std::string& value) override;
  BoundedTraceRing::Counts counts() const override;
  double waited_share() const override;
  bool alive() const override;

  Status status() const;
  // Ends the episodes at their next control step and waits for them.
  void Quit();
  // Nobody watches any more: the episodes go on to their ends.
  void Finish();
  bool any_alive() const;

 private:
  CacheConfig Configured(size_t side) const;
  void ForMethod(const std::string& method, const CacheConfig& configured,
                 CacheConfig* cache) const;

  RunPlan plan_;
  double speed_;
  LiveStore* store_;
  std::vector<std::string> arms_;
  std::vector<EpisodeEntry> episodes_;
  Pick pick_;
  std::vector<std::unique_ptr<LiveRunner>> sides_;
};

}  // namespace kvla

#endif  // KVLA_HARNESS_LIVE_LIVE_FEED_H_
