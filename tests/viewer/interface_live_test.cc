// SPDX-License-Identifier: Apache-2.0
// A live episode and the window itself under a person's hand.
#include "tests/viewer/interface_fixture.h"

namespace kvla {
namespace {

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
    EXPECT_EQ(live_->calls, 0);  // nothing is sent while the mouse still drags
    ctx->MouseUp();
    ctx->Yield();
    EXPECT_EQ(live_->calls, 1);
    EXPECT_GT(std::stod(live_->chosen_threshold), 0.9);
    ctx->ComboClick("policy/full");
    EXPECT_EQ(live_->chosen_policy, "full");
    ctx->ItemInputValue("window_blocks", 24);
    EXPECT_EQ(live_->chosen_window, "24");
    ctx->ItemClick("Reset to the config");
    ctx->Yield();
    EXPECT_EQ(live_->chosen_threshold, "0.5");
    EXPECT_EQ(live_->chosen_policy, "gated");
    EXPECT_EQ(live_->chosen_window, "16");
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
    // With Ctrl the right button pulls, the left one turns.
    ctx->KeyDown(ImGuiMod_Ctrl);
    for (const ImGuiMouseButton button : {ImGuiMouseButton_Right, ImGuiMouseButton_Left}) {
      ctx->MouseDown(button);
      for (int i = 0; i < 60; ++i) ctx->Yield();  // the hand reaches
      const ImVec2 at = ImGui::GetIO().MousePos;
      ctx->MouseMoveToPos(ImVec2(at.x + 40, at.y - 20));
      ctx->MouseUp(button);
      ctx->Yield(2);
    }
    ctx->KeyUp(ImGuiMod_Ctrl);
    ctx->Yield(2);
  });
  std::vector<ViewerCommandKind> kinds;
  for (ViewerCommand command; commands_.TryPop(&command);) {
    const bool hand =
        command.kind == ViewerCommandKind::kPull || command.kind == ViewerCommandKind::kTurn;
    if (hand) {
      EXPECT_GT(command.pull[0], 2);
    }
    if (kinds.empty() || kinds.back() != command.kind) kinds.push_back(command.kind);
  }
  EXPECT_EQ(kinds, (std::vector<ViewerCommandKind>{
                       ViewerCommandKind::kPull, ViewerCommandKind::kRelease,
                       ViewerCommandKind::kTurn, ViewerCommandKind::kRelease}));
}

TEST_F(InterfaceTest, LayersShowScoresAndTheAttentionOfALiveEpisode) {
  for (TraceEvent& event : EventsOf(SyntheticRecord("gated", 3, State()))) {
    if (auto* inference = std::get_if<InferenceEvent>(&event)) {
      inference->attention.assign(2 * (2 + inference->index / 4), 0.1f);  // two layers
    }
    source_.Push(event);
  }
  live_ = std::make_unique<FakeLiveFeed>(&source_, &commands_);
  Open(live_.get());
  robot_->Do([&](ImGuiTestContext* ctx) {
    EXPECT_EQ(viewer_->rects().count("score map"), 0u);
    ctx->WindowFocus("Layers");
    ctx->Yield(2);
    EXPECT_TRUE(viewer_->rects().count("score map"));
    EXPECT_TRUE(viewer_->rects().count("attention map"));
  });
}

TEST_F(InterfaceTest, ALiveEpisodeIsStartedAgainWithTheSameAndAnotherSeed) {
  OpenLive();
  robot_->Do([&](ImGuiTestContext* ctx) {
    ctx->ItemClick("Transport/Restart");
    ViewerCommand command;
    ASSERT_TRUE(commands_.TryPop(&command));
    EXPECT_EQ(command.kind, ViewerCommandKind::kRestart);
    ctx->ItemClick("Transport/Next seed");
    ASSERT_TRUE(commands_.TryPop(&command));
    EXPECT_EQ(command.kind, ViewerCommandKind::kNext);
  });
}

TEST_F(InterfaceTest, TheLayoutAndTheThemeAreKept) {
  const WindowOptions options = {
      .width = 1280, .height = 720, .vsync = false, .layout = scratch_ / "kvla" / "viewer.ini"};
  const auto wide = [&] {
    const ImVec4 scene = viewer_->rects().at("window Scene");
    return scene.z - scene.x;
  };
  OpenLive();
  const float before = wide();
  robot_.reset();
  viewer_.reset();
  Open(live_.get(), options);
  robot_->Do([&](ImGuiTestContext* ctx) {
    ctx->SetRef("##MainMenuBar");
    ctx->MenuClick("View/Light theme");
    // The border between the scene and the policy's images.
    const ImVec4 scene = viewer_->rects().at("window Scene");
    ctx->MouseMoveToPos(ImVec2(scene.z + 1, (scene.y + scene.w) / 2));
    ctx->MouseDragWithDelta(ImVec2(-100, 0));
    ctx->Yield(2);
  });
  EXPECT_LT(wide(), before - 50);
  const float kept = wide();
  robot_.reset();
  viewer_.reset();
  Open(live_.get(), options);
  EXPECT_TRUE(viewer_->state().light);
  EXPECT_NEAR(wide(), kept, 2);
}

TEST_F(InterfaceTest, TheWindowScales) {
  OpenLive();
  const ImVec4 play = viewer_->rects().at("play");
  robot_.reset();
  viewer_.reset();
  Open(live_.get(), {.width = 1280, .height = 720, .vsync = false, .scale = 2});
  const ImVec4 twice = viewer_->rects().at("play");
  EXPECT_NEAR((twice.w - twice.y) / (play.w - play.y), 2, 0.2);
}

}  // namespace
}  // namespace kvla
