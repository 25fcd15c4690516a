#include "viewer/panel_context.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>

namespace kvla {

double PanelContext::newest_s() const {
  double running = std::numeric_limits<double>::infinity();
  for (const Lane& lane : lanes) {
    if (!lane.model.end().has_value()) running = std::min(running, lane.model.time_s());
  }
  return std::isinf(running) ? end_s() : running;
}

double PanelContext::end_s() const {
  double end = 0;
  for (const Lane& lane : lanes) end = std::max(end, lane.model.time_s());
  return end;
}

std::optional<double> PanelContext::threshold(const Lane& lane) const {
  if (const CommandEvent* set = lane.model.SettingAt("threshold", playhead_s())) {
    return std::strtod(set->text.c_str(), nullptr);
  }
  return lane.threshold;
}

double PanelContext::axis_end_s() const {
  constexpr double kStep = 5;  // seconds
  double horizon = 0;
  for (const Lane& lane : lanes) horizon = std::max(horizon, lane.model.horizon_s());
  const double end = kStep * std::ceil((end_s() + 0.2) / kStep);
  return std::max(kStep, std::min(end, std::max(horizon, end_s())));
}

void PanelContext::Seek(double time_s) {
  state.playhead_s = std::clamp(time_s, 0.0, end_s());
  state.follow = feed.live() && state.playhead_s >= newest_s() - 1e-6;
}

void PanelContext::Send(ViewerCommandKind kind, double value) {
  for (size_t i = 0; i < lanes.size(); ++i) feed.Send(i, {kind, value});
}

SceneRequest PanelContext::FrameScene(const Lane& lane, int inference) const {
  SceneRequest request;
  const EpisodeModel& model = lane.model;
  const int before = inference * model.begin().replan_steps;  // control steps done
  if (before > 0) {
    const StepPoint* step = model.StepAt(before * model.control_period_s());
    if (step == nullptr || step->state == nullptr || step->control_step != before - 1) return {};
    request.state = step->state;
  } else if (lane.script == nullptr || !lane.script->place) {
    return {};
  }
  request.scene = hooks.asset_root / model.begin().scene;
  request.script = lane.script;
  return request;
}

void PanelContext::Say(const std::string& message) {
  constexpr double kSeconds = 6;
  state.message = message;
  state.message_until_s = ImGui::GetTime() + kSeconds;
}

std::string FileStem(std::span<const Lane> lanes) {
  std::string arms;
  for (const Lane& lane : lanes) arms += lane.model.begin().id.arm + "_";
  const EpisodeId& id = lanes.front().model.begin().id;
  return arms + id.task + (id.delay.empty() ? "" : "_" + id.delay) + "_seed" +
         std::to_string(id.seed);
}

void PanelContext::Mark(const std::string& name) {
  const ImVec2 low = ImGui::GetItemRectMin(), high = ImGui::GetItemRectMax();
  rects[name] = ImVec4(low.x, low.y, high.x, high.y);
}

}  // namespace kvla
