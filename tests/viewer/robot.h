// SPDX-License-Identifier: Apache-2.0
// Drives the real interface as a person would, through Dear ImGui's test engine.
#ifndef KVLA_TESTS_VIEWER_ROBOT_H_
#define KVLA_TESTS_VIEWER_ROBOT_H_

#include <imgui_te_context.h>
#include <imgui_te_engine.h>

#include <functional>

#include "viewer/viewer.h"

namespace kvla {

// REQUIRES: `viewer` outlives it; at most one at a time.
class Robot {
 public:
  explicit Robot(Viewer* viewer);
  ~Robot();
  Robot(const Robot&) = delete;
  Robot& operator=(const Robot&) = delete;

  // Frames are drawn until `steps` is through. False, and a gtest failure, when a control was not
  // where it should be.
  bool Do(const std::function<void(ImGuiTestContext*)>& steps);

 private:
  void Draw();

  Viewer* viewer_;
  ImGuiTestEngine* engine_;
};

}  // namespace kvla

#endif  // KVLA_TESTS_VIEWER_ROBOT_H_
