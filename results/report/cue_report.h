// SPDX-License-Identifier: Apache-2.0
// Success by when the cue was shown, or by how long it had to be remembered: a rule that goes by
// the clock is found out here.
#ifndef KVLA_RESULTS_REPORT_CUE_REPORT_H_
#define KVLA_RESULTS_REPORT_CUE_REPORT_H_

#include <array>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "base/status.h"
#include "results/report/report.h"
#include "results/statistics/statistics.h"

namespace kvla {

enum class CueAxis {
  kOnset,  // EpisodeBegin::onset_s
  kWait,   // EpisodeBegin::wait_s
};
const char* CueAxisName(CueAxis axis);  // "onset", "wait"
// BadInput: another name.
Result<CueAxis> ParseCueAxis(const std::string& name);

// Parts of equal width of what is possible at a task and delay: what the run says (meta
// "cue_ranges"), else what its episodes span.
inline constexpr size_t kCueParts = 3;

struct CuePart {
  double low_s = 0, high_s = 0;  // NaN where tasks are pooled
  int episodes = 0;              // without error
  Interval success;              // Wilson
  int decisive_reached = 0;
  Interval decisive;  // right, among those; Wilson
};

// One arm at one delay, on one task or (`task` empty) over the episodes of all memory tasks.
struct CueRow {
  std::string arm, task, delay;
  int tasks = 1;
  std::array<CuePart, kCueParts> parts;
};

// Pooled rows first, where there are several memory tasks at a delay; else in the order of the
// report's rows. BadInput: no episode says.
Result<std::vector<CueRow>> BuildCueRows(const Report& report, CueAxis axis);

// Of several memory tasks the pooled rows alone. At most 100 columns.
std::string FormatCueTable(const std::vector<CueRow>& rows, CueAxis axis);
// {"by": "onset", "rows": [{..., "parts": [...]}]}; NaN and the task of pooled rows are null.
nlohmann::json CueJson(const std::vector<CueRow>& rows, CueAxis axis);
// One line a row and part; pooled rows have no task. RFC 4180.
std::string CueCsv(const std::vector<CueRow>& rows, CueAxis axis);
// What FormatCueTable() shows, as an SVG file.
std::string CueSvg(const std::vector<CueRow>& rows, CueAxis axis);

}  // namespace kvla

#endif  // KVLA_RESULTS_REPORT_CUE_REPORT_H_
