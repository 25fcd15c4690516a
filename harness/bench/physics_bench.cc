// SPDX-License-Identifier: Apache-2.0
#include "harness/bench/physics_bench.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <vector>

#include "sim/world.h"

namespace kvla {
namespace {

using SteadyClock = std::chrono::steady_clock;

double SecondsSince(SteadyClock::time_point begin) {
  return std::chrono::duration<double>(SteadyClock::now() - begin).count();
}

// A piece of an episode: where it begins and what moves it.
struct Piece {
  std::vector<double> begin;
  std::vector<Action> actions;
  std::vector<double> controls;  // [physics steps, nu]
};

Result<Piece> Record(const Task& task, World& world, int control_steps) {
  const EpisodeKey key{Split::kValidation, 0, task.info().name, task.info().delays.front(), 0};
  const Result<Scenario> scenario = task.Place(world, key);
  if (!scenario.ok()) return scenario.status();
  task.Update(world, *scenario);
  const std::unique_ptr<Expert> expert =
      task.MakeExpert(*scenario, /*blind=*/false, Rng(key, "bench"));
  Piece piece;
  piece.begin = world.SaveState();
  for (int i = 0; i < std::min(control_steps, scenario->horizon_steps); ++i) {
    piece.actions.push_back(expert->Act(world));
    if (Status s = world.Step(piece.actions.back()); !s.ok()) return s;
    task.Update(world, *scenario);
    if (task.Evaluate(world, *scenario).done) break;
  }
  // Once more without the script, which may push things: this is what both loops play.
  if (Status s = world.RestoreState(piece.begin); !s.ok()) return s;
  for (const Action& action : piece.actions) {
    world.arm().Begin(world.data(), action);
    for (int i = 0; i < kSubsteps; ++i) {
      world.arm().Apply(world.data(), i);
      piece.controls.insert(piece.controls.end(), world.data()->ctrl,
                            world.data()->ctrl + world.model()->nu);
      mj_step(world.model(), world.data());
    }
    world.Forward();
  }
  return piece;
}

}  // namespace

Result<PhysicsBench> BenchPhysics(const Task& task, int control_steps, double seconds) {
  Result<std::unique_ptr<World>> loaded = World::Load(task.scene());
  if (!loaded.ok()) return loaded.status();
  World& world = **loaded;
  const Result<Piece> piece = Record(task, world, control_steps);
  if (!piece.ok()) return piece.status();
  const auto nu = static_cast<size_t>(world.model()->nu);
  const auto steps = static_cast<double>(piece->actions.size() * kSubsteps);
  double by_world = 0, bare = 0;
  PhysicsBench bench;
  bench.same_end = true;
  int rounds = 0;
  const SteadyClock::time_point start = SteadyClock::now();
  while (rounds < 2 || SecondsSince(start) < seconds) {
    if (Status s = world.RestoreState(piece->begin); !s.ok()) return s;
    SteadyClock::time_point begin = SteadyClock::now();
    for (const Action& action : piece->actions) {
      if (Status s = world.Step(action); !s.ok()) return s;
    }
    const double world_s = SecondsSince(begin);
    const uint64_t world_hash = world.StateHash();

    if (Status s = world.RestoreState(piece->begin); !s.ok()) return s;
    begin = SteadyClock::now();
    for (size_t at = 0; at < piece->controls.size(); at += nu) {
      std::copy_n(&piece->controls[at], nu, world.data()->ctrl);
      mj_step(world.model(), world.data());
    }
    const double bare_s = SecondsSince(begin);
    bench.same_end = bench.same_end && world.StateHash() == world_hash;
    if (++rounds == 1) continue;  // warms the caches
    by_world += world_s;
    bare += bare_s;
  }
  bench.world_steps_per_s = (rounds - 1) * steps / by_world;
  bench.bare_steps_per_s = (rounds - 1) * steps / bare;
  return bench;
}

}  // namespace kvla
