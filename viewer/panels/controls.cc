// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <imgui.h>

#include <cstdlib>

#include "viewer/panels/panels.h"
#include "viewer/theme.h"

namespace kvla {

void ControlsPanel::DrawSetting(PanelContext& context, const LiveSetting& setting) {
  const FieldInfo& info = setting.info;
  const size_t side = std::min(context.state.side, context.sides.size() - 1);
  const auto set = [&](const std::string& value) {
    if (value == setting.value) return;
    const Status status = context.feed.Set(side, info.path, value);
    context.Say(status.ok() ? fmt::format("{} = {}{}", info.path, value,
                                          setting.at_once ? "" : ", from the next episode on")
                            : status.message());
  };
  ImGui::BeginDisabled(!setting.used);
  ImGui::SetNextItemWidth(std::max(60.0f, 0.52f * ImGui::GetContentRegionAvail().x));
  if (!info.names.empty()) {
    if (ImGui::BeginCombo(info.path.c_str(), setting.value.c_str())) {
      for (const std::string& name : info.names) {
        if (ImGui::Selectable(name.c_str(), name == setting.value)) set(name);
      }
      ImGui::EndCombo();
    }
  } else if (info.type == "int") {
    int value = std::atoi(setting.value.c_str());
    if (ImGui::InputInt(info.path.c_str(), &value, 1, 4)) set(std::to_string(value));
  } else if (info.type == "number") {
    // A drag sends one command when the mouse lets go, not one a frame.
    if (editing_ != info.path) value_ = std::strtod(setting.value.c_str(), nullptr);
    const double low = info.range.has_value() ? info.range->low : 0;
    const double high = info.range.has_value() ? info.range->high : 1;
    double shown = editing_ == info.path ? value_ : std::strtod(setting.value.c_str(), nullptr);
    if (ImGui::SliderScalar(info.path.c_str(), ImGuiDataType_Double, &shown, &low, &high, "%.3f")) {
      editing_ = info.path;
      value_ = shown;
    }
    if (editing_ == info.path && ImGui::IsItemDeactivated()) {
      set(fmt::format("{:.3f}", value_));
      editing_.clear();
    }
  }
  context.Mark("setting " + info.path);
  ImGui::SetItemTooltip(
      "%s\n%s; configured: %s", info.help.c_str(),
      setting.at_once ? "takes effect at once" : "takes effect at the next episode",
      setting.configured.c_str());
  ImGui::EndDisabled();
  if (setting.value != setting.configured) {
    ImGui::SameLine(0, 4);
    ImGui::TextColored(AsText(colour::kYellow), "*");
  }
}

void ControlsPanel::Draw(PanelContext& context) {
  if (!BeginPanel(context, kControlsWindow)) {
    ImGui::End();
    return;
  }
  const size_t side = std::min(context.state.side, context.sides.size() - 1);
  const std::vector<LiveSetting> settings = context.feed.settings(side);
  if (settings.empty()) {
    ImGui::TextWrapped(
        "Settings can be changed while an episode runs: kvla view CONFIG. This is %s.",
        context.feed.live() ? "a live source without any" : "a replay");
    ImGui::End();
    return;
  }
  ImGui::TextWrapped("Cache of %s. A change marks the episode as not comparable.",
                     context.model().begin().id.arm.c_str());
  bool changed = false;
  for (const LiveSetting& setting : settings) {
    DrawSetting(context, setting);
    changed = changed || setting.value != setting.configured;
  }
  ImGui::BeginDisabled(!changed);
  if (ImGui::Button("Reset to the config")) {
    for (const LiveSetting& setting : settings) {
      const Status status = context.feed.Set(side, setting.info.path, setting.configured);
      if (!status.ok()) context.Say(status.message());
    }
  }
  ImGui::EndDisabled();
  context.Mark("reset settings");
  ImGui::End();
}

}  // namespace kvla
