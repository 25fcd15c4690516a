#include "viewer/panel_context.h"

#include <algorithm>
#include <cmath>

namespace kvla {

double PanelContext::axis_end_s() const {
  constexpr double kStep = 10;  // seconds
  const double end = kStep * std::ceil((model.time_s() + 0.5) / kStep);
  return std::max(kStep, std::min(end, std::max(model.horizon_s(), model.time_s())));
}

void PanelContext::Mark(const std::string& name) {
  const ImVec2 low = ImGui::GetItemRectMin(), high = ImGui::GetItemRectMax();
  rects[name] = ImVec4(low.x, low.y, high.x, high.y);
}

}  // namespace kvla
