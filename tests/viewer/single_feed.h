// SPDX-License-Identifier: Apache-2.0
// A feed over one source and one queue: no choice.
#ifndef KVLA_TESTS_VIEWER_SINGLE_FEED_H_
#define KVLA_TESTS_VIEWER_SINGLE_FEED_H_

#include <string>
#include <vector>

#include "results/live/episode_feed.h"

namespace kvla {

// Either may be null.
class SingleFeed : public EpisodeFeed {
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

#endif  // KVLA_TESTS_VIEWER_SINGLE_FEED_H_
