// SPDX-License-Identifier: Apache-2.0
#include "results/report/report.h"

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "apps/commands.h"
#include "base/chunk_decision.h"
#include "base/json_text.h"
#include "base/streams.h"
#include "base/text.h"
#include "harness/episode/episode_video.h"
#include "results/report/cue_report.h"
#include "results/report/html_report.h"

namespace kvla {
namespace {

struct ReportFlags {
  std::string folder, html, by;
  bool json = false, csv = false, episodes = false;
  HtmlOptions options;
};

int WriteHtml(const AppContext& context, const RunStore& store, const ReportFlags& flags) {
  HtmlOptions options = flags.options;
  options.page = context.asset_root / "results" / "report" / "html";
  options.plotly = context.plotly;
  for (int reason = 0; reason < ReasonCodes(); ++reason) {
    options.reasons.emplace_back(ReasonText(static_cast<ReasonCode>(reason)));
  }
  EpisodeFilmer filmer(context.asset_root);
  options.film = [&filmer](const EpisodeRecord& record) {
    Say("filming {}\n", PrintableLine(ToString(record.begin.id)));
    return filmer.Film(record);
  };
  const Result<HtmlSummary> summary = WriteHtmlReport(store, options, flags.html);
  if (!summary.ok()) return ReportStatus(summary.status());
  for (const std::string& problem : summary->problems) {
    Say("kvla: warning: no video: {}\n", PrintableLine(problem));
  }
  Print("{}/index.html: {} timelines, {} videos\n", flags.html, summary->timelines,
        summary->videos);
  return kExitDone;
}

// By when the cue was shown, or by how long it had to be remembered.
int PrintByCue(const Report& report, const ReportFlags& flags) {
  const Result<CueAxis> axis = ParseCueAxis(flags.by);
  if (!axis.ok()) return ReportStatus(axis.status().In("--by"));
  const Result<std::vector<CueRow>> rows = BuildCueRows(report, *axis);
  if (!rows.ok()) return ReportStatus(rows.status());
  Print("{}", flags.json  ? JsonText(CueJson(*rows, *axis), 2) + "\n"
              : flags.csv ? CueCsv(*rows, *axis)
                          : FormatCueTable(*rows, *axis));
  return kExitDone;
}

int RunReport(const AppContext& context, const ReportFlags& flags) {
  const Result<RunStore> store = RunStore::Open(flags.folder, RunStore::Mode::kReadOnly);
  if (!store.ok()) return ReportStatus(store.status());
  if (!flags.html.empty()) return WriteHtml(context, *store, flags);
  const Result<Report> report = BuildReport(*store, flags.options.filter);
  if (!report.ok()) return ReportStatus(report.status());
  if (!flags.by.empty()) return PrintByCue(*report, flags);
  if (flags.json) {
    Print("{}\n", JsonText(ReportJson(*report, flags.episodes), 2));
    return kExitDone;
  }
  if (flags.csv) {
    Print("{}", ReportCsv(*report, flags.episodes));
    return kExitDone;
  }
  Print("{}", FormatTable(*report));
  if (flags.episodes) {
    Print("{}", FormatEpisodes(*report));
  }
  return kExitDone;
}

}  // namespace

CLI::App* AddReport(CLI::App& parent, const AppContext& context, int* exit_code) {
  auto flags = std::make_shared<ReportFlags>();
  CLI::App* command = parent.add_subcommand("report", "Print the table of a run, or write a page");
  command->add_option("dir", flags->folder, "Folder of the run")->required();
  CLI::Option* json = command->add_flag("--json", flags->json, "For programs");
  CLI::Option* csv = command->add_flag("--csv", flags->csv, "Comma-separated; one line a row");
  CLI::Option* episodes = command->add_flag("--episodes", flags->episodes,
                                            "Every episode as well; with --csv, instead");
  CLI::Option* by = command->add_option(
      "--by", flags->by,
      "Instead: success by when the cue was shown (onset), or by how long it had to be remembered "
      "(wait)");
  CLI::Option* html = command->add_option(
      "--html", flags->html, "Write a folder that a browser opens offline: index.html");
  const auto add_names = [command](const char* flag, std::vector<std::string>& names,
                                   const char* help) {
    command->add_option(flag, names, help)->delimiter(',')->allow_extra_args(false);
  };
  add_names("--task", flags->options.filter.tasks, "Only these tasks: a,b");
  add_names("--arm", flags->options.filter.arms, "Only these arms: a,b");
  add_names("--delay", flags->options.filter.delays, "Only these delays: a,b");
  json->excludes(csv)->excludes(html);
  csv->excludes(html);
  by->excludes(html)->excludes(episodes);
  command
      ->add_option("--margin", flags->options.margin_points,
                   "With --html: points that still count as non-inferior")
      ->check(CLI::Range(0.01, 100.0))
      ->capture_default_str();
  command
      ->add_option("--videos", flags->options.videos,
                   "With --html: disagreements to show side by side, filmed where the run did not")
      ->check(CLI::Range(0, 1000))
      ->capture_default_str();
  command
      ->add_option("--timelines", flags->options.timelines,
                   "With --html: episodes to show chunk by chunk")
      ->check(CLI::Range(0, 1000))
      ->capture_default_str();
  command->callback([flags, &context, exit_code] { *exit_code = RunReport(context, *flags); });
  return command;
}

}  // namespace kvla
