#include "tasks/certify.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "apps/commands.h"
#include "harness/probe.h"
#include "harness/progress.h"
#include "results/statistics.h"
#include "tasks/task_list.h"

namespace kvla {
namespace {

using nlohmann::json;

// The bar of a certified task's expert; kAboveChance is the other one.
constexpr double kExpertRate = 0.95;

struct CertifyFlags {
  std::string task;
  std::string delay;
  CertifyOptions episodes;
  std::string disturbance = "none";
  bool probe = false;
  int probe_train = ProbeOptions().train_episodes;
  int probe_episodes = ProbeOptions().held_out_episodes;
  bool json = false;
};

json RateJson(const Interval& rate) {
  return {{"rate", rate.value}, {"low", rate.low}, {"high", rate.high}};
}

std::string RateText(const Interval& rate) {
  return fmt::format("{:.2f} [{:.2f}, {:.2f}]", rate.value, rate.low, rate.high);
}

// One task at one delay.
struct Certificate {
  CertifyResult episodes;
  std::optional<ProbeResult> probe;

  Interval Expert() const { return WilsonInterval(episodes.expert_success, episodes.episodes); }
  Interval Blind() const { return WilsonInterval(episodes.blind_right, episodes.blind_decided); }
  Interval Probe() const { return WilsonInterval(probe->right, probe->held_out); }
  bool Passes(const TaskInfo& info) const {
    if (Expert().value < kExpertRate || episodes.errors > 0) return false;
    if (!info.needs_memory) return true;
    if (episodes.blind_decided == 0 || Blind().high >= info.chance + kAboveChance) return false;
    return !probe || Probe().high < probe->chance + kAboveChance;
  }
};

json ToJson(const TaskInfo& info, const std::string& delay, const Certificate& c) {
  json row = {{"task", info.name},
              {"delay", delay},
              {"episodes", c.episodes.episodes},
              {"expert", RateJson(c.Expert())},
              {"chance", info.chance},
              {"errors", c.episodes.errors},
              {"passed", c.Passes(info)}};
  if (info.needs_memory) {
    row["blind"] = RateJson(c.Blind());
    row["blind"]["decided"] = c.episodes.blind_decided;
    row["blind"]["success"] = c.episodes.blind_success;
  }
  if (c.probe) {
    row["probe"] = RateJson(c.Probe());
    row["probe"].update({{"classes", c.probe->classes},
                         {"chance", c.probe->chance},
                         {"episodes", c.probe->held_out}});
    row["probe"]["at_cue"] = RateJson(WilsonInterval(c.probe->cue_right, c.probe->cue_held_out));
  }
  return row;
}

void Print(const TaskInfo& info, const std::string& delay, const Certificate& c) {
  fmt::print("{:<16} {:<8} expert {}", info.name, delay, RateText(c.Expert()));
  if (info.needs_memory) {
    fmt::print("  cue withheld {} of {} decisions (chance {:.2f})", RateText(c.Blind()),
               c.episodes.blind_decided, info.chance);
  }
  if (c.probe) {
    fmt::print("  probe {} (chance {:.2f}; at the cue {:.2f})", RateText(c.Probe()),
               c.probe->chance, WilsonInterval(c.probe->cue_right, c.probe->cue_held_out).value);
  }
  fmt::print("  {} diverged  {}\n", c.episodes.errors,
             c.Passes(info) ? "certified" : "NOT certified");
  std::fflush(stdout);
}

Result<Certificate> CertifyOne(const Task& task, const std::string& delay,
                               const CertifyFlags& flags, const std::atomic<bool>* cancel) {
  const std::string name = fmt::format("{} {}", task.info().name, delay);
  Certificate certificate;
  CertifyOptions settled = flags.episodes;
  const Result<DisturbanceLevel> level = ParseDisturbance(flags.disturbance);
  if (!level.ok()) return level.status();
  settled.disturbance = *level;
  if (settled.blind_episodes == 0 && task.info().needs_memory) {
    settled.blind_episodes = BlindEpisodesFor(task.info().chance, settled.episodes);
  }
  ProgressBar bar(name, settled.episodes + settled.blind_episodes);
  Result<CertifyResult> episodes = Certify(task, delay, settled, [&bar, cancel](int done, int) {
    bar.Update(done);
    return !cancel->load();
  });
  bar.Clear();
  if (!episodes.ok()) return episodes.status();
  certificate.episodes = *episodes;
  if (!flags.probe || !task.info().needs_memory) return certificate;
  ProbeOptions options;
  options.train_episodes = flags.probe_train;
  options.held_out_episodes = flags.probe_episodes;
  options.run_seed = settled.run_seed;
  ProgressBar probe_bar(name + " probe", flags.probe_train + flags.probe_episodes);
  Result<ProbeResult> probe = RunProbe(task, delay, options, [&probe_bar, cancel](int done, int) {
    probe_bar.Update(done);
    return !cancel->load();
  });
  probe_bar.Clear();
  if (!probe.ok()) return probe.status();
  certificate.probe = *probe;
  return certificate;
}

int RunCertify(const AppContext& context, const CertifyFlags& flags) {
  const std::atomic<bool>* cancel = CatchInterrupts();
  std::vector<std::string> names = TaskNames();
  if (!flags.task.empty()) names = {flags.task};
  json rows = json::array();
  bool all = true;
  for (const std::string& name : names) {
    const Result<std::unique_ptr<Task>> task = MakeTask(name, context.asset_root);
    if (!task.ok()) return ReportStatus(task.status());
    const TaskInfo& info = (*task)->info();
    std::vector<std::string> delays = info.delays;
    if (!flags.delay.empty()) delays = {flags.delay};
    for (const std::string& delay : delays) {
      const Result<Certificate> certificate = CertifyOne(**task, delay, flags, cancel);
      if (!certificate.ok()) return ReportStatus(certificate.status());
      all = all && certificate->Passes(info);
      rows.push_back(ToJson(info, delay, *certificate));
      if (!flags.json) Print(info, delay, *certificate);
    }
  }
  if (flags.json)
    fmt::print("{}\n", json{{"tasks", rows}, {"disturbance", flags.disturbance}}.dump(2));
  return all ? kExitDone : kExitEpisodeErrors;
}

}  // namespace

CLI::App* AddCertify(CLI::App& parent, const AppContext& context, int* exit_code) {
  auto flags = std::make_shared<CertifyFlags>();
  CLI::App* command = parent.add_subcommand(
      "certify", "Check that the expert solves a task, and not without the cue");
  command->add_option("task", flags->task, "Task; all without it");
  command->add_option("--delay", flags->delay, "Only this delay");
  command->add_option("--episodes", flags->episodes.episodes, "Episodes of a task and delay")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  command
      ->add_option("--blind-episodes", flags->episodes.blind_episodes,
                   "Episodes without the cue; 0: as many as tell chance from 10 points above it")
      ->check(CLI::Range(0, 100000))
      ->capture_default_str();
  command->add_option("--threads", flags->episodes.threads, "Episodes at a time")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  command->add_option("--seed", flags->episodes.run_seed, "Run seed")->capture_default_str();
  command
      ->add_option("--disturbance", flags->disturbance,
                   "Loose objects are knocked about: none, mild or strong")
      ->capture_default_str();
  command->add_flag("--probe", flags->probe,
                    "Also train a classifier on what is seen when the decision opens: it must stay "
                    "at chance");
  command->add_option("--probe-train", flags->probe_train, "Episodes to train the classifier on")
      ->check(CLI::Range(10, 100000))
      ->capture_default_str();
  command->add_option("--probe-episodes", flags->probe_episodes, "Episodes to test it on")
      ->check(CLI::Range(10, 100000))
      ->capture_default_str();
  command->add_flag("--json", flags->json, "For programs");
  command->callback([flags, &context, exit_code] { *exit_code = RunCertify(context, *flags); });
  return command;
}

}  // namespace kvla
