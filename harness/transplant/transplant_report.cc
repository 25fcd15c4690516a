// SPDX-License-Identifier: Apache-2.0
#include "harness/transplant/transplant_report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "base/config_io.h"
#include "results/statistics/statistics.h"

namespace kvla {
namespace {

using nlohmann::json;
using Counts = std::map<TransplantAnswer, int>;

constexpr TransplantAnswer kAnswers[] = {TransplantAnswer::kOwn, TransplantAnswer::kTwins,
                                         TransplantAnswer::kOther, TransplantAnswer::kNone,
                                         TransplantAnswer::kError};

void Count(const TransplantTrial& trial, TransplantRow* row) {
  if (!trial.skipped.empty()) {
    ++row->skipped[trial.skipped];
    return;
  }
  ++row->trials;
  row->chunks += trial.taken;
  ++row->alone[trial.alone];
  ++row->transplanted[trial.transplanted];
  ++row->control[trial.control];
}

Interval RateOf(const Counts& counts, TransplantAnswer answer, int trials) {
  const auto found = counts.find(answer);
  return WilsonInterval(found == counts.end() ? 0 : found->second, trials);
}

json ToJson(const Counts& counts, int trials) {
  json out;
  for (const TransplantAnswer answer : kAnswers) {
    const Interval rate = RateOf(counts, answer, trials);
    const auto found = counts.find(answer);
    out[AnswerName(answer)] = {{"episodes", found == counts.end() ? 0 : found->second},
                               {"rate", rate.value},
                               {"low", rate.low},
                               {"high", rate.high}};
  }
  return out;
}

std::string RateText(const Counts& counts, TransplantAnswer answer, int trials) {
  const Interval rate = RateOf(counts, answer, trials);
  return fmt::format("{:>5.1f} [{:>5.1f}, {:>5.1f}]", 100 * rate.value, 100 * rate.low,
                     100 * rate.high);
}

}  // namespace

std::vector<TransplantRow> TransplantRows(const TransplantPlan& plan,
                                          const std::vector<TransplantTrial>& trials) {
  std::set<std::tuple<std::string, std::string, int64_t>> planned;
  for (const EpisodeJob& job : plan.run.jobs) planned.emplace(job.task, job.delay, job.seed);
  std::vector<TransplantRow> rows;
  for (const NamedCache& arm : plan.config.arms) {
    TransplantRow all{.arm = arm.name, .task = "all tasks"};
    for (const RunTask& task : plan.config.tasks) {
      TransplantRow row{.arm = arm.name, .task = task.name};
      for (const TransplantTrial& trial : trials) {
        if (trial.arm != arm.name || trial.task != task.name) continue;
        if (!planned.contains({trial.task, trial.delay, trial.seed})) continue;
        Count(trial, &row);
        Count(trial, &all);
      }
      rows.push_back(std::move(row));
    }
    if (plan.config.tasks.size() > 1) rows.push_back(std::move(all));
  }
  return rows;
}

std::string FormatTransplant(const std::vector<TransplantRow>& rows) {
  std::string text = fmt::format("{:<14} {:<16} {:>8} {:>20} {:>20} {:>20} {:>20} {:>20}\n", "arm",
                                 "task", "episodes", "alone: own %", "transplant: twin's %",
                                 "own %", "other or none %", "other chunks: own %");
  for (const TransplantRow& row : rows) {
    const auto rate = [&](const Counts& counts, TransplantAnswer answer) {
      return RateText(counts, answer, row.trials);
    };
    Counts neither;
    for (const auto& [answer, count] : row.transplanted) {
      if (answer == TransplantAnswer::kOther || answer == TransplantAnswer::kNone) {
        neither[TransplantAnswer::kNone] += count;
      }
    }
    text += fmt::format(
        "{:<14} {:<16} {:>8} {:>20} {:>20} {:>20} {:>20} {:>20}\n", row.arm, row.task, row.trials,
        rate(row.alone, TransplantAnswer::kOwn), rate(row.transplanted, TransplantAnswer::kTwins),
        rate(row.transplanted, TransplantAnswer::kOwn), rate(neither, TransplantAnswer::kNone),
        rate(row.control, TransplantAnswer::kOwn));
    for (const auto& [why, count] : row.skipped) {
      text += fmt::format("{:<14} {:<16} {:>8} left out: {}\n", "", "", count, why);
    }
  }
  return text;
}

json TransplantJson(const TransplantConfig& config, const std::vector<TransplantRow>& rows) {
  json out = {{"config", PrintConfig(config)}, {"rows", json::array()}};
  for (const TransplantRow& row : rows) {
    out["rows"].push_back({{"arm", row.arm},
                           {"task", row.task},
                           {"episodes", row.trials},
                           {"chunks_taken", row.chunks},
                           {"left_out", row.skipped},
                           {"alone", ToJson(row.alone, row.trials)},
                           {"transplanted", ToJson(row.transplanted, row.trials)},
                           {"control", ToJson(row.control, row.trials)}});
  }
  return out;
}

}  // namespace kvla
