// SPDX-License-Identifier: Apache-2.0
#include "harness/certify/certificate.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/config_differences.h"
#include "base/files.h"
#include "base/json_text.h"
#include "base/version.h"

namespace kvla {
namespace {

using nlohmann::json;

constexpr double kExpertRate = 0.95;

std::string RateText(const Interval& rate) {
  return fmt::format("{:.2f} [{:.2f}, {:.2f}]", rate.value, rate.low, rate.high);
}

json ToJson(const Interval& rate) {
  return {{"rate", rate.value}, {"low", rate.low}, {"high", rate.high}};
}

json ToJson(const Certificate& c) {
  json row = {{"task", c.task},
              {"delay", c.delay},
              {"episodes", c.episodes.episodes},
              {"expert", ToJson(c.Expert())},
              {"chance", c.chance},
              {"errors", c.episodes.errors},
              {"passed", c.Passes()}};
  if (c.needs_memory) {
    row["blind"] = ToJson(c.Blind());
    row["blind"]["decided"] = c.episodes.blind_decided;
    row["blind"]["success"] = c.episodes.blind_success;
  }
  if (c.probe) {
    row["probe"] = ToJson(c.Probe());
    row["probe"].update({{"classes", c.probe->classes},
                         {"chance", c.probe->chance},
                         {"episodes", c.probe->held_out}});
    row["probe"]["at_cue"] = ToJson(WilsonInterval(c.probe->cue_right, c.probe->cue_held_out));
  }
  return row;
}

json ToJson(const CertifySettings& settings) {
  json out = {{"seed", settings.episodes.run_seed},
              {"episodes", settings.episodes.episodes},
              {"blind_episodes", settings.episodes.blind_episodes},
              {"disturbance", DisturbanceName(settings.episodes.disturbance)}};
  if (settings.probe) {
    out["probe"] = {{"train", settings.probe->train_episodes},
                    {"episodes", settings.probe->held_out_episodes}};
  }
  return out;
}

}  // namespace

Interval Certificate::Expert() const {
  return WilsonInterval(episodes.expert_success, episodes.episodes);
}

Interval Certificate::Blind() const {
  return WilsonInterval(episodes.blind_right, episodes.blind_decided);
}

Interval Certificate::Probe() const { return WilsonInterval(probe->right, probe->held_out); }

bool Certificate::Passes() const {
  if (Expert().value < kExpertRate || episodes.errors > 0) return false;
  if (!needs_memory) return true;
  if (episodes.blind_decided == 0 || Blind().high >= chance + kAboveChance) return false;
  return !probe || Probe().high < probe->chance + kAboveChance;
}

std::string Certificate::Line() const {
  std::string line = fmt::format("{:<16} {:<8} expert {}", task, delay, RateText(Expert()));
  if (needs_memory) {
    line += fmt::format("  cue withheld {} of {} decisions (chance {:.2f})", RateText(Blind()),
                        episodes.blind_decided, chance);
  }
  if (probe) {
    line += fmt::format("  probe {} (chance {:.2f}; at the cue {:.2f})", RateText(Probe()),
                        probe->chance, WilsonInterval(probe->cue_right, probe->cue_held_out).value);
  }
  return line + fmt::format("  {} diverged  {}", episodes.errors,
                            Passes() ? "certified" : "NOT certified");
}

Result<Certificate> MakeCertificate(
    const Task& task, const std::string& delay, const CertifySettings& settings,
    const std::function<bool(const std::string&, int, int)>& progress) {
  const TaskInfo& info = task.info();
  const auto show = [&](const std::string& what) {
    return [&progress, name = fmt::format("{} {}{}", info.name, delay, what)](int done, int total) {
      return !progress || progress(name, done, total);
    };
  };
  Certificate certificate{.task = info.name,
                          .delay = delay,
                          .needs_memory = info.needs_memory,
                          .chance = info.chance,
                          .episodes = {},
                          .probe = {}};
  Result<CertifyResult> episodes = Certify(task, delay, settings.episodes, show(""));
  if (!episodes.ok()) return episodes.status();
  certificate.episodes = *episodes;
  if (!settings.probe || !info.needs_memory) return certificate;
  ProbeOptions options = *settings.probe;
  options.run_seed = settings.episodes.run_seed;
  options.threads = settings.episodes.threads;
  Result<ProbeResult> probe = RunProbe(task, delay, options, show(" probe"));
  if (!probe.ok()) return probe.status();
  certificate.probe = *probe;
  return certificate;
}

Result<CertificateFile> CertificateFile::Open(const std::filesystem::path& path,
                                              const CertifySettings& settings) {
  CertificateFile file;
  file.path_ = path;
  file.settings_ = JsonText(ToJson(settings));
  if (path.empty()) return file;
  Result<WriterLock> lock = WriterLock::OfFile(path);
  if (!lock.ok()) return lock.status();
  file.lock_.emplace(*std::move(lock));
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return file;
  const Result<std::string> text = ReadFile(path);
  if (!text.ok()) return text.status();
  try {
    const json all = json::parse(*text);
    if (all.at("settings") != json::parse(file.settings_)) {
      // JSON is YAML too.
      const std::vector<std::string> differences =
          ConfigDifferences(JsonText(all.at("settings")), file.settings_, "the file");
      return BadInput(fmt::format("{} was made with other settings:\n  {}\nGive another --out.",
                                  path.string(), ListDifferences(differences)));
    }
    if (all.at("commit") != std::string(GitCommit())) {
      return BadInput(fmt::format("{} was made by commit {}, this is {}: choose another file",
                                  path.string(), JsonText(all.at("commit")), GitCommit()));
    }
    for (const json& row : all.at("tasks")) {
      file.cells_.emplace(row.at("task").get<std::string>(), row.at("delay").get<std::string>());
      file.all_passed_ = file.all_passed_ && row.at("passed").get<bool>();
      file.rows_.push_back(JsonText(row));
    }
  } catch (const json::exception& e) {
    return BadInput(
        fmt::format("{} is not what kvla certify --out writes: {}", path.string(), e.what()));
  }
  return file;
}

bool CertificateFile::Has(const std::string& task, const std::string& delay) const {
  return cells_.contains({task, delay});
}

Status CertificateFile::Add(const Certificate& certificate) {
  cells_.emplace(certificate.task, certificate.delay);
  all_passed_ = all_passed_ && certificate.Passes();
  rows_.push_back(JsonText(ToJson(certificate)));
  return path_.empty() ? Status() : WriteFileAtomic(path_, Text());
}

std::string CertificateFile::Text() const {
  const json settings = json::parse(settings_);
  json rows = json::array();
  for (const std::string& row : rows_) rows.push_back(json::parse(row));
  return JsonText(json{{"tasks", rows},
                       {"disturbance", settings["disturbance"]},
                       {"settings", settings},
                       {"commit", GitCommit()}},
                  2) +
         "\n";
}

}  // namespace kvla
