// What the viewer shows comes through a feed: a run's file, or episodes that run now. One lane is
// one episode on display; two lanes stand side by side on one playhead.
#ifndef KVLA_VIEWER_FEED_H_
#define KVLA_VIEWER_FEED_H_

#include <cstddef>
#include <string>
#include <vector>

#include "base/fields.h"
#include "base/status.h"
#include "results/command_queue.h"
#include "results/trace.h"
#include "results/trace_ring.h"

namespace kvla {

// What a person picks to see: the same episode under one arm or two.
struct Pick {
  std::vector<std::string> arms;  // 1 or 2: one a lane
  std::string task, delay;
  int64_t seed = 0;
  bool operator==(const Pick&) const = default;
};

struct EpisodeEntry {
  EpisodeId id;
  std::string outcome;  // empty: not known
  bool forgot = false;  // it failed at the stage that needs the memory
};

// A setting of a lane's cache that can be changed while an episode runs.
struct LiveSetting {
  FieldInfo info;
  std::string value;       // in force, or wanted from the next episode on
  std::string configured;  // by the config file
  bool at_once = false;    // else it takes effect at the next episode
  bool used = true;        // the method in force reads it
};

// For the viewer's thread.
class Feed {
 public:
  virtual ~Feed() = default;

  virtual bool live() const = 0;
  virtual std::string title() const = 0;
  virtual const std::vector<std::string>& arms() const = 0;
  // What the pickers offer.
  virtual const std::vector<EpisodeEntry>& episodes() const = 0;
  virtual const Pick& pick() const = 0;
  // Shows something else: the sources then tell a new episode each. On failure nothing changes.
  virtual Status Choose(const Pick& pick) = 0;
  // REQUIRES: lane < pick().arms.size(). Valid until the next Choose().
  virtual TraceSource* source(size_t lane) = 0;
  // What is missing of a lane's episode and why, for people; empty: nothing.
  virtual std::string missing(size_t /*lane*/) const { return ""; }

  // Called about once a second: looks for new episodes. True if episodes() changed.
  virtual bool Refresh() { return false; }

  // The rest is for live feeds; for others it does nothing.
  virtual void Send(size_t /*lane*/, const ViewerCommand& /*command*/) {}
  virtual std::vector<LiveSetting> settings(size_t /*lane*/) const { return {}; }
  virtual Status Set(size_t /*lane*/, const std::string& /*name*/, const std::string& /*value*/) {
    return {};
  }
  // Display frames that were dropped because the window was slow, over all lanes.
  virtual BoundedTraceRing::Counts counts() const { return {}; }
  // Share of their time that the runners spent on the viewer's account, a person's pauses and the
  // pace left out; negative: not known.
  virtual double waited_share() const { return -1; }
  // False once nothing more will come.
  virtual bool alive() const { return true; }
};

// A feed over one source and one queue: no choice. Either may be null.
class SingleFeed : public Feed {
 public:
  SingleFeed(TraceSource* source, CommandQueue* commands) : source_(source), commands_(commands) {}
  bool live() const override { return commands_ != nullptr; }
  std::string title() const override { return ""; }
  const std::vector<std::string>& arms() const override { return pick_.arms; }
  const std::vector<EpisodeEntry>& episodes() const override { return none_; }
  const Pick& pick() const override { return pick_; }
  Status Choose(const Pick&) override { return {}; }
  TraceSource* source(size_t) override { return source_; }
  void Send(size_t, const ViewerCommand& command) override {
    if (commands_ != nullptr) commands_->Push(command);
  }

 private:
  TraceSource* source_;
  CommandQueue* commands_;
  Pick pick_{.arms = {""}, .task = "", .delay = ""};
  std::vector<EpisodeEntry> none_;
};

}  // namespace kvla

#endif  // KVLA_VIEWER_FEED_H_
