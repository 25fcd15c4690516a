// SPDX-License-Identifier: Apache-2.0
#include "harness/certify/expert_trials.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <mutex>

#include "base/parallel_jobs.h"

namespace kvla {
namespace {

constexpr double kBound = 1.96;  // standard deviations of a 95% bound
constexpr double kSlack = 3.1;   // of the rate's own spread, one-sided: one in a thousand
constexpr int kFewestBlind = 100;

struct Outcome {
  bool diverged = false;
  int steps = 0;
  Progress progress;
};

Result<Outcome> RunOne(const Task& task, World& world, const EpisodeKey& key, bool blind,
                       DisturbanceLevel level) {
  auto scenario = task.Place(world, key);
  if (!scenario.ok()) return scenario.status();
  auto expert = task.MakeExpert(*scenario, blind, Rng(key, "expert"));
  Disturbance disturbance(level, *scenario, &world);
  Outcome outcome;
  outcome.progress = task.Evaluate(world, *scenario);
  while (outcome.steps < scenario->horizon_steps && !outcome.progress.done) {
    const Action action = expert->Act(world);
    disturbance.Push();
    outcome.diverged = !world.Step(action).ok();
    if (outcome.diverged) break;
    ++outcome.steps;
    task.Update(world, *scenario);
    outcome.progress = task.Evaluate(world, *scenario);
  }
  return outcome;
}

void Count(const Outcome& outcome, bool blind, CertifyResult* result) {
  const Progress& p = outcome.progress;
  if (outcome.diverged) {
    ++result->errors;
  } else if (blind) {
    result->blind_success += p.success;
    result->blind_decided += p.decisive_reached;
    result->blind_right += p.decisive_right;
  } else {
    result->expert_success += p.success;
    result->expert_steps += outcome.steps;
  }
}

}  // namespace

int BlindEpisodesFor(double chance, int at_least) {
  const double deviations = (kBound + kSlack) / kAboveChance;
  const int needed = static_cast<int>(std::ceil(chance * (1 - chance) * deviations * deviations));
  return std::max({needed, at_least, kFewestBlind});
}

Result<CertifyResult> Certify(const Task& task, const std::string& delay,
                              const CertifyOptions& options,
                              const std::function<bool(int, int)>& progress) {
  CertifyOptions settled = options;
  if (settled.blind_episodes == 0 && task.info().needs_memory) {
    settled.blind_episodes = BlindEpisodesFor(task.info().chance, settled.episodes);
  }
  CertifyResult result{.episodes = settled.episodes, .blind_episodes = settled.blind_episodes};
  std::mutex mutex;  // guards result
  const auto begin = [&]() -> Result<Job> {
    auto world = World::Load(task.scene());
    if (!world.ok()) return world.status();
    return Job([&, world = std::shared_ptr<World>(*std::move(world))](int i) -> Status {
      const bool blind = i >= settled.episodes;
      const EpisodeKey key{Split::kValidation, settled.run_seed, task.info().name, delay,
                           static_cast<uint64_t>(blind ? i - settled.episodes : i)};
      const Result<Outcome> outcome = RunOne(task, *world, key, blind, settled.disturbance);
      if (!outcome.ok()) return outcome.status();
      const std::lock_guard<std::mutex> lock(mutex);
      Count(*outcome, blind, &result);
      return {};
    });
  };
  const Status status =
      RunParallelJobs(settled.episodes + settled.blind_episodes, settled.threads, begin, progress);
  return status.ok() ? Result<CertifyResult>(result) : status;
}

}  // namespace kvla
