// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <memory>
#include <utility>

#include "apps/view_flags.h"
#include "base/config_io.h"
#include "base/streams.h"
#include "base/text.h"
#include "harness/episode/episode_states.h"
#include "harness/episode/suite_options.h"
#include "viewer/replay_feed.h"

namespace kvla {
namespace {

// The run's own settings. Where its policy is not at hand any more, the run is shown without what
// only the policy's config tells.
RunPlan PlanOf(const RunMeta& meta, const AppContext& context) {
  RunPlan plan;
  plan.asset_root = context.asset_root;
  const auto text = meta.find("config");
  if (text == meta.end()) return plan;
  const Result<ConfigNode> node = ParseYaml(text->second, "(the run's config)", false);
  if (!node.ok()) return plan;
  RunConfig config;
  if (!ParseConfig(*node, &config).ok()) {
    Say("kvla: the run's config is of another version: no thresholds\n");
    return plan;
  }
  if (Result<RunPlan> full = PlanRun(config, context.asset_root); full.ok()) {
    return *std::move(full);
  } else {
    Say("kvla: shown without the policy's own images and FLOPs: {}\n",
        Printable(full.status().message()));
  }
  plan.config = config;
  for (const RunArm& arm : config.arms) plan.caches.push_back(arm.cache);
  return plan;
}

// States that a run did not store follow from its actions, a person's pulls included.
class StateMaker {
 public:
  explicit StateMaker(std::filesystem::path asset_root) : asset_root_(std::move(asset_root)) {}

  Status operator()(EpisodeRecord* record) {
    const auto& steps = record->steps;
    const bool stored = std::all_of(steps.begin(), steps.end(),
                                    [](const StepEvent& step) { return !step.state.empty(); });
    if (stored && !steps.empty()) return {};
    if (!IsTaskOf(task_.get(), record->begin)) {
      world_.reset();
      Result<std::unique_ptr<Task>> task = MakeTaskOf(record->begin, asset_root_);
      if (!task.ok()) return task.status();
      Result<std::unique_ptr<World>> world = World::Load((*task)->scene());
      if (!world.ok()) return world.status();
      task_ = *std::move(task);
      world_ = *std::move(world);
    }
    const Result<std::unique_ptr<EpisodeStates>> states =
        EpisodeStates::Make(*record, *task_, world_.get());
    if (!states.ok()) return states.status();
    for (size_t i = 0; i < steps.size() && static_cast<int>(i) + 1 < (*states)->count(); ++i) {
      record->steps[i].state = (*states)->state(static_cast<int>(i) + 1);
    }
    return {};
  }

 private:
  std::filesystem::path asset_root_;
  std::unique_ptr<Task> task_;
  std::unique_ptr<World> world_;
};

}  // namespace

Status ViewReplay(const AppContext& context, const ViewFlags& flags) {
  if (!flags.overrides.empty()) {
    return BadInput("--set changes a config; a run is shown as it was evaluated");
  }
  if (!flags.out.empty()) return BadInput("--out keeps live episodes; this is a run already");
  ReplayWish wish{flags.WantedArms(), flags.task, flags.delay, std::nullopt, flags.follow};
  if (flags.seed.has_value()) wish.seed = *flags.seed;
  const auto maker = std::make_shared<StateMaker>(context.asset_root);
  Result<std::unique_ptr<ReplayFeed>> feed = ReplayFeed::Open(
      flags.what, wish, [maker](EpisodeRecord* record) { return (*maker)(record); });
  if (!feed.ok()) return feed.status();
  return ShowFeed(feed->get(), HooksOf(PlanOf((*feed)->meta(), context), flags), flags);
}

}  // namespace kvla
