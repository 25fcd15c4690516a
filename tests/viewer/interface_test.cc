// SPDX-License-Identifier: Apache-2.0
// A replay under a person's hand: every control must do what its label says.
#include <filesystem>
#include <fstream>

#include "tests/viewer/interface_fixture.h"

namespace kvla {
namespace {

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
    ctx->KeyPress(ImGuiKey_End);  // every cell as wide as its chunk
    ctx->Yield(2);
    ctx->MouseMoveToPos(Middle(viewer_->rects().at("cue cell")));
    ctx->MouseClick();
    EXPECT_NEAR(Playhead(), 4.4, 0.1);
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
    ASSERT_EQ(viewer_->sides().size(), 2u);
    EXPECT_EQ(viewer_->sides()[1].model.begin().id.arm, "gated");
    // `window` decides without scores, `gated` with: the plot is of whoever has them.
    for (const char* name : {"scene", "scene 1", "strip", "strip 2", "scores", "story 2"}) {
      EXPECT_TRUE(viewer_->rects().count(name)) << name;
    }
    ctx->ItemClick("Divergence");
    EXPECT_NEAR(Playhead(), 2.0, 1e-9);
    ctx->MouseMoveToPos(Middle(viewer_->rects().at("strip")));
    ctx->MouseClick();
    EXPECT_EQ(viewer_->state().side, 0u);
    ctx->KeyPress(ImGuiKey_A);
    EXPECT_EQ(viewer_->state().side, 1u);
    ctx->ComboClick("##other/(no other)");
    ctx->Yield(2);
    EXPECT_EQ(viewer_->sides().size(), 1u);
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

TEST_F(InterfaceTest, HoveringACellOfAReplayDrawsItsFrameAgain) {
  OpenRun();
  robot_->Do([&](ImGuiTestContext* ctx) {
    EXPECT_EQ(viewer_->rects().count("thumbnail"), 0u);
    ctx->MouseMoveToPos(Middle(viewer_->rects().at("cue cell")));
    for (int i = 0; i < 300 && viewer_->rects().count("thumbnail") == 0; ++i) ctx->Yield();
    ASSERT_EQ(viewer_->rects().count("thumbnail"), 1u);
    const ImVec4 shown = viewer_->rects().at("thumbnail");
    EXPECT_GT(shown.z - shown.x, 100);
    ctx->MouseMoveToPos(Middle(viewer_->rects().at("story")));
    ctx->Yield(2);
    EXPECT_EQ(viewer_->rects().count("thumbnail"), 0u);
  });
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
    const auto height = viewer_->state().free.look_at[2];
    const auto aside = viewer_->state().free.look_at[0];
    ctx->KeyDown(ImGuiMod_Shift);
    ctx->MouseDragWithDelta(ImVec2(0, 40), ImGuiMouseButton_Right);
    ctx->KeyUp(ImGuiMod_Shift);
    EXPECT_EQ(viewer_->state().free.look_at[2], height);
    EXPECT_NE(viewer_->state().free.look_at[0], aside);
  });
}

}  // namespace
}  // namespace kvla
