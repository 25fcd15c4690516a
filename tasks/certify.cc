#include "tasks/certify.h"

#include <memory>

namespace kvla {

Result<CertifyResult> Certify(const Task& task, const std::string& delay, int episodes,
                              uint64_t run_seed, const std::function<bool(int, int)>& progress) {
  auto loaded = World::Load(task.scene());
  if (!loaded.ok()) return loaded.status();
  World& world = **loaded;
  CertifyResult result;
  result.episodes = episodes;
  for (int i = 0; i < 2 * episodes; ++i) {
    if (progress && !progress(i, 2 * episodes)) return Status(StatusCode::kCancelled, "cancelled");
    const bool blind = i >= episodes;
    const EpisodeKey key{Split::kValidation, run_seed, task.info().name, delay,
                         static_cast<uint64_t>(i % episodes)};
    auto scenario = task.Place(world, key);
    if (!scenario.ok()) return scenario.status();
    auto expert = task.MakeExpert(*scenario, blind, Rng(key, "expert"));
    Progress p = task.Evaluate(world, *scenario);
    for (int step = 0; step < scenario->horizon_steps && !p.done; ++step) {
      if (!world.Step(expert->Act(world)).ok()) {
        ++result.errors;
        break;
      }
      task.Update(world, *scenario);
      p = task.Evaluate(world, *scenario);
      if (!blind) ++result.expert_steps;
    }
    if (!blind) {
      result.expert_success += p.success;
    } else {
      result.blind_success += p.success;
      result.blind_decided += p.decisive_reached;
      result.blind_right += p.decisive_right;
    }
  }
  if (progress) progress(2 * episodes, 2 * episodes);
  return result;
}

}  // namespace kvla
