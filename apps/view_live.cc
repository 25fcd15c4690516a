// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "apps/view_flags.h"
#include "base/config_io.h"
#include "base/streams.h"
#include "base/text.h"
#include "harness/live/live_feed.h"
#include "kv_efficient/methods/method_table.h"

namespace kvla {
namespace {

// How many seeds the picker offers.
constexpr int kSeeds = 64;

// The arm to show where none is named: the first whose method scores against a threshold, which has
// most to show; else the first.
std::string DefaultArm(const RunConfig& config) {
  for (const RunArm& arm : config.arms) {
    if (TraitsOf(arm.cache).threshold.has_value()) return arm.name;
  }
  return config.arms.front().name;
}

// Checks the names that the flags give, and adds a task that is not of this run.
Status Narrow(const ViewFlags& flags, RunConfig* config) {
  if (config->arms.empty()) return BadInput("'arms' is empty: nothing to show");
  std::vector<std::string> names;
  for (const RunArm& arm : config->arms) names.push_back(arm.name);
  for (const std::string& arm : flags.WantedArms()) {
    if (std::find(names.begin(), names.end(), arm) != names.end()) continue;
    return BadInput(fmt::format("arm {}: the config has no such arm, only {}{}", arm,
                                Join(names, ", "), DidYouMean(arm, names)));
  }
  const bool known =
      flags.task.empty() || std::any_of(config->tasks.begin(), config->tasks.end(),
                                        [&](const RunTask& t) { return t.name == flags.task; });
  if (!known) config->tasks = {{flags.task, {}}};  // not of this run, yet of this program
  if (!flags.delay.empty()) {
    for (RunTask& task : config->tasks) {
      if (flags.task.empty() || task.name == flags.task) task.delays = {flags.delay};
    }
  }
  if (flags.seed.has_value()) config->first_episode = *flags.seed;
  config->episodes = kSeeds;
  return {};
}

// With --out, an episode whose window was closed is worth its end.
void FinishUnwatched(LiveFeed* feed) {
  feed->Finish();
  const std::atomic<bool>* interrupted = CatchInterrupts();
  constexpr std::chrono::milliseconds kNap{20};
  constexpr auto kSayAfter = std::chrono::seconds(1);
  const auto start = std::chrono::steady_clock::now();
  bool said = false;
  while (feed->any_alive() && !*interrupted) {
    if (!said && std::chrono::steady_clock::now() - start > kSayAfter) {
      Say("kvla: the window is closed, the episode goes on to its end; Ctrl+C stops it\n");
      said = true;
    }
    std::this_thread::sleep_for(kNap);
  }
}

}  // namespace

Status ViewLive(const AppContext& context, const ViewFlags& flags) {
  if (flags.follow) return BadInput("--follow is for the folder of a run that is in progress");
  RunConfig config;
  if (Status status = LoadConfigFile(flags.what, flags.overrides, &config); !status.ok()) {
    return status;
  }
  if (Status status = Narrow(flags, &config); !status.ok()) return status;
  const Result<RunPlan> plan = PlanRun(config, context.asset_root);
  if (!plan.ok()) return plan.status();
  Pick pick;
  pick.arms = flags.WantedArms();
  if (pick.arms.empty()) pick.arms = {DefaultArm(config)};
  for (const EpisodeJob& job : plan->jobs) {
    if (!flags.task.empty() && job.task != flags.task) continue;
    pick.task = job.task;
    pick.delay = job.delay;
    pick.seed = job.seed;
    break;
  }
  std::unique_ptr<LiveStore> store;
  if (!flags.out.empty()) {
    Result<std::unique_ptr<LiveStore>> made = LiveStore::Create(flags.out, config);
    if (!made.ok()) return made.status();
    store = *std::move(made);
  }
  LiveFeed feed(*plan, flags.speed.value_or(flags.picture() ? 0 : 1), store.get());
  if (Status status = feed.Choose(pick); !status.ok()) return status;
  const Status status = ShowFeed(&feed, HooksOf(*plan, flags), flags);
  if (store != nullptr && status.ok()) FinishUnwatched(&feed);
  feed.Quit();
  if (Status run = feed.status(); !run.ok()) return run;
  return status;
}

}  // namespace kvla
