// SPDX-License-Identifier: Apache-2.0
// What the plots over the episode's time share.
#ifndef KVLA_VIEWER_PANELS_PLOT_TOOLS_H_
#define KVLA_VIEWER_PANELS_PLOT_TOOLS_H_

#include <implot.h>

#include "viewer/panel_context.h"

namespace kvla {

// The limits of the axes are set at each frame, so that dragging cannot move them.
inline constexpr ImPlotFlags kTimePlotFlags =
    ImPlotFlags_NoMenus | ImPlotFlags_NoBoxSelect | ImPlotFlags_NoMouseText;

// The episode's time as the X axis; `lead_s`: room to the left of 0.
void SetupTimeAxis(const PanelContext& context, const char* label, ImPlotAxisFlags flags,
                   double lead_s = 0);

// The playhead, and the times of the side's cues and decoys, behind what a plot shows.
void DrawMoments(const PanelContext& context, const EpisodeModel& model);

// The ground of a decoy: grey and hatched, so that nobody takes it for a cue's.
void DrawDecoyBand(ImDrawList* draw, ImVec2 low, ImVec2 high, int alpha);

// A press or a drag that began in the plot moves the playhead.
void SeekByClick(PanelContext& context);

ImPlotSpec LineSpec(ImU32 colour, float weight);

// A side's colour where sides share a plot.
ImU32 SideColour(size_t side);

}  // namespace kvla

#endif  // KVLA_VIEWER_PANELS_PLOT_TOOLS_H_
