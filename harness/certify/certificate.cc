// SPDX-License-Identifier: Apache-2.0
#include "harness/certify/certificate.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/config_differences.h"
#include "base/files.h"
#include "base/json_text.h"
#include "base/version.h"
#include "harness/episode/suite_options.h"

namespace kvla {
namespace {

using nlohmann::json;

constexpr double kExpertRate = 0.95;
constexpr const char* kCueWithheld = "cue withheld";

std::string RateText(const Interval& rate) {
  return fmt::format("{:.2f} [{:.2f}, {:.2f}]", rate.value, rate.low, rate.high);
}

json ToJson(const Interval& rate) {
  return {{"rate", rate.value}, {"low", rate.low}, {"high", rate.high}};
}

// Into a part's object, or the whole row.
void AddJudgement(const Judgement& judgement, json* out) {
  (*out)["verdict"] = VerdictName(judgement.verdict);
  if (judgement.verdict == Verdict::kCannotTell) (*out)["more_episodes"] = judgement.more;
}

json ToJson(const RuleCheck& rules) {
  json out = {{"episodes", rules.episodes},   {"chunks", rules.chunks},
              {"of_chunks", rules.of_chunks}, {"window", rules.window},
              {"expected", rules.expected},   {"limit", rules.Limit()},
              {"rules", json::array()}};
  for (const RuleResult& rule : rules.rules) {
    json one = ToJson(WilsonInterval(rule.held, rule.episodes));
    one.update({{"rule", rule.rule}, {"keeps", rule.keeps}, {"episodes", rule.episodes}});
    AddJudgement(rule.judgement, &one);
    out["rules"].push_back(std::move(one));
  }
  return out;
}

json ToJson(const Certificate& c) {
  json row = {{"task", c.task},
              {"delay", c.delay},
              {"suite", SuiteMembers(c.suite)},
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
    row["probe_window"] = ToJson(c.ProbeWindow());
    row["probe_window"]["episodes"] = c.probe->window_held_out;
  }
  for (const auto& [name, judgement] : c.Parts()) {
    const std::string key = name == kCueWithheld ? "blind" : name;
    if (row.contains(key)) AddJudgement(judgement, &row[key]);
  }
  if (c.rules) row["rules"] = ToJson(*c.rules);
  AddJudgement(c.Whole(), &row);
  return row;
}

json ToJson(const CertifySettings& settings) {
  json out = {{"suite", SuiteMembers(settings.suite)},
              {"seed", settings.episodes.run_seed},
              {"episodes", settings.episodes.episodes},
              {"blind_episodes", settings.episodes.blind_episodes},
              {"disturbance", DisturbanceName(settings.episodes.disturbance)}};
  if (settings.probe) {
    out["probe"] = {{"train", settings.probe->train_episodes},
                    {"episodes", settings.probe->held_out_episodes}};
  }
  if (settings.rules) {
    out["rules"] = {{"episodes", settings.rules->episodes},
                    {"novelty_episodes", settings.rules->novelty_episodes}};
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

Interval Certificate::ProbeWindow() const {
  return WilsonInterval(probe->window_right, probe->window_held_out);
}

std::vector<CertificatePart> Certificate::Parts() const {
  const CertifyResult& e = episodes;
  std::vector<CertificatePart> parts = {
      {"expert", e.errors > 0 ? Judgement{.verdict = Verdict::kRefuted}
                              : JudgeAtLeast(e.expert_success, e.episodes, kExpertRate)}};
  if (!needs_memory) return parts;
  parts.push_back(
      {kCueWithheld, JudgeAtMost(e.blind_right, e.blind_decided, chance + kAboveChance)});
  if (probe) {
    const double limit = probe->chance + kAboveChance;
    parts.push_back({"probe", JudgeAtMost(probe->right, probe->held_out, limit)});
    parts.push_back(
        {"probe_window", JudgeAtMost(probe->window_right, probe->window_held_out, limit)});
  }
  if (rules) {
    for (const RuleResult& rule : rules->rules) parts.push_back({rule.rule, rule.judgement});
  }
  return parts;
}

Judgement Certificate::Whole() const {
  Judgement whole{.verdict = Verdict::kCertified};
  for (const CertificatePart& part : Parts()) whole = Worse(whole, part.judgement);
  return whole;
}

std::string Certificate::Line() const {
  std::string line = fmt::format("{:<16} {:<8} ", task, delay);
  if (suite != TaskOptions()) line += fmt::format("({})  ", SuiteText(suite));
  line += fmt::format("expert {}", RateText(Expert()));
  if (needs_memory) {
    line += fmt::format("  {} {} of {} decisions (chance {:.2f})", kCueWithheld, RateText(Blind()),
                        episodes.blind_decided, chance);
  }
  if (probe) {
    line += fmt::format("  probe {} window {} (chance {:.2f}; at the cue {:.2f})",
                        RateText(Probe()), RateText(ProbeWindow()), probe->chance,
                        WilsonInterval(probe->cue_right, probe->cue_held_out).value);
  }
  if (rules) {
    line += fmt::format("  {} of {:.0f} chunks", rules->chunks, rules->of_chunks);
    for (const RuleResult& rule : rules->rules) {
      line += fmt::format(" {} {}", rule.rule, RateText(WilsonInterval(rule.held, rule.episodes)));
    }
    line += fmt::format(" (their bytes explain {:.2f})", rules->expected);
  }
  line += fmt::format("  {} diverged", episodes.errors);
  if (Passes()) return line + "  certified";
  for (const CertificatePart& part : Parts()) {
    if (part.judgement.verdict == Verdict::kCertified) continue;
    line += fmt::format("  {}: {}", part.name, JudgementText(part.judgement));
  }
  return line;
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
                          .suite = task.options(),
                          .needs_memory = info.needs_memory,
                          .chance = info.chance,
                          .episodes = {},
                          .probe = {},
                          .rules = {}};
  Result<CertifyResult> episodes = Certify(task, delay, settings.episodes, show(""));
  if (!episodes.ok()) return episodes.status();
  certificate.episodes = *episodes;
  if (!info.needs_memory) return certificate;
  const auto with_seed = [&settings](auto options) {
    options.run_seed = settings.episodes.run_seed;
    options.threads = settings.episodes.threads;
    return options;
  };
  if (settings.rules) {
    Result<RuleCheck> rules = CheckRules(task, delay, with_seed(*settings.rules), show(" rules"));
    if (!rules.ok()) return rules.status();
    certificate.rules = *std::move(rules);
  }
  if (settings.probe) {
    Result<ProbeResult> probe = RunProbe(task, delay, with_seed(*settings.probe), show(" probe"));
    if (!probe.ok()) return probe.status();
    certificate.probe = *probe;
  }
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
                       {"suite", settings["suite"]},
                       {"settings", settings},
                       {"commit", GitCommit()}},
                  2) +
         "\n";
}

}  // namespace kvla
