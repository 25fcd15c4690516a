// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/training/demo_source.h"

#include <gtest/gtest.h>

#include <functional>

#include "tests/policy/tiny_policy.h"

namespace kvla {
namespace {

using Change = std::function<void(DemoEpisode&, PolicyConfig&)>;

TEST(CheckDemo, WhatAPolicyReadsMustBeThere) {
  const auto check = [](const Change& change) {
    PolicyConfig config = TinyConfig();
    DemoEpisode episode = TinyEpisode(config, 12, 3, 1);
    episode.where = "some/file.hdf5/data/demo_3";
    change(episode, config);
    return CheckDemo(episode, config);
  };
  EXPECT_TRUE(check([](DemoEpisode&, PolicyConfig&) {}).ok());
  const std::pair<Change, const char*> bad[] = {
      {[](DemoEpisode&, PolicyConfig& c) { c.image_size = 64; }, "64x64"},
      {[](DemoEpisode&, PolicyConfig& c) { c.replan_steps = 8; }, "replan_steps is 8"},
      {[](DemoEpisode&, PolicyConfig& c) { c.cameras = {"front"}; }, "the policy has 1"},
      {[](DemoEpisode& e, PolicyConfig&) { e.images[1].clear(); }, "images of 0 bytes"},
      {[](DemoEpisode& e, PolicyConfig&) { e.images[0].pop_back(); }, "bytes"},
      {[](DemoEpisode& e, PolicyConfig&) { e.images[0].push_back(0); }, "bytes"},
      {[](DemoEpisode& e, PolicyConfig&) { e.steps = 0; }, "control steps"},
      {[](DemoEpisode& e, PolicyConfig&) { e.blocks = 13; }, "13 images"},
      {[](DemoEpisode& e, PolicyConfig&) { e.proprio.pop_back(); }, "lists"},
      {[](DemoEpisode& e, PolicyConfig&) { e.targets.pop_back(); }, "lists"},
      {[](DemoEpisode& e, PolicyConfig&) { e.waypoints.pop_back(); }, "lists"},
      {[](DemoEpisode& e, PolicyConfig&) { e.target_class.pop_back(); }, "lists"},
      {[](DemoEpisode& e, PolicyConfig&) { e.decision.pop_back(); }, "lists"},
      {[](DemoEpisode& e, PolicyConfig&) {
         e.cue_blocks = {{-1, 2}};
       },
       "cue"},
      {[](DemoEpisode& e, PolicyConfig&) {
         e.cue_blocks = {{3, 13}};
       },
       "cue"},
      {[](DemoEpisode& e, PolicyConfig&) {
         e.cue_blocks = {{3, 2}};
       },
       "cue"},
      {[](DemoEpisode& e, PolicyConfig&) {
         e.decoy_blocks = {{3, 13}};
       },
       "decoy"},
  };
  for (const auto& [change, what] : bad) {
    const Status status = check(change);
    EXPECT_EQ(status.code(), StatusCode::kBadInput) << what;
    EXPECT_NE(status.message().find(what), std::string::npos) << status.message();
    EXPECT_EQ(status.message().find("some/file.hdf5/data/demo_3: "), 0u) << status.message();
  }
}

}  // namespace
}  // namespace kvla
