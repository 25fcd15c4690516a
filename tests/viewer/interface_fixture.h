// SPDX-License-Identifier: Apache-2.0
// A person's hand on the real interface, over a made-up run or a made-up live episode.
#ifndef KVLA_TESTS_VIEWER_INTERFACE_FIXTURE_H_
#define KVLA_TESTS_VIEWER_INTERFACE_FIXTURE_H_

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "results/trace/replay.h"
#include "sim/world.h"
#include "tests/scratch_dir.h"
#include "tests/viewer/robot.h"
#include "tests/viewer/single_feed.h"
#include "tests/viewer/synthetic_trace.h"
#include "tests/viewer/virtual_display.h"
#include "viewer/replay_feed.h"
#include "viewer/viewer.h"

namespace kvla {

// A live source whose settings can be changed; keeps what it was told.
class FakeLiveFeed : public SingleFeed {
 public:
  using SingleFeed::SingleFeed;
  std::vector<LiveSetting> settings(size_t) const override {
    LiveSetting threshold{{.path = "threshold",
                           .type = "number",
                           .default_value = "0.5",
                           .names = {},
                           .range = Range{0, 1},
                           .help = ""},
                          chosen_threshold,
                          "0.5",
                          true,
                          true};
    LiveSetting policy{{.path = "policy",
                        .type = "text",
                        .default_value = "full",
                        .names = {"full", "gated"},
                        .range = {},
                        .help = ""},
                       chosen_policy,
                       "gated",
                       false,
                       true};
    LiveSetting window{{.path = "window_blocks",
                        .type = "int",
                        .default_value = "16",
                        .names = {},
                        .range = Range{0, 64},
                        .help = ""},
                       chosen_window,
                       "16",
                       false,
                       true};
    return {policy, window, threshold};
  }
  Status Set(size_t, const std::string& name, const std::string& value) override {
    (name == "threshold" ? chosen_threshold
     : name == "policy"  ? chosen_policy
                         : chosen_window) = value;
    ++calls;
    return {};
  }
  std::string chosen_threshold = "0.5", chosen_policy = "gated", chosen_window = "16";
  int calls = 0;
};

class InterfaceTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { display_ = new VirtualDisplay; }
  static void TearDownTestSuite() {
    delete display_;
    display_ = nullptr;
  }

  void SetUp() override { ASSERT_EQ(display_->error(), ""); }
  void TearDown() override {
    robot_.reset();
    viewer_.reset();
  }

  static std::vector<double> State() {
    auto world = World::Load(std::filesystem::path(KVLA_ASSET_ROOT) / SyntheticBegin().scene);
    if (!world.ok() || !(*world)->Reset().ok()) throw std::runtime_error("no scene");
    return (*world)->SaveState();
  }

  void Open(EpisodeFeed* feed,
            const WindowOptions& options = {.width = 1280, .height = 720, .vsync = false}) {
    ViewerHooks hooks;
    hooks.asset_root = KVLA_ASSET_ROOT;
    hooks.export_folder = scratch_.path();
    hooks.cameras = {"front", "wrist"};
    hooks.image_size = 64;
    auto viewer = Viewer::Create(feed, hooks, options);
    if (!viewer.ok()) throw std::runtime_error(viewer.status().message());
    viewer_ = std::move(*viewer);
    for (int i = 0; i < 6; ++i) viewer_->Frame();
    robot_ = std::make_unique<Robot>(viewer_.get());
  }

  // A run of two arms and two seeds.
  void OpenRun(const ReplayWish& wish = {}) {
    const std::vector<double> state = State();
    auto store = RunStore::Create(scratch_ / "run", {{"config", ""}});
    ASSERT_TRUE(store.ok()) << store.status().message();
    for (const char* arm : {"gated", "window"}) {
      for (const int64_t seed : {3, 4}) {
        ASSERT_TRUE(store->WriteEpisode(SyntheticRecord(arm, seed, state), TraceLevel::kFull).ok());
      }
    }
    auto feed = ReplayFeed::Open(scratch_ / "run", wish);
    ASSERT_TRUE(feed.ok()) << feed.status().message();
    replay_ = std::move(*feed);
    Open(replay_.get());
  }

  void OpenLive() {
    for (const TraceEvent& event : EventsOf(SyntheticRecord("gated", 3, State()))) {
      if (!std::holds_alternative<EpisodeEnd>(event)) source_.Push(event);
    }
    live_ = std::make_unique<FakeLiveFeed>(&source_, &commands_);
    Open(live_.get());
  }

  double Playhead() { return viewer_->state().playhead_s; }
  static ImVec2 Middle(ImVec4 rect) { return {(rect.x + rect.z) / 2, (rect.y + rect.w) / 2}; }

  inline static VirtualDisplay* display_ = nullptr;
  ScratchDir scratch_;
  QueueSource source_;
  CommandQueue commands_;
  std::unique_ptr<ReplayFeed> replay_;
  std::unique_ptr<FakeLiveFeed> live_;
  std::unique_ptr<Viewer> viewer_;
  std::unique_ptr<Robot> robot_;
};

}  // namespace kvla

#endif  // KVLA_TESTS_VIEWER_INTERFACE_FIXTURE_H_
