// SPDX-License-Identifier: Apache-2.0
// Colours and sizes of the viewer. Colours that carry meaning are those of Okabe and Ito, which
// people with any common colour blindness can tell apart; shape says the same again.
#ifndef KVLA_VIEWER_THEME_H_
#define KVLA_VIEWER_THEME_H_

#include <imgui.h>

#include "viewer/episode_model.h"

namespace kvla {

namespace colour {
inline constexpr ImU32 kOrange = IM_COL32(0xE6, 0x9F, 0x00, 255);
inline constexpr ImU32 kSkyBlue = IM_COL32(0x56, 0xB4, 0xE9, 255);
inline constexpr ImU32 kGreen = IM_COL32(0x00, 0x9E, 0x73, 255);
inline constexpr ImU32 kYellow = IM_COL32(0xF0, 0xE4, 0x42, 255);
inline constexpr ImU32 kBlue = IM_COL32(0x00, 0x72, 0xB2, 255);
inline constexpr ImU32 kVermilion = IM_COL32(0xD5, 0x5E, 0x00, 255);
inline constexpr ImU32 kPurple = IM_COL32(0xCC, 0x79, 0xA7, 255);
inline constexpr ImU32 kGrey = IM_COL32(0x80, 0x80, 0x80, 255);
}  // namespace colour

inline constexpr float kFontSize = 15.0f;  // pixels at a monitor scale of 1

// Of a chunk's cell.
ImU32 StateColour(ChunkAction state);
const char* StateName(ChunkAction state);
inline constexpr ImU32 kCueColour = colour::kVermilion;
inline constexpr ImU32 kDecoyColour = colour::kGrey;
inline constexpr ImU32 kInstructionColour = colour::kPurple;

// Of the parts of an inference, in the order of LatencyParts.
inline constexpr int kLatencyParts = 7;
inline constexpr ImU32 kLatencyColours[kLatencyParts] = {
    colour::kGrey,   colour::kSkyBlue,   colour::kBlue,  colour::kGreen,
    colour::kYellow, colour::kVermilion, colour::kPurple};
inline constexpr const char* kLatencyNames[kLatencyParts] = {
    "render", "encode", "linear", "attend", "gate", "compact", "act"};

// Sets up the styles of the current ImGui and ImPlot contexts; may be called again.
void ApplyTheme(bool light, float scale);

inline ImVec4 AsVec4(ImU32 c) { return ImGui::ColorConvertU32ToFloat4(c); }
// As the colour of a text: darker on a light ground, where these colours are faint.
ImVec4 AsText(ImU32 c);
inline ImU32 WithAlpha(ImU32 c, int alpha) {
  return (c & ~IM_COL32_A_MASK) | (static_cast<ImU32>(alpha) << IM_COL32_A_SHIFT);
}

}  // namespace kvla

#endif  // KVLA_VIEWER_THEME_H_
