// SPDX-License-Identifier: Apache-2.0
// A run as a folder that a browser opens without a network: tables, plots, chunk timelines, videos,
// the protocol and the whole config.
#ifndef KVLA_RESULTS_REPORT_HTML_REPORT_H_
#define KVLA_RESULTS_REPORT_HTML_REPORT_H_

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/status.h"
#include "results/report/compare.h"
#include "results/report/report.h"
#include "results/store/run_store.h"

namespace kvla {

struct HtmlOptions {
  std::filesystem::path page;        // folder of index.html, report.css and report.js
  std::filesystem::path plotly;      // plotly.min.js, copied beside them
  std::vector<std::string> reasons;  // text of each ReasonCode, by its number
  double margin_points = 3;
  ReportFilter filter;  // of tables, curves, timelines and videos alike
  int timelines = 12;   // episodes shown chunk by chunk, disagreements first
  int videos = 6;       // disagreements shown side by side
  // Films a stored episode that has no video yet; its error goes on the page. May be empty.
  std::function<Result<std::string>(const EpisodeRecord&)> film;
};

struct HtmlSummary {
  int timelines = 0, videos = 0;
  std::vector<std::string> problems;  // what could not be shown, and why
};

// Writes `out`. BadInput: it is a folder with other things in it, or a file of the page is missing.
Result<HtmlSummary> WriteHtmlReport(const RunStore& store, const HtmlOptions& options,
                                    const std::filesystem::path& out);

// Costs against the control step, by cell and arm: what the page's curves show. At most `points` a
// curve, each over the inferences of a stretch of steps in every episode.
Result<nlohmann::json> CostCurves(const RunStore& store, const std::vector<EpisodeRow>& episodes,
                                  int points = 120);

// An episode chunk by chunk: {"inferences": [control step, ...], "changes": [[inference, chunk,
// state, score, reason], ...], "cues" and "decoys": [[begin, end], ...] in steps, "stages":
// ..., "outcome": ...}.
nlohmann::json TimelineJson(const EpisodeRecord& record, const EpisodeRow& row);

}  // namespace kvla

#endif  // KVLA_RESULTS_REPORT_HTML_REPORT_H_
