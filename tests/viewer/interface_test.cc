// A person's hand on the real interface: every control must do what its label says.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <stdexcept>

#include "sim/world.h"
#include "tests/scratch_dir.h"
#include "tests/viewer/robot.h"
#include "tests/viewer/synthetic_trace.h"
#include "tests/viewer/virtual_display.h"
#include "viewer/replay_feed.h"
#include "viewer/viewer.h"

namespace kvla {
namespace {

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
                          threshold_,
                          "0.5",
                          true,
                          true};
    LiveSetting policy{{.path = "policy",
                        .type = "text",
                        .default_value = "full",
                        .names = {"full", "gated"},
                        .range = {},
                        .help = ""},
                       policy_,
                       "gated",
                       false,
                       true};
    LiveSetting window{{.path = "window_blocks",
                        .type = "int",
                        .default_value = "16",
                        .names = {},
                        .range = Range{0, 64},
                        .help = ""},
                       window_,
                       "16",
                       false,
                       true};
    return {policy, window, threshold};
  }
  Status Set(size_t, const std::string& name, const std::string& value) override {
    (name == "threshold" ? threshold_ : name == "policy" ? policy_ : window_) = value;
    ++sets_;
    return {};
  }
  std::string threshold_ = "0.5", policy_ = "gated", window_ = "16";
  int sets_ = 0;
};

class InterfaceTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { display_ = new VirtualDisplay; }
  static void TearDownTestSuite() {
    delete display_;
    display_ = nullptr;
  }

  void SetUp() override {
    ASSERT_EQ(display_->error(), "");
    GTEST_SKIP() << "not working yet: Robot's tests end without running their steps";
  }
  void TearDown() override {
    robot_.reset();
    viewer_.reset();
  }

  static std::vector<double> State() {
    auto world = World::Load(std::filesystem::path(KVLA_ASSET_ROOT) / SyntheticBegin().scene);
    if (!world.ok() || !(*world)->Reset().ok()) throw std::runtime_error("no scene");
    return (*world)->SaveState();
  }

  void Open(Feed* feed) {
    ViewerHooks hooks;
    hooks.asset_root = KVLA_ASSET_ROOT;
    hooks.export_folder = scratch_.path();
    hooks.threshold = [](const EpisodeBegin&) { return std::optional<double>(0.5); };
    hooks.reason = [](uint8_t code) { return code == 7 ? "above" : "below"; };
    hooks.cameras = {"front", "wrist"};
    hooks.image_size = 64;
    auto viewer = Viewer::Create(feed, hooks, {.width = 1280, .height = 720, .vsync = false});
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

  static VirtualDisplay* display_;
  ScratchDir scratch_;
  QueueSource source_;
  CommandQueue commands_;
  std::unique_ptr<ReplayFeed> replay_;
  std::unique_ptr<FakeLiveFeed> live_;
  std::unique_ptr<Viewer> viewer_;
  std::unique_ptr<Robot> robot_;
};

VirtualDisplay* InterfaceTest::display_ = nullptr;

TEST_F(InterfaceTest, AReplayOpensAtItsEndAndPlaysFromTheStart) {
  OpenRun();
  EXPECT_DOUBLE_EQ(Playhead(), 8.0);
  EXPECT_TRUE(viewer_->state().paused);
  robot_->Do([&](ImGuiTestContext* ctx) {
    ctx->ItemClick("Transport/###play");
    EXPECT_FALSE(viewer_->state().paused);
    EXPECT_LT(Playhead(), 4.0);
    const double before = Playhead();
    ctx->Yield(10);
    EXPECT_GT(Playhead(), before);
    ctx->ItemClick("Transport/###play");
    EXPECT_TRUE(viewer_->state().paused);
    const double held = Playhead();
    ctx->Yield(5);
    EXPECT_DOUBLE_EQ(Playhead(), held);
  });
}

TEST_F(InterfaceTest, SpeedAndLoop) {
  OpenRun();
  robot_->Do([&](ImGuiTestContext* ctx) {
    ctx->SetRef("Transport");
    ctx->ComboClick("##speed/4 x");
    EXPECT_EQ(viewer_->state().speed, 4);
    ctx->KeyPress(ImGuiKey_Minus);
    EXPECT_EQ(viewer_->state().speed, 2);
    ctx->ItemCheck("Loop");
    EXPECT_TRUE(viewer_->state().loop);
    ctx->ComboClick("##speed/max");
    ctx->ItemClick("###play");
    bool wrapped = false;
    for (int i = 0; i < 400 && !wrapped; ++i) {
      const double before = Playhead();
      ctx->Yield();
      wrapped = Playhead() < before;
    }
    EXPECT_TRUE(wrapped);
    EXPECT_FALSE(viewer_->state().paused);
  });
}

TEST_F(InterfaceTest, StepsAndInferencesMoveTheReplay) {
  OpenRun();
  robot_->Do([&](ImGuiTestContext* ctx) {
    ctx->SetRef("Transport");
    ctx->KeyPress(ImGuiKey_Home);
    EXPECT_DOUBLE_EQ(Playhead(), 0);
    ctx->ItemClick("###step");
    EXPECT_NEAR(Playhead(), 0.05, 1e-9);
    ctx->ItemClick("###inference");
    EXPECT_NEAR(Playhead(), 0.25, 1e-9);
    ctx->ItemClick("<");
    EXPECT_NEAR(Playhead(), 0.20, 1e-9);
    ctx->ItemClick("<<");
    EXPECT_NEAR(Playhead(), 0, 1e-9);
    ctx->KeyPress(ImGuiKey_RightArrow);
    EXPECT_NEAR(Playhead(), 0.05, 1e-9);
  });
}

TEST_F(InterfaceTest, ScrubbingLooksAtAnotherMoment) {
  OpenRun();
  robot_->Do([&](ImGuiTestContext* ctx) {
    ctx->MouseMove("Transport/##time");  // its middle
    ctx->MouseClick();
    EXPECT_NEAR(Playhead(), 4.0, 0.2);
    ctx->MouseMoveToPos(Middle(viewer_->rects().at("cue cell")));
    ctx->MouseClick();
    EXPECT_NEAR(Playhead(), 4.4, 0.2);
  });
}

TEST_F(InterfaceTest, TheStoryOfTheCueLeadsToItsDecision) {
  OpenRun();
  robot_->Do([&](ImGuiTestContext* ctx) {
    ctx->MouseMoveToPos(Middle(viewer_->rects().at("fate")));
    ctx->MouseClick();
    EXPECT_NEAR(Playhead(), 6.2, 1e-9);
    ctx->KeyPress(ImGuiKey_Home);
    ctx->ItemClick("Transport/Cue");
    EXPECT_NEAR(Playhead(), 4.25, 1e-9);
    ctx->ItemClick("Transport/Cue");
    EXPECT_NEAR(Playhead(), 6.2, 1e-9);
  });
}

TEST_F(InterfaceTest, ArmSeedAndTaskArePicked) {
  OpenRun();
  robot_->Do([&](ImGuiTestContext* ctx) {
    ctx->SetRef("Transport");
    EXPECT_EQ(viewer_->model().begin().id.arm, "window");
    ctx->ComboClick("##arm/gated");
    ctx->Yield(2);
    EXPECT_EQ(viewer_->model().begin().id.arm, "gated");
    EXPECT_EQ(viewer_->model().end()->outcome, "success");
    ctx->KeyPress(ImGuiKey_N);
    ctx->Yield(2);
    EXPECT_EQ(viewer_->model().begin().id.seed, 4);
    ctx->ComboClick("##seed/seed 3 +");
    ctx->Yield(2);
    EXPECT_EQ(viewer_->model().begin().id.seed, 3);
  });
}

TEST_F(InterfaceTest, TwoArmsAreComparedOnOnePlayhead) {
  OpenRun();
  robot_->Do([&](ImGuiTestContext* ctx) {
    ctx->SetRef("Transport");
    ctx->ComboClick("##other/gated");
    ctx->Yield(3);
    ASSERT_EQ(viewer_->lanes().size(), 2u);
    EXPECT_EQ(viewer_->lanes()[1].model.begin().id.arm, "gated");
    for (const char* name : {"scene", "scene 1", "strip", "strip 2", "story 2"}) {
      EXPECT_TRUE(viewer_->rects().count(name)) << name;
    }
    ctx->ItemClick("Divergence");
    EXPECT_NEAR(Playhead(), 2.0, 1e-9);
    ctx->MouseMoveToPos(Middle(viewer_->rects().at("strip")));
    ctx->MouseClick();
    EXPECT_EQ(viewer_->state().lane, 0u);
    ctx->KeyPress(ImGuiKey_A);
    EXPECT_EQ(viewer_->state().lane, 1u);
    ctx->ComboClick("##other/(no other)");
    ctx->Yield(2);
    EXPECT_EQ(viewer_->lanes().size(), 1u);
  });
}

TEST_F(InterfaceTest, ExportsPanelsAndTheChunkTable) {
  OpenRun();
  robot_->Do([&](ImGuiTestContext* ctx) {
    ctx->SetRef("##MainMenuBar");
    ctx->MenuClick("Export/Chunk table as CSV");
    ctx->MenuClick("Export/Panel as PNG/Cache");
    ctx->Yield(3);
    ctx->KeyPress(ImGuiKey_F12);
    ctx->Yield(3);
  });
  std::ifstream csv(scratch_ / "window_recall_color_short_seed3_chunks.csv");
  int lines = 0;
  for (std::string line; std::getline(csv, line);) ++lines;
  EXPECT_EQ(lines, 11);
  EXPECT_GT(std::filesystem::file_size(scratch_ / "kvla_cache_window_seed3_1.png"), 3000u);
  EXPECT_GT(std::filesystem::file_size(scratch_ / "kvla_window_window_seed3_1.png"), 10000u);
}

TEST_F(InterfaceTest, AnEpisodeIsFilmed) {
  OpenRun();
  robot_->Do([&](ImGuiTestContext* ctx) {
    ctx->SetRef("##MainMenuBar");
    ctx->MenuClick("Export/Episode as MP4");
    for (int i = 0; i < 1500 && viewer_->state().message.find("film") == 0; ++i) ctx->Yield();
    EXPECT_EQ(viewer_->state().message.find("Wrote"), 0u) << viewer_->state().message;
  });
  EXPECT_GT(std::filesystem::file_size(scratch_ / "window_recall_color_short_seed3.mp4"), 3000u);
}

TEST_F(InterfaceTest, EveryTabComesForwardAndDraws) {
  OpenRun();
  robot_->Do([&](ImGuiTestContext* ctx) {
    for (const char* name : kPanelWindows) {
      ctx->WindowFocus(name);
      ctx->Yield(2);
      EXPECT_TRUE(viewer_->rects().count(std::string("window ") + name)) << name;
    }
  });
}

TEST_F(InterfaceTest, ThemeHelpAndOverlays) {
  OpenRun();
  robot_->Do([&](ImGuiTestContext* ctx) {
    ctx->SetRef("##MainMenuBar");
    ctx->MenuClick("View/Light theme");
    EXPECT_TRUE(viewer_->state().light);
    ctx->Yield(2);
    EXPECT_GT(ImGui::GetStyleColorVec4(ImGuiCol_WindowBg).x, 0.5f);
    ctx->MenuClick("View/Contact points");
    EXPECT_TRUE(viewer_->state().overlay.contacts);
    ctx->KeyPress(ImGuiKey_F1);
    ctx->Yield(2);
    EXPECT_TRUE(ctx->WindowInfo("//Help").Window != nullptr);
    ctx->KeyPress(ImGuiKey_RightBracket);
    EXPECT_EQ(viewer_->state().camera, 1);
    ctx->KeyPress(ImGuiKey_Escape);
    EXPECT_EQ(viewer_->state().camera, 0);
  });
}

TEST_F(InterfaceTest, TheMouseSteersTheCamera) {
  OpenRun();
  robot_->Do([&](ImGuiTestContext* ctx) {
    const FreeCamera before = viewer_->state().free;
    ctx->MouseMoveToPos(Middle(viewer_->rects().at("scene")));
    ctx->MouseDragWithDelta(ImVec2(60, 0));
    EXPECT_NE(viewer_->state().free.azimuth, before.azimuth);
    EXPECT_EQ(viewer_->state().free.look_at, before.look_at);
    ctx->MouseDragWithDelta(ImVec2(0, 40), ImGuiMouseButton_Right);
    EXPECT_NE(viewer_->state().free.look_at, before.look_at);
    ctx->MouseWheelY(2);
    EXPECT_LT(viewer_->state().free.distance, before.distance);
  });
}

TEST_F(InterfaceTest, SettingsOfALiveCacheAreChangedAndReset) {
  OpenLive();
  robot_->Do([&](ImGuiTestContext* ctx) {
    ctx->WindowFocus("Controls");
    ctx->SetRef("Controls");
    ctx->Yield(2);
    ctx->MouseMoveToPos(Middle(viewer_->rects().at("setting threshold")));
    ctx->MouseDown();
    ctx->MouseMoveToPos(ImVec2(viewer_->rects().at("setting threshold").z - 4,
                               Middle(viewer_->rects().at("setting threshold")).y));
    EXPECT_EQ(live_->sets_, 0);  // nothing is sent while the mouse still drags
    ctx->MouseUp();
    ctx->Yield();
    EXPECT_EQ(live_->sets_, 1);
    EXPECT_GT(std::stod(live_->threshold_), 0.9);
    ctx->ComboClick("policy/full");
    EXPECT_EQ(live_->policy_, "full");
    ctx->ItemInputValue("window_blocks", 24);
    EXPECT_EQ(live_->window_, "24");
    ctx->ItemClick("Reset to the config");
    ctx->Yield();
    EXPECT_EQ(live_->threshold_, "0.5");
    EXPECT_EQ(live_->policy_, "gated");
    EXPECT_EQ(live_->window_, "16");
  });
}

TEST_F(InterfaceTest, ALiveBodyIsSelectedAndPulled) {
  OpenLive();
  robot_->Do([&](ImGuiTestContext* ctx) {
    for (int i = 0; i < 200 && !viewer_->settled(); ++i) ctx->Yield();
    // The arm stands in the middle of the picture; its hand can be pulled.
    const ImVec4 scene = viewer_->rects().at("scene");
    bool selected = false;
    for (float y = 0.3f; y < 0.8f && !selected; y += 0.06f) {
      for (float x = 0.3f; x < 0.7f && !selected; x += 0.05f) {
        ctx->MouseMoveToPos(
            ImVec2(scene.x + x * (scene.z - scene.x), scene.y + y * (scene.w - scene.y)));
        ctx->MouseDoubleClick();
        for (int i = 0; i < 10; ++i) ctx->Yield();
        selected = viewer_->state().overlay.selected > 2;
      }
    }
    ASSERT_TRUE(selected);
    ctx->KeyDown(ImGuiMod_Ctrl);
    ctx->MouseDown(ImGuiMouseButton_Right);
    const ImVec2 at = ImGui::GetIO().MousePos;
    ctx->MouseMoveToPos(ImVec2(at.x + 40, at.y - 20));
    ctx->MouseUp(ImGuiMouseButton_Right);
    ctx->KeyUp(ImGuiMod_Ctrl);
    ctx->Yield(2);
  });
  bool pulled = false, released = false;
  for (ViewerCommand command; commands_.TryPop(&command);) {
    pulled = pulled || (command.kind == ViewerCommandKind::kPull && command.pull[0] > 2);
    released = released || (pulled && command.kind == ViewerCommandKind::kRelease);
  }
  EXPECT_TRUE(pulled);
  EXPECT_TRUE(released);
}

}  // namespace
}  // namespace kvla
