#include <fmt/format.h>

#include "apps/view_flags.h"
#include "base/config_io.h"
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
    fmt::print(stderr, "kvla: the run's config is of another version: no thresholds\n");
    return plan;
  }
  if (Result<RunPlan> full = PlanRun(config, context.asset_root); full.ok()) {
    return *std::move(full);
  } else {
    fmt::print(stderr, "kvla: shown without the policy's own images and FLOPs: {}\n",
               full.status().message());
  }
  plan.config = config;
  for (const RunArm& arm : config.arms) plan.caches.push_back(arm.cache);
  return plan;
}

}  // namespace

Status ViewReplay(const AppContext& context, const ViewFlags& flags) {
  if (!flags.overrides.empty()) {
    return BadInput("--set changes a config; a run is shown as it was evaluated");
  }
  if (!flags.out.empty()) return BadInput("--out keeps live episodes; this is a run already");
  ReplayWish wish{flags.WantedArms(), flags.task, flags.delay, std::nullopt, flags.follow};
  if (flags.seed.has_value()) wish.seed = *flags.seed;
  Result<std::unique_ptr<ReplayFeed>> feed = ReplayFeed::Open(flags.what, wish);
  if (!feed.ok()) return feed.status();
  return ShowFeed(feed->get(), HooksOf(PlanOf((*feed)->meta(), context), flags), flags);
}

}  // namespace kvla
