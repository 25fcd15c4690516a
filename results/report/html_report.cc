// SPDX-License-Identifier: Apache-2.0
#include "results/report/html_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "base/files.h"
#include "base/writer_lock.h"
#include "results/report/cue_report.h"
#include "results/video/video_rule.h"

namespace kvla {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kPageFiles[] = {"index.html", "report.css", "report.js"};
constexpr char kDataFile[] = "data.js";
constexpr char kPlotlyFile[] = "plotly.min.js";
constexpr CueAxis kCueAxes[] = {CueAxis::kOnset, CueAxis::kWait};

using CellKey = std::tuple<std::string, std::string, std::string>;  // task, delay, arm

double Rounded(double value) { return std::strtod(fmt::format("{:.4g}", value).c_str(), nullptr); }

// One stretch of control steps of one cell.
struct Stretch {
  std::vector<float> latency;
  double bytes = 0, flops = 0, decoder = 0;
  int64_t n = 0;
};

bool HoldsOtherThings(const fs::path& out) {
  std::error_code error;
  if (fs::exists(out / kDataFile, error)) return false;
  for (const auto& entry : fs::directory_iterator(out, error)) {
    if (entry.path().filename() != kFolderLockFile) return true;
  }
  return false;
}

// Where the report goes: a new folder, an empty one, or an earlier report.
Result<WriterLock> PrepareFolder(const fs::path& out) {
  std::error_code error;
  if (Exists(out) && !IsFolder(out)) {
    return BadInput(fmt::format("--html {}: a file is there, a folder is wanted", out.string()));
  }
  if (Status status = CheckFolderWritable(out); !status.ok()) return status;
  Result<WriterLock> lock = WriterLock::OfFolder(out);
  if (!lock.ok()) return lock;
  if (HoldsOtherThings(out)) {
    return BadInput(
        fmt::format("--html {}: the folder holds other things; give a new one", out.string()));
  }
  fs::create_directories(out / kVideoFolder, error);
  if (error) return IoError(out.string() + ": " + error.message());
  return lock;
}

Status CopyPage(const HtmlOptions& options, const fs::path& out) {
  std::vector<std::pair<fs::path, std::string>> files = {{options.plotly, kPlotlyFile}};
  for (const char* file : kPageFiles) files.emplace_back(options.page / file, file);
  for (const auto& [from, name] : files) {
    const Result<std::string> bytes = ReadFile(from);
    if (!bytes.ok()) {
      return name == kPlotlyFile ? bytes.status().In("plotting library (run scripts/setup.sh)")
                                 : bytes.status();
    }
    if (Status status = WriteFileAtomic(out / name, *bytes); !status.ok()) return status;
  }
  return {};
}

struct Shown {
  std::string task, delay;
  int64_t seed = 0;
  auto operator<=>(const Shown&) const = default;
};

// Episodes to look at: those that arms disagree on, spread over the cells, then others.
std::vector<Shown> Choose(const std::vector<EpisodeRow>& rows, size_t limit,
                          bool disagreements_only) {
  std::map<Shown, std::pair<int, int>> outcomes;  // won, lost
  for (const EpisodeRow& row : rows) {
    auto& [won, lost] = outcomes[{row.id.task, row.id.delay, row.id.seed}];
    if (!row.is_error()) (row.success ? won : lost) += 1;
  }
  std::map<std::pair<std::string, std::string>, std::vector<Shown>> split[2];
  for (const auto& [shown, counts] : outcomes) {
    const bool agree = counts.first == 0 || counts.second == 0;
    split[agree ? 1 : 0][{shown.task, shown.delay}].push_back(shown);
  }
  std::vector<Shown> out;
  for (const auto& cells : split) {
    size_t longest = 0;
    for (const auto& [cell, list] : cells) longest = std::max(longest, list.size());
    for (size_t i = 0; i < longest; ++i) {
      for (const auto& [cell, list] : cells) {
        if (i < list.size() && out.size() < limit) out.push_back(list[i]);
      }
    }
    if (disagreements_only) break;
  }
  return out;
}

std::vector<const EpisodeRow*> RowsOf(const std::vector<EpisodeRow>& rows, const Shown& shown) {
  std::vector<const EpisodeRow*> out;
  for (const EpisodeRow& row : rows) {
    if (row.id.task == shown.task && row.id.delay == shown.delay && row.id.seed == shown.seed) {
      out.push_back(&row);
    }
  }
  return out;
}

// A video in `out`: the run's own, else filmed now. Empty text: there is none, `why` says so.
std::string PlaceVideo(const RunStore& store, const EpisodeRow& row, const HtmlOptions& options,
                       const fs::path& out, std::string* why) {
  const std::string name = VideoFile(row.id);
  Result<std::string> bytes = BadInput("no video");
  if (!row.video.empty()) {
    const Result<fs::path> file = VideoPath(store.folder(), row.video);
    bytes = file.ok() ? ReadFile(*file) : Result<std::string>(file.status());
  }
  if (!bytes.ok() && options.film) {
    const Result<EpisodeRecord> record = store.Episode(row.id);
    bytes = record.ok() ? options.film(*record) : Result<std::string>(record.status());
  }
  const Status status = bytes.ok() ? WriteFileAtomic(out / name, *bytes) : bytes.status();
  if (status.ok()) return name;
  const std::string episode = ToString(row.id);
  *why =
      status.message().starts_with(episode) ? status.message() : episode + ": " + status.message();
  return "";
}

// By when the cue was shown and by how long it was remembered, with a picture each, as far as the
// episodes say: {"onset": {..., "picture": "onset.svg"}, ...}.
Result<json> CuePictures(const Report& report, const fs::path& out) {
  json all = json::object();
  for (const CueAxis axis : kCueAxes) {
    const Result<std::vector<CueRow>> rows = BuildCueRows(report, axis);
    if (!rows.ok()) continue;
    const std::string name = CueAxisName(axis), picture = name + ".svg";
    all[name] = CueJson(*rows, axis);
    all[name]["picture"] = picture;
    if (Status s = WriteFileAtomic(out / picture, CueSvg(*rows, axis)); !s.ok()) return s;
  }
  return all;
}

json MetaJson(const RunMeta& meta) {
  json out = json::object();
  for (const auto& [key, value] : meta) {
    const json parsed = json::parse(value, nullptr, false);
    out[key] = parsed.is_structured() ? parsed : json(value);
  }
  return out;
}

// A reference to compare with, where the arms were run on the same episodes.
json CompareOrWhyNot(const RunStore& store, const HtmlOptions& page) {
  std::vector<RunStore> runs;
  Result<RunStore> again = RunStore::Open(store.folder(), RunStore::Mode::kReadOnly);
  if (!again.ok()) return {{"why_not", again.status().message()}};
  runs.push_back(*std::move(again));
  CompareOptions options;
  options.margin_points = page.margin_points;
  options.filter = page.filter;
  options.intersect = true;  // the page shows the notes
  const Result<Comparison> comparison = CompareRuns(runs, options);
  if (!comparison.ok()) return {{"why_not", comparison.status().message()}};
  json out = ComparisonJson(*comparison);
  for (json& arm : out["comparisons"]) {  // the page wants the disagreements alone
    json kept = json::array();
    for (json& episode : arm["episodes"]) {
      if (episode["won"] == "arm" || episode["won"] == "reference") kept.push_back(episode);
    }
    arm["episodes"] = std::move(kept);
  }
  return out;
}

}  // namespace

Result<json> CostCurves(const RunStore& store, const std::vector<EpisodeRow>& episodes,
                        int points) {
  std::set<EpisodeId> counted;
  std::map<CellKey, int> longest;
  for (const EpisodeRow& e : episodes) {
    if (e.is_error()) continue;
    counted.insert(e.id);
    int& steps = longest[{e.id.task, e.id.delay, ""}];
    steps = std::max(steps, e.steps);
  }
  std::map<CellKey, std::map<int, Stretch>> curves;
  const Status status =
      store.ForEachInferences([&](const EpisodeId& id, const std::vector<InferenceEvent>& events) {
        if (!counted.contains(id)) return;
        const int width = std::max(1, (longest[{id.task, id.delay, ""}] + points) / points);
        auto& curve = curves[{id.task, id.delay, id.arm}];
        for (const InferenceEvent& e : events) {
          Stretch& s = curve[e.control_step / width * width];
          s.latency.push_back(static_cast<float>(e.cost.latency.total_ms()));
          s.decoder += e.cost.latency.decoder_ms();
          s.bytes += static_cast<double>(e.cost.kv_live_bytes);
          s.flops += e.cost.flops;
          ++s.n;
        }
      });
  if (!status.ok()) return status;
  json out = json::array();
  for (auto& [key, curve] : curves) {
    json item = {{"task", std::get<0>(key)}, {"delay", std::get<1>(key)}, {"arm", std::get<2>(key)},
                 {"step", json::array()},    {"p50", json::array()},      {"p95", json::array()},
                 {"decoder", json::array()}, {"bytes", json::array()},    {"flops", json::array()}};
    for (auto& [step, s] : curve) {
      const std::vector<double> latency(s.latency.begin(), s.latency.end());
      const auto n = static_cast<double>(s.n);
      item["step"].push_back(step);
      item["p50"].push_back(Rounded(Quantile(latency, 0.5)));
      item["p95"].push_back(Rounded(Quantile(latency, 0.95)));
      item["decoder"].push_back(Rounded(s.decoder / n));
      item["bytes"].push_back(std::round(s.bytes / n));
      item["flops"].push_back(Rounded(s.flops / n));
    }
    out.push_back(std::move(item));
  }
  return out;
}

json TimelineJson(const EpisodeRecord& record, const EpisodeRow& row) {
  const EpisodeBegin& begin = record.begin;
  json inferences = json::array(), changes = json::array(), cues = json::array(),
       decoys = json::array(), stages = json::array();
  for (size_t i = 0; i < record.inferences.size(); ++i) {
    const InferenceEvent& e = record.inferences[i];
    inferences.push_back(e.control_step);
    for (const ChunkDecision& c : e.changes) {
      changes.push_back(
          {i, c.chunk, static_cast<int>(c.action), Rounded(c.score), static_cast<int>(c.reason)});
    }
  }
  // Cues are in seconds of the simulation, whatever the clock's rate.
  constexpr double kStepsPerSecond = 20;
  for (const TraceCue& cue : begin.cues) {
    cues.push_back({cue.begin_s * kStepsPerSecond, cue.end_s * kStepsPerSecond});
  }
  for (const TraceDecoy& decoy : begin.decoys) {
    decoys.push_back({decoy.begin_s * kStepsPerSecond, decoy.end_s * kStepsPerSecond});
  }
  for (size_t i = 0; i < row.stages.size(); ++i) {
    stages.push_back({{"name", row.stages[i].name},
                      {"decisive", row.stages[i].decisive},
                      {"step", row.stage_steps[i]}});
  }
  return {{"arm", row.id.arm},
          {"outcome", row.outcome},
          {"instruction", begin.instruction},
          {"steps", row.steps},
          {"chunk_blocks", begin.chunk_blocks},
          {"window_blocks", begin.window_blocks},
          {"inferences", std::move(inferences)},
          {"changes", std::move(changes)},
          {"cues", std::move(cues)},
          {"decoys", std::move(decoys)},
          {"stages", std::move(stages)}};
}

Result<HtmlSummary> WriteHtmlReport(const RunStore& store, const HtmlOptions& options,
                                    const fs::path& out) {
  const Result<Report> report = BuildReport(store, options.filter);
  if (!report.ok()) return report.status();
  const Result<WriterLock> lock = PrepareFolder(out);
  if (!lock.ok()) return lock.status();
  if (Status status = CopyPage(options, out); !status.ok()) return status;
  HtmlSummary summary;
  json data = ReportJson(*report, false);
  data["meta"] = MetaJson(report->meta);
  const std::vector<EpisodeRow>& rows = report->episodes;
  data["comparison"] = CompareOrWhyNot(store, options);
  Result<json> curves = CostCurves(store, rows);
  if (!curves.ok()) return curves.status();
  data["curves"] = *std::move(curves);
  Result<json> cue = CuePictures(*report, out);
  if (!cue.ok()) return cue.status();
  data["cue"] = *std::move(cue);
  data["reasons"] = options.reasons;

  data["timelines"] = json::array();
  for (const Shown& shown : Choose(rows, static_cast<size_t>(options.timelines), false)) {
    json item = {{"task", shown.task}, {"delay", shown.delay}, {"seed", shown.seed}};
    for (const EpisodeRow* row : RowsOf(rows, shown)) {
      const Result<EpisodeRecord> record = store.Episode(row->id);
      if (!record.ok()) return record.status();
      item["arms"].push_back(TimelineJson(*record, *row));
    }
    data["timelines"].push_back(std::move(item));
    ++summary.timelines;
  }
  data["videos"] = json::array();
  for (const Shown& shown : Choose(rows, static_cast<size_t>(options.videos), true)) {
    json item = {{"task", shown.task}, {"delay", shown.delay}, {"seed", shown.seed}};
    item["arms"] = json::array();
    for (const EpisodeRow* row : RowsOf(rows, shown)) {
      std::string why;
      const std::string file = PlaceVideo(store, *row, options, out, &why);
      summary.videos += file.empty() ? 0 : 1;
      if (file.empty()) summary.problems.push_back(why);
      item["arms"].push_back({{"arm", row->id.arm}, {"outcome", row->outcome}, {"file", file}});
    }
    data["videos"].push_back(std::move(item));
  }
  data["problems"] = summary.problems;
  const std::string text =
      "window.KVLA = " + data.dump(-1, ' ', true, json::error_handler_t::replace) + ";\n";
  for (const bool episodes : {false, true}) {
    const char* name = episodes ? "episodes.csv" : "table.csv";
    if (Status status = WriteFileAtomic(out / name, ReportCsv(*report, episodes)); !status.ok()) {
      return status;
    }
  }
  // Last: a folder without it is no report yet.
  if (Status status = WriteFileAtomic(out / kDataFile, text); !status.ok()) return status;
  return summary;
}

}  // namespace kvla
