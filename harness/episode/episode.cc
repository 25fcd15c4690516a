// SPDX-License-Identifier: Apache-2.0
#include "harness/episode/episode.h"

#include <fmt/format.h>

#include <cmath>
#include <memory>
#include <utility>

#include "base/split_names.h"
#include "harness/episode/episode_loop.h"
#include "harness/episode/suite_options.h"
#include "kv_efficient/methods/method_table.h"

namespace kvla {

std::string GeometryWarning(const CacheConfig& cache, const PolicySpec& policy) {
  if (policy.window_blocks == 0) return "";  // trained with no history: nothing to be like
  if (cache.window_blocks == policy.window_blocks && cache.chunk_blocks == policy.chunk_blocks) {
    return "";
  }
  return fmt::format(
      "a window of {} blocks in chunks of {}, but the policy was trained with {} in chunks of {}: "
      "tokens older than the window get other positions, under 'full' as well, so that this arm "
      "compares another policy",
      cache.window_blocks, cache.chunk_blocks, policy.window_blocks, policy.chunk_blocks);
}

EpisodeBegin BeginEvent(const Task& task, const Scenario& scenario, const EpisodeSettings& settings,
                        const PolicySpec& policy) {
  const TaskInfo& info = task.info();
  EpisodeBegin begin;
  begin.id = {settings.arm, scenario.task, scenario.delay, static_cast<int64_t>(scenario.episode)};
  begin.split = SplitName(scenario.split);
  begin.run_seed = scenario.run_seed;
  begin.instruction = scenario.instruction;
  begin.scene = settings.asset_root.empty()
                    ? task.scene().string()
                    : task.scene().lexically_relative(settings.asset_root).string();
  begin.cache_policy = settings.cache.policy;
  begin.method = TraitsOf(settings.cache);
  begin.disturbance = DisturbanceName(settings.disturbance);
  begin.suite = SuiteMembers(task.options());
  begin.twin = scenario.twin;
  if (const double onset = scenario.OnsetSeconds(); onset >= 0) begin.onset_s = onset;
  if (const double wait = scenario.WaitSeconds(); wait >= 0) begin.wait_s = wait;
  begin.horizon_steps = scenario.horizon_steps;
  begin.control_rate_hz = kControlRateHz;
  begin.replan_steps = policy.replan_steps;
  begin.tokens_per_block = policy.tokens_per_block;
  begin.chunk_blocks = settings.cache.chunk_blocks;
  begin.window_blocks = settings.cache.window_blocks;
  begin.chance = info.chance;
  for (const StageInfo& stage : info.stages) {
    begin.stages.push_back({stage.name, stage.kind == StageKind::kDecisive});
  }
  for (const CueInterval& cue : scenario.cues) begin.cues.push_back({cue.begin_s, cue.end_s});
  for (const Decoy& decoy : scenario.decoys) {
    begin.decoys.push_back({decoy.begin * kControlPeriod, decoy.end * kControlPeriod, decoy.what});
  }
  if (const std::string warning = GeometryWarning(settings.cache, policy); !warning.empty()) {
    begin.warnings.push_back(warning);
  }
  if (const std::string warning = GateKeepWarning(settings.cache); !warning.empty()) {
    begin.warnings.push_back(warning);
  }
  if (scenario.decision_s >= 0) {
    const double period = policy.replan_steps * kControlPeriod;
    const std::string warning = CueCoverageWarning(
        settings.cache, CueBlocks(scenario.cues, policy.replan_steps, scenario.horizon_steps),
        static_cast<int>(std::ceil(scenario.decision_s / period - 1e-6)));
    if (!warning.empty()) begin.warnings.push_back(warning);
  }
  return begin;
}

Status RunEpisode(const EpisodeSettings& settings, const Task& task, World& world,
                  Renderer& renderer, Policy& policy, Session& session, TraceSink* sink) {
  Result<std::unique_ptr<EpisodeLoop>> loop =
      EpisodeLoop::Begin(settings, task, world, renderer, policy.spec(), session, sink);
  if (!loop.ok()) return loop.status();
  while ((*loop)->Advance()) {
    (*loop)->Answer(InferOne(policy, session, (*loop)->observation()));
  }
  return {};
}

}  // namespace kvla
