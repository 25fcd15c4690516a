// One episode under a task's scripted expert, for the tests.
#ifndef KVLA_TESTS_TASKS_RUN_EXPERT_H_
#define KVLA_TESTS_TASKS_RUN_EXPERT_H_

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tasks/task.h"
#include "tasks/task_list.h"

namespace kvla {

inline std::unique_ptr<Task> MakeForTest(const std::string& name) {
  auto task = MakeTask(name, KVLA_ASSET_ROOT);
  EXPECT_TRUE(task.ok()) << task.status().message();
  return *std::move(task);
}

// `delay` must outlive the key.
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

}  // namespace kvla

#endif  // KVLA_TESTS_TASKS_RUN_EXPERT_H_
