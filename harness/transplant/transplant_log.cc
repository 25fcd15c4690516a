// SPDX-License-Identifier: Apache-2.0
#include "harness/transplant/transplant_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>
#include <utility>

#include "base/config_differences.h"
#include "base/config_io.h"
#include "base/files.h"
#include "base/json_text.h"
#include "base/version.h"

namespace kvla {
namespace {

using nlohmann::json;

// What the trials of a file have in common.
json IdentityOf(const TransplantConfig& config, const std::string& checkpoint_hash) {
  TransplantConfig same = config;
  same.episodes = 1;
  return {{"config", PrintConfig(same)}, {"checkpoint", checkpoint_hash}, {"commit", GitCommit()}};
}

json ToJson(const TransplantTrial& t) {
  json row = {{"arm", t.arm}, {"task", t.task}, {"delay", t.delay}, {"seed", t.seed}};
  if (!t.skipped.empty()) {
    row["skipped"] = t.skipped;
    return row;
  }
  row.update({{"taken", t.taken},
              {"alone", AnswerName(t.alone)},
              {"transplanted", AnswerName(t.transplanted)},
              {"control", AnswerName(t.control)},
              {"control_taken", t.control_taken}});
  return row;
}

Result<TransplantTrial> TrialFrom(const json& row) {
  TransplantTrial t{.arm = row.at("arm").get<std::string>(),
                    .task = row.at("task").get<std::string>(),
                    .delay = row.at("delay").get<std::string>(),
                    .seed = row.at("seed").get<int64_t>(),
                    .skipped = row.value("skipped", "")};
  if (!t.skipped.empty()) return t;
  t.taken = row.at("taken").get<int>();
  t.control_taken = row.at("control_taken").get<int>();
  for (const auto& [name, answer] :
       {std::pair{"alone", &t.alone}, {"transplanted", &t.transplanted}, {"control", &t.control}}) {
    const Result<TransplantAnswer> parsed = ParseAnswer(row.at(name).get<std::string>());
    if (!parsed.ok()) return parsed.status();
    *answer = *parsed;
  }
  return t;
}

Status CheckIdentity(const std::string& file, const json& was, const json& now) {
  if (was == now) return {};
  const std::string config = was.at("config").get<std::string>(), asked = now.at("config");
  if (config != asked) {
    return BadInput(fmt::format("{} was made with other settings:\n  {}\nGive another --out.", file,
                                ListDifferences(ConfigDifferences(config, asked, "the file"))));
  }
  return BadInput(fmt::format(
      "{} was made of checkpoint {} by commit {}, now it is {} and {}: give another --out", file,
      JsonText(was.at("checkpoint")), JsonText(was.at("commit")), JsonText(now.at("checkpoint")),
      JsonText(now.at("commit"))));
}

}  // namespace

Result<TransplantLog> TransplantLog::Open(const std::filesystem::path& path,
                                          const TransplantConfig& config,
                                          const std::string& checkpoint_hash) {
  TransplantLog log;
  log.path_ = path;
  const json identity = IdentityOf(config, checkpoint_hash);
  log.text_ = JsonText(identity) + "\n";
  if (path.empty()) return log;
  Result<WriterLock> lock = WriterLock::OfFile(path);
  if (!lock.ok()) return lock.status();
  log.lock_.emplace(*std::move(lock));
  if (!Exists(path)) return log;
  const Result<std::string> text = ReadFile(path);
  if (!text.ok()) return text.status();
  try {
    std::istringstream lines(*text);
    std::string line;
    std::getline(lines, line);
    if (Status s = CheckIdentity(path.string(), json::parse(line), identity); !s.ok()) return s;
    while (std::getline(lines, line)) {
      Result<TransplantTrial> trial = TrialFrom(json::parse(line));
      if (!trial.ok()) return trial.status().In(path.string());
      log.trials_.push_back(*std::move(trial));
    }
  } catch (const json::exception& e) {
    return BadInput(
        fmt::format("{} is not what kvla transplant --out writes: {}", path.string(), e.what()));
  }
  log.text_ = *text;
  return log;
}

bool TransplantLog::Has(const std::string& arm, const EpisodeJob& job) const {
  return std::ranges::any_of(trials_, [&](const TransplantTrial& t) {
    return t.arm == arm && t.task == job.task && t.delay == job.delay && t.seed == job.seed;
  });
}

Status TransplantLog::Add(const TransplantTrial& trial) {
  trials_.push_back(trial);
  text_ += JsonText(ToJson(trial)) + "\n";
  return path_.empty() ? Status() : WriteFileAtomic(path_, text_);
}

}  // namespace kvla
