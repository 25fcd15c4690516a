// Playing one episode of a task, for the tests of single tasks.
#ifndef KVLA_TESTS_TASKS_PLAY_H_
#define KVLA_TESTS_TASKS_PLAY_H_

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "sim/renderer.h"
#include "tasks/tabletop.h"
#include "tasks/task_list.h"

namespace kvla {

struct Play {
  explicit Play(const std::string& name) {
    auto made = MakeTask(name, KVLA_ASSET_ROOT);
    EXPECT_TRUE(made.ok()) << made.status().message();
    task = *std::move(made);
    auto loaded = World::Load(task->scene());
    EXPECT_TRUE(loaded.ok()) << loaded.status().message();
    world = *std::move(loaded);
  }

  EpisodeKey Key(const std::string& delay, uint64_t episode) const {
    return {Split::kValidation, 5, task->info().name, delay, episode};
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
    const int id = mj_name2id(world->model(), mjOBJ_JOINT, name.c_str());
    EXPECT_GE(id, 0) << name;
    return world->data()->qpos[world->model()->jnt_qposadr[id]];
  }

  double Memory(size_t slot) const { return world->data()->userdata[slot]; }

  // What the front camera sees with the distractor lights out.
  Image Look(int size = 64) {
    if (renderer == nullptr) {
      auto made = Renderer::Create(world->model(), size, size);
      EXPECT_TRUE(made.ok()) << made.status().message();
      renderer = *std::move(made);
    }
    for (int i = 0; i < kNumLights; ++i) {
      SetColor(*world, "light" + std::to_string(i), Lamp::kOff);
    }
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
