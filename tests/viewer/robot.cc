// SPDX-License-Identifier: Apache-2.0
#include "tests/viewer/robot.h"

#include <gtest/gtest.h>
#include <imgui_te_internal.h>

namespace kvla {

Robot::Robot(Viewer* viewer) : viewer_(viewer), engine_(ImGuiTestEngine_CreateContext()) {
  ImGuiTestEngineIO& io = ImGuiTestEngine_GetIO(engine_);
  io.ConfigRunSpeed = ImGuiTestRunSpeed_Fast;
  io.ConfigVerboseLevel = ImGuiTestVerboseLevel_Error;
  io.ConfigVerboseLevelOnError = ImGuiTestVerboseLevel_Info;
  io.ConfigLogToTTY = true;
  io.ConfigSavedSettings = false;
  io.ConfigNoThrottle = true;
  ImGuiTestEngine_Start(engine_, ImGui::GetCurrentContext());
  // The engine refuses tests until it has counted the frames of the context.
  for (int i = 0; i < 3; ++i) Draw();
}

void Robot::Draw() {
  viewer_->Frame();
  ImGuiTestEngine_PostSwap(engine_);
}

Robot::~Robot() {
  ImGuiTestEngine_Stop(engine_);
  ImGuiTestEngine_UnbindImGuiContext(engine_, ImGui::GetCurrentContext());
  ImGuiTestEngine_DestroyContext(engine_);
}

bool Robot::Do(const std::function<void(ImGuiTestContext*)>& steps) {
  ImGuiTest* test = ImGuiTestEngine_RegisterTest(engine_, "viewer", "steps");
  test->TestFunc = steps;
  ImGuiTestEngine_QueueTest(engine_, test);
  constexpr int kMostFrames = 3000;
  for (int i = 0; i < kMostFrames && !ImGuiTestEngine_IsTestQueueEmpty(engine_); ++i) {
    Draw();
  }
  const bool passed = test->Output.Status == ImGuiTestStatus_Success;
  EXPECT_TRUE(passed) << "the interface did not do what it was asked: see the log above";
  ImGuiTestEngine_UnregisterTest(engine_, test);
  return passed;
}

}  // namespace kvla
