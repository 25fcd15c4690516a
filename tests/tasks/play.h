// SPDX-License-Identifier: Apache-2.0
// Playing episodes in the tests of tasks: RunExpert() plays one under the scripted expert, Play
// lets a test intervene between control steps.
#ifndef KVLA_TESTS_TASKS_PLAY_H_
#define KVLA_TESTS_TASKS_PLAY_H_

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/renderer.h"
#include "tasks/tabletop.h"
#include "tasks/task.h"
#include "tasks/task_list.h"

namespace kvla {

inline std::unique_ptr<Task> MakeForTest(const std::string& name, const TaskOptions& options = {}) {
  auto task = MakeTask(name, KVLA_ASSET_ROOT, options);
  EXPECT_TRUE(task.ok()) << task.status().message();
  return *std::move(task);
}

// Of the tests' episodes; `delay` must outlive it.
inline EpisodeKey TestKey(const Task& task, std::string_view delay, uint64_t episode) {
  return {Split::kValidation, 11, task.info().name, delay, episode};
}

struct ExpertRun {
  Scenario scenario;
  Progress progress;            // at the end
  std::vector<int> reached_at;  // control steps after which each stage held first, -1 never
  int steps = 0;
};

struct RunOptions {
  bool blind = false;
  // Changes what the expert is told; the task judges by the true scenario.
  std::function<void(Scenario*)> tell = {};
  // Before each step, with the expert's label there; may change the action.
  std::function<void(World&, const ExpertLabel&, Action*)> before_step = {};
  bool stop_when_done = true;
};

// A step that fails fails the test.
inline ExpertRun RunExpert(const Task& task, World& world, const EpisodeKey& key,
                           const RunOptions& options = {}) {
  ExpertRun run;
  auto placed = task.Place(world, key);
  EXPECT_TRUE(placed.ok()) << placed.status().message();
  if (!placed.ok()) return run;
  run.scenario = *std::move(placed);
  Scenario told = run.scenario;
  if (options.tell) options.tell(&told);
  const auto expert = task.MakeExpert(told, options.blind, Rng(key, "expert"));
  run.reached_at.assign(task.info().stages.size(), -1);
  while (run.steps < run.scenario.horizon_steps) {
    Action action = expert->Act(world);
    if (options.before_step) options.before_step(world, expert->Label(), &action);
    const Status status = world.Step(action);
    EXPECT_TRUE(status.ok()) << task.info().name << " " << key.delay << " " << key.episode
                             << " at step " << run.steps << ": " << status.message();
    if (!status.ok()) break;
    ++run.steps;
    task.Update(world, run.scenario);
    run.progress = task.Evaluate(world, run.scenario);
    for (size_t i = 0; i < run.reached_at.size(); ++i) {
      if (run.progress.reached[i] && run.reached_at[i] < 0) run.reached_at[i] = run.steps;
    }
    if (run.progress.done && options.stop_when_done) break;
  }
  return run;
}

struct Play {
  explicit Play(const std::string& name, const TaskOptions& options = {})
      : task(MakeForTest(name, options)) {
    auto loaded = World::Load(task->scene());
    EXPECT_TRUE(loaded.ok()) << loaded.status().message();
    world = *std::move(loaded);
  }

  EpisodeKey Key(std::string_view delay, uint64_t episode) const {
    return TestKey(*task, delay, episode);
  }

  void Place(const std::string& delay, uint64_t episode) {
    auto placed = task->Place(*world, Key(delay, episode));
    ASSERT_TRUE(placed.ok()) << placed.status().message();
    scenario = *std::move(placed);
  }

  Progress Step(const Action& action) {
    const Status status = world->Step(action);
    EXPECT_TRUE(status.ok()) << status.message();
    task->Update(*world, scenario);
    return task->Evaluate(*world, scenario);
  }

  // The open gripper stays where it is until control step `step`.
  void Idle(int step) {
    Action stay;
    stay.value[6] = -1;
    while (world->control_steps() < step) Step(stay);
  }

  // Plays to the end with an expert who believes in `told`; `each` sees the label of every step.
  Progress Finish(const Scenario& told,
                  const std::function<void(int, const ExpertLabel&)>& each = {}) {
    auto expert = task->MakeExpert(told, false, Rng(scenario.Key(), "expert"));
    Progress p = task->Evaluate(*world, scenario);
    while (world->control_steps() < scenario.horizon_steps && !p.done) {
      const Action action = expert->Act(*world);
      if (each) each(world->control_steps(), expert->Label());
      p = Step(action);
    }
    return p;
  }

  double& Joint(const std::string& name) {
    NameLookup names(*world);
    const int position = names.Position(name);
    EXPECT_TRUE(names.status().ok()) << names.status().message();
    return world->data()->qpos[position];
  }

  double Memory(size_t slot) const { return world->data()->userdata[slot]; }

  // What the front camera sees with the distractor lights out.
  Image Look(int size = 64) {
    if (renderer == nullptr) {
      auto made = Renderer::Create(world->model(), size, size);
      EXPECT_TRUE(made.ok()) << made.status().message();
      renderer = *std::move(made);
    }
    for (const int light : world->Ids<TabletopIds>().lights) SetColor(*world, light, Lamp::kOff);
    Image image;
    EXPECT_TRUE(renderer->Render(*world, "front", size, size, &image).ok());
    return image;
  }

  std::unique_ptr<Task> task;
  std::unique_ptr<World> world;
  std::unique_ptr<Renderer> renderer;
  Scenario scenario;
};

// Pixels for which `is(red, green, blue)` holds.
template <class Is>
int CountPixels(const Image& image, Is is) {
  int n = 0;
  for (size_t i = 0; i < image.rgb.size(); i += 3) {
    n += is(image.rgb[i], image.rgb[i + 1], image.rgb[i + 2]);
  }
  return n;
}

// Least and most time in seconds from the last cue to its use, by delay.
using Delays = std::map<std::string, std::pair<double, double>>;

}  // namespace kvla

#endif  // KVLA_TESTS_TASKS_PLAY_H_
