// SPDX-License-Identifier: Apache-2.0
// What the viewer shows comes through a feed: a run's file, or episodes that run now. One side is
// one episode on display; two sides stand next to each other on one playhead.
#ifndef KVLA_RESULTS_LIVE_EPISODE_FEED_H_
#define KVLA_RESULTS_LIVE_EPISODE_FEED_H_

#include <cstddef>
#include <string>
#include <vector>

#include "base/config_fields.h"
#include "base/status.h"
#include "results/live/command_queue.h"
#include "results/live/trace_ring.h"
#include "results/trace/trace.h"

namespace kvla {

// What a person picks to see: the same episode under one arm or two.
struct Pick {
  std::vector<std::string> arms;  // 1 or 2: one a side
  std::string task, delay;
  int64_t seed = 0;
  bool operator==(const Pick&) const = default;
};

struct EpisodeEntry {
  EpisodeId id;
  std::string outcome;  // empty: not known
  bool forgot = false;  // it failed at the stage that needs the memory
};

// A setting of a side's cache that can be changed while an episode runs.
struct LiveSetting {
  FieldInfo info;
  std::string value;       // in force, or wanted from the next episode on
  std::string configured;  // by the config file
  bool at_once = false;    // else it takes effect at the next episode
  bool used = true;        // the method in force reads it
};

// For the viewer's thread.
class EpisodeFeed {
 public:
  virtual ~EpisodeFeed() = default;

  virtual bool live() const = 0;
  virtual std::string title() const = 0;
  virtual const std::vector<std::string>& arms() const = 0;
  // What the pickers offer.
  virtual const std::vector<EpisodeEntry>& episodes() const = 0;
  virtual const Pick& pick() const = 0;
  // Shows something else: the sources then tell a new episode each. On failure nothing changes.
  virtual Status Choose(const Pick& pick) = 0;
  // REQUIRES: side < pick().arms.size(). Valid until the next Choose().
  virtual TraceSource* source(size_t side) = 0;
  // What is missing of a side's episode and why, for people; empty: nothing.
  virtual std::string missing(size_t /*side*/) const { return ""; }

  // Called about once a second: looks for new episodes. True if episodes() changed.
  virtual bool Refresh() { return false; }

  // The rest is for live feeds; for others it does nothing.
  virtual void Send(size_t /*side*/, const ViewerCommand& /*command*/) {}
  virtual std::vector<LiveSetting> settings(size_t /*side*/) const { return {}; }
  virtual Status Set(size_t /*side*/, const std::string& /*name*/, const std::string& /*value*/) {
    return {};
  }
  // Display frames that were dropped because the window was slow, over all sides.
  virtual BoundedTraceRing::Counts counts() const { return {}; }
  // Share of their time that the runners spent on the viewer's account, a person's pauses and the
  // pace left out; negative: not known.
  virtual double waited_share() const { return -1; }
  // False once nothing more will come.
  virtual bool alive() const { return true; }
};

}  // namespace kvla

#endif  // KVLA_RESULTS_LIVE_EPISODE_FEED_H_
