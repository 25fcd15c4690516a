// SPDX-License-Identifier: Apache-2.0
#include "viewer/viewer.h"

#include <gtest/gtest.h>
#include <imgui.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <stdexcept>

#include "sim/world.h"
#include "tests/scratch_dir.h"
#include "tests/viewer/single_feed.h"
#include "tests/viewer/synthetic_trace.h"
#include "tests/viewer/virtual_display.h"
#include "viewer/theme.h"

namespace kvla {
namespace {

constexpr int kWidth = 1280, kHeight = 720;

// Pixels inside a rectangle (x0 y0 x1 y1) of exactly one colour.
int Count(const Pixels& pixels, ImVec4 rect, ImU32 colour) {
  int found = 0;
  for (int y = static_cast<int>(rect.y); y < static_cast<int>(rect.w); ++y) {
    for (int x = static_cast<int>(rect.x); x < static_cast<int>(rect.z); ++x) {
      const uint8_t* p = &pixels.rgb[3 * (static_cast<size_t>(y) * pixels.width + x)];
      found += IM_COL32(p[0], p[1], p[2], 255) == colour;
    }
  }
  return found;
}

int Colours(const Pixels& pixels, ImVec4 rect) {
  std::set<ImU32> seen;
  for (int y = static_cast<int>(rect.y); y < static_cast<int>(rect.w); ++y) {
    for (int x = static_cast<int>(rect.x); x < static_cast<int>(rect.z); ++x) {
      const uint8_t* p = &pixels.rgb[3 * (static_cast<size_t>(y) * pixels.width + x)];
      seen.insert(IM_COL32(p[0], p[1], p[2], 255));
    }
  }
  return static_cast<int>(seen.size());
}

class ViewerTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { display_ = new VirtualDisplay; }
  static void TearDownTestSuite() {
    delete display_;
    display_ = nullptr;
  }

  void SetUp() override { ASSERT_EQ(display_->error(), ""); }

  void Open(const WindowOptions& options = {.width = kWidth, .height = kHeight, .vsync = false}) {
    ViewerHooks hooks;
    hooks.asset_root = KVLA_ASSET_ROOT;
    feed_ = std::make_unique<SingleFeed>(&source_, &commands_);
    auto viewer = Viewer::Create(feed_.get(), hooks, options);
    if (!viewer.ok()) throw std::runtime_error(viewer.status().message());  // fails the test
    viewer_ = std::move(*viewer);
  }

  // An episode of `inferences` inferences in which every state of a chunk occurs.
  void EpisodeFeed(int inferences) {
    auto world = World::Load(std::filesystem::path(KVLA_ASSET_ROOT) / SyntheticBegin().scene);
    ASSERT_TRUE(world.ok()) << world.status().message();
    ASSERT_TRUE((*world)->Reset().ok());
    source_.Push(SyntheticBegin());
    for (int i = 0; i < inferences; ++i) {
      InferenceEvent event = SyntheticInference(i);
      event.images = {FlatImage("front", 250, 10, 20), FlatImage("wrist", 30, 240, 40)};
      const int chunk = (i - 11) / 4;
      if (i >= 11 && (i - 11) % 4 == 0) {
        const ChunkAction state = chunk == 5       ? ChunkAction::kWhole
                                  : chunk % 2 == 0 ? ChunkAction::kDropped
                                                   : ChunkAction::kCompressed;
        const float score = state == ChunkAction::kDropped ? 0.2f : 0.8f;
        event.changes = {{chunk, state, score, ReasonCode::kAboveThreshold}};
      }
      source_.Push(event);
      for (int s = 0; s < 4; ++s) {
        StepEvent step = SyntheticStep(4 * i + s);
        step.state = (*world)->SaveState();
        step.stages = {i > 5, false, false};
        source_.Push(step);
      }
    }
  }

  // Draws until the newest state is on the screen.
  void Settle() {
    for (int i = 0, quiet = 0; i < 600 && quiet < 3; ++i) {
      viewer_->Frame();
      quiet = viewer_->settled() ? quiet + 1 : 0;
    }
  }

  void Click(const std::string& control) {
    ASSERT_TRUE(viewer_->rects().count(control)) << control;
    const ImVec4 rect = viewer_->rects().at(control);
    ImGuiIO& io = ImGui::GetIO();
    io.AddMousePosEvent((rect.x + rect.z) / 2, (rect.y + rect.w) / 2);
    viewer_->Frame();
    io.AddMouseButtonEvent(ImGuiMouseButton_Left, true);
    viewer_->Frame();
    io.AddMouseButtonEvent(ImGuiMouseButton_Left, false);
    viewer_->Frame();
  }

  void Press(ImGuiKey key, ImGuiKey modifier = ImGuiKey_None) {
    ImGuiIO& io = ImGui::GetIO();
    if (modifier != ImGuiKey_None) io.AddKeyEvent(modifier, true);
    io.AddKeyEvent(key, true);
    viewer_->Frame();
    viewer_->Frame();
    io.AddKeyEvent(key, false);
    if (modifier != ImGuiKey_None) io.AddKeyEvent(modifier, false);
    viewer_->Frame();
    viewer_->Frame();
  }

  // The only command pushed since the last call.
  ViewerCommand TakeCommand() {
    ViewerCommand command, more;
    EXPECT_TRUE(commands_.TryPop(&command));
    EXPECT_FALSE(commands_.TryPop(&more));
    return command;
  }

  static VirtualDisplay* display_;
  QueueSource source_;
  CommandQueue commands_;
  std::unique_ptr<SingleFeed> feed_;
  std::unique_ptr<Viewer> viewer_;
};

VirtualDisplay* ViewerTest::display_ = nullptr;

TEST_F(ViewerTest, EveryPanelDraws) {
  Open();
  EpisodeFeed(40);
  Settle();
  const Pixels pixels = viewer_->Grab();
  ASSERT_EQ(pixels.width, kWidth);
  ASSERT_EQ(pixels.height, kHeight);
  const auto& rects = viewer_->rects();
  for (const char* name : {"play", "step", "scrub", "scene", "strip", "scores", "memory",
                           "image front", "image wrist", "cue cell"}) {
    ASSERT_TRUE(rects.count(name)) << name;
  }
  const ImVec4 strip = rects.at("strip");
  EXPECT_GT(Count(pixels, strip, StateColour(ChunkAction::kWindow)), 500);
  EXPECT_GT(Count(pixels, strip, StateColour(ChunkAction::kWhole)), 300);
  EXPECT_GT(Count(pixels, strip, StateColour(ChunkAction::kCompressed)), 300);
  EXPECT_GT(Count(pixels, strip, kInstructionColour), 300);
  EXPECT_GT(Count(pixels, strip, kCueColour), 100);
  const ImVec4 cue = rects.at("cue cell");
  EXPECT_GT(Count(pixels, cue, StateColour(ChunkAction::kWhole)), 300);

  EXPECT_GT(Count(pixels, rects.at("scores"), StateColour(ChunkAction::kWhole)), 20);
  EXPECT_GT(Count(pixels, rects.at("scores"), colour::kOrange), 200);  // the threshold
  EXPECT_GT(Colours(pixels, rects.at("memory")), 10);
  EXPECT_GT(Colours(pixels, rects.at("scene")), 100);
  EXPECT_GT(Count(pixels, rects.at("image front"), IM_COL32(250, 10, 20, 255)), 5000);
  EXPECT_GT(Count(pixels, rects.at("image wrist"), IM_COL32(30, 240, 40, 255)), 5000);
}

TEST_F(ViewerTest, ButtonsAndKeysSpeakThroughTheCommandQueue) {
  Open();
  EpisodeFeed(12);
  Settle();
  Click("play");
  EXPECT_TRUE(viewer_->state().paused);
  EXPECT_EQ(TakeCommand().kind, ViewerCommandKind::kPause);
  Click("play");
  EXPECT_FALSE(viewer_->state().paused);
  EXPECT_EQ(TakeCommand().kind, ViewerCommandKind::kResume);
  Click("step");
  EXPECT_TRUE(viewer_->state().paused);
  EXPECT_EQ(TakeCommand().kind, ViewerCommandKind::kStep);
  Click("inference");
  EXPECT_EQ(TakeCommand().kind, ViewerCommandKind::kInference);
  Click("restart");
  EXPECT_EQ(TakeCommand().kind, ViewerCommandKind::kRestart);

  Press(ImGuiKey_Space);
  EXPECT_FALSE(viewer_->state().paused);
  EXPECT_EQ(TakeCommand().kind, ViewerCommandKind::kResume);
  Press(ImGuiKey_RightArrow);
  EXPECT_EQ(TakeCommand().kind, ViewerCommandKind::kStep);
  Press(ImGuiKey_RightArrow, ImGuiMod_Shift);
  EXPECT_EQ(TakeCommand().kind, ViewerCommandKind::kInference);
  Press(ImGuiKey_Equal);
  EXPECT_EQ(TakeCommand(), (ViewerCommand{ViewerCommandKind::kSpeed, 2}));
  Press(ImGuiKey_F1);
  EXPECT_TRUE(viewer_->state().show_help);
  Press(ImGuiKey_Q, ImGuiMod_Ctrl);
  EXPECT_EQ(TakeCommand().kind, ViewerCommandKind::kQuit);
  EXPECT_TRUE(viewer_->done());
}

TEST_F(ViewerTest, ThePlayheadLooksBackAndReturns) {
  Open();
  EpisodeFeed(40);
  Settle();
  Click("strip");
  EXPECT_FALSE(viewer_->state().follow);
  const double middle = viewer_->state().playhead_s;
  EXPECT_GT(middle, 1.0);
  EXPECT_LT(middle, 7.0);
  Press(ImGuiKey_LeftArrow, ImGuiMod_Shift);
  EXPECT_NEAR(viewer_->state().playhead_s, middle - 0.2, 1e-6);
  Press(ImGuiKey_LeftArrow);
  EXPECT_NEAR(viewer_->state().playhead_s, middle - 0.25, 1e-6);
  // Before any decision everything is in the window.
  viewer_->state().playhead_s = 1.0;
  Settle();
  const Pixels pixels = viewer_->Grab();
  EXPECT_EQ(Count(pixels, viewer_->rects().at("strip"), StateColour(ChunkAction::kWhole)), 0);
  EXPECT_GT(Count(pixels, viewer_->rects().at("strip"), StateColour(ChunkAction::kWindow)), 100);
  Press(ImGuiKey_End);
  EXPECT_TRUE(viewer_->state().follow);
}

TEST_F(ViewerTest, HoveringACellShowsItsFrame) {
  Open();
  EpisodeFeed(40);
  Settle();
  const ImVec4 panel = viewer_->rects().at("scores"), cell = viewer_->rects().at("cue cell");
  const ImVec4 around(0, cell.y - 250, kWidth, panel.w);
  const ImU32 frame = IM_COL32(250, 10, 20, 255);
  const int before = Count(viewer_->Grab(), around, frame);
  ImGui::GetIO().AddMousePosEvent((cell.x + cell.z) / 2, (cell.y + cell.w) / 2);
  for (int i = 0; i < 4; ++i) viewer_->Frame();
  EXPECT_GT(Count(viewer_->Grab(), around, frame), before + 10000);
}

TEST_F(ViewerTest, WritesAScreenshotOfTheAskedMoment) {
  Open();
  EpisodeFeed(40);
  const ScratchDir scratch;
  const auto file = scratch / "picture.png";
  ScreenshotPlan plan;
  plan.file = file;
  plan.after_s = 6.0;
  const Status status = viewer_->Screenshot(plan, [] { return false; });
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_DOUBLE_EQ(viewer_->state().playhead_s, 6.0);
  std::ifstream in(file, std::ios::binary);
  std::string head(8, '\0');
  in.read(head.data(), 8);
  EXPECT_EQ(head, "\x89PNG\r\n\x1a\n");
  EXPECT_GT(std::filesystem::file_size(file), 10000u);

  plan.file = "/no/such/folder/picture.png";
  EXPECT_EQ(viewer_->Screenshot(plan, [] { return false; }).code(), StatusCode::kIo);
}

TEST_F(ViewerTest, AScreenshotThatNeverComesSaysSo) {
  Open();
  EpisodeFeed(3);
  ScreenshotPlan plan;
  plan.file = std::filesystem::temp_directory_path() / "kvla_never.png";
  plan.after_s = 60.0;
  EXPECT_EQ(viewer_->Screenshot(plan, [] { return false; }).code(), StatusCode::kTimeout);
  EXPECT_FALSE(std::filesystem::exists(plan.file));
}

TEST_F(ViewerTest, AMissingSceneIsSaidAndTheRestIsDrawn) {
  Open();
  EpisodeBegin begin = SyntheticBegin();
  begin.scene = "no/such/scene.xml";
  source_.Push(begin);
  source_.Push(SyntheticInference(0));
  StepEvent step = SyntheticStep(0);
  step.state = {1, 2, 3};
  source_.Push(step);
  Settle();
  const Pixels pixels = viewer_->Grab();
  EXPECT_GT(Count(pixels, viewer_->rects().at("scene"), colour::kVermilion), 20);
  EXPECT_GT(Count(pixels, viewer_->rects().at("strip"), StateColour(ChunkAction::kWindow)), 50);
}

TEST_F(ViewerTest, DrawsWithoutAnEpisodeAndInTheLightTheme) {
  Open({.width = 1000, .height = 600, .light = true, .vsync = false});
  for (int i = 0; i < 3; ++i) viewer_->Frame();
  const Pixels pixels = viewer_->Grab();
  EXPECT_GT(Colours(pixels, ImVec4(0, 0, 1000, 600)), 10);
}

TEST_F(ViewerTest, WithoutADisplayTheMessageSaysWhatToDo) {
  const std::string display = std::getenv("DISPLAY");
  unsetenv("DISPLAY");
  SingleFeed feed(&source_, &commands_);
  auto viewer = Viewer::Create(&feed, {}, {});
  setenv("DISPLAY", display.c_str(), 1);
  ASSERT_FALSE(viewer.ok());
  EXPECT_EQ(viewer.status().code(), StatusCode::kIo);
  EXPECT_NE(viewer.status().message().find("xvfb-run"), std::string::npos)
      << viewer.status().message();
}

}  // namespace
}  // namespace kvla
