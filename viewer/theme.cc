// SPDX-License-Identifier: Apache-2.0
#include "viewer/theme.h"

#include <implot.h>

namespace kvla {

ImU32 StateColour(ChunkAction state) {
  switch (state) {
    case ChunkAction::kWindow:
      return colour::kSkyBlue;
    case ChunkAction::kWhole:
      return colour::kGreen;
    case ChunkAction::kCompressed:
      return colour::kYellow;
    case ChunkAction::kDropped:
      return colour::kGrey;
  }
  return colour::kGrey;
}

const char* StateName(ChunkAction state) {
  switch (state) {
    case ChunkAction::kWindow:
      return "in the window";
    case ChunkAction::kWhole:
      return "kept whole";
    case ChunkAction::kCompressed:
      return "compressed";
    case ChunkAction::kDropped:
      return "dropped";
  }
  return "unknown";
}

ImVec4 AsText(ImU32 c) {
  constexpr float kDarker = 0.62f;
  ImVec4 text = AsVec4(c);
  if (ImGui::GetStyleColorVec4(ImGuiCol_WindowBg).x > 0.5f) {
    text = ImVec4(kDarker * text.x, kDarker * text.y, kDarker * text.z, text.w);
  }
  return text;
}

void ApplyTheme(bool light, float scale) {
  ImGuiStyle& style = ImGui::GetStyle();
  style = ImGuiStyle();
  if (light) {
    ImGui::StyleColorsLight();
    ImPlot::StyleColorsLight();
  } else {
    ImGui::StyleColorsDark();
    ImPlot::StyleColorsDark();
    style.Colors[ImGuiCol_WindowBg] = ImVec4(0.085f, 0.09f, 0.10f, 1.0f);
    style.Colors[ImGuiCol_PopupBg] = ImVec4(0.12f, 0.125f, 0.14f, 0.98f);
    style.Colors[ImGuiCol_FrameBg] = ImVec4(0.17f, 0.18f, 0.21f, 1.0f);
    style.Colors[ImGuiCol_Border] = ImVec4(0.25f, 0.26f, 0.28f, 1.0f);
  }
  ImPlotStyle& plot = ImPlot::GetStyle();
  // Light as text on dark ground needs another blue than dark on light.
  style.Colors[ImGuiCol_TextLink] =
      light ? ImVec4(0.0f, 0.3f, 0.6f, 1.0f) : ImVec4(0.55f, 0.8f, 1.0f, 1.0f);
  plot.PlotPadding = ImVec2(6, 4);
  plot.PlotMinSize = ImVec2(80, 40);
  plot.LabelPadding = ImVec2(4, 3);
  plot.LegendPadding = ImVec2(4, 4);
  plot.LegendInnerPadding = ImVec2(4, 2);
  plot.Colors[ImPlotCol_FrameBg] = ImVec4(0, 0, 0, 0);
  plot.Colors[ImPlotCol_PlotBg] = ImVec4(0, 0, 0, 0);
  plot.Colors[ImPlotCol_LegendBg] =
      light ? ImVec4(1, 1, 1, 0.85f) : ImVec4(0.1f, 0.1f, 0.12f, 0.85f);

  style.WindowMenuButtonPosition = ImGuiDir_None;
  style.WindowRounding = 4;
  style.FrameRounding = 3;
  style.WindowBorderSize = 1;
  style.WindowPadding = ImVec2(8, 6);
  style.ItemSpacing = ImVec2(8, 5);
  style.ScaleAllSizes(scale);
  style.FontSizeBase = kFontSize;
  style.FontScaleDpi = scale;
}

}  // namespace kvla
