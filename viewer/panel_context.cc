// SPDX-License-Identifier: Apache-2.0
#include "viewer/panel_context.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>

namespace kvla {

double PanelContext::newest_s() const {
  double running = std::numeric_limits<double>::infinity();
  for (const Side& side : sides) {
    if (!side.model.end().has_value()) running = std::min(running, side.model.time_s());
  }
  return std::isinf(running) ? end_s() : running;
}

double PanelContext::end_s() const {
  double end = 0;
  for (const Side& side : sides) end = std::max(end, side.model.time_s());
  return end;
}

MethodTraits PanelContext::method(const Side& side) const {
  MethodTraits method = side.method;
  if (!method.threshold.has_value()) return method;
  if (const CommandEvent* set = side.model.SettingAt("threshold", playhead_s())) {
    method.threshold = std::strtod(set->text.c_str(), nullptr);
  }
  return method;
}

double PanelContext::axis_end_s() const {
  constexpr double kStep = 5;  // seconds
  double horizon = 0;
  for (const Side& side : sides) horizon = std::max(horizon, side.model.horizon_s());
  const double end = kStep * std::ceil((end_s() + 0.2) / kStep);
  return std::max(kStep, std::min(end, std::max(horizon, end_s())));
}

void PanelContext::Seek(double time_s) {
  state.playhead_s = std::clamp(time_s, 0.0, end_s());
  state.follow = feed.live() && state.playhead_s >= newest_s() - 1e-6;
}

void PanelContext::Send(ViewerCommandKind kind, double value) {
  for (size_t i = 0; i < sides.size(); ++i) feed.Send(i, {kind, value});
}

SceneRequest PanelContext::FrameScene(const Side& side, int inference) const {
  SceneRequest request;
  const EpisodeModel& model = side.model;
  const int before = inference * model.begin().replan_steps;  // control steps done
  if (before > 0) {
    const StepPoint* step = model.StepAt(before * model.control_period_s());
    if (step == nullptr || step->state == nullptr || step->control_step != before - 1) return {};
    request.state = step->state;
  } else if (side.script == nullptr || !side.script->place) {
    return {};
  }
  request.scene = hooks.asset_root / model.begin().scene;
  request.script = side.script;
  return request;
}

void PanelContext::Say(const std::string& message) {
  constexpr double kSeconds = 6;
  state.message = message;
  state.message_until_s = ImGui::GetTime() + kSeconds;
}

std::string FileStem(std::span<const Side> sides) {
  std::string arms;
  for (const Side& side : sides) arms += side.model.begin().id.arm + "_";
  const EpisodeId& id = sides.front().model.begin().id;
  return arms + id.task + (id.delay.empty() ? "" : "_" + id.delay) + "_seed" +
         std::to_string(id.seed);
}

void PanelContext::Mark(const std::string& name) {
  const ImVec2 low = ImGui::GetItemRectMin(), high = ImGui::GetItemRectMax();
  rects[name] = ImVec4(low.x, low.y, high.x, high.y);
}

}  // namespace kvla
