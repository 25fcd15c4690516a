// SPDX-License-Identifier: Apache-2.0
// What the policy's cameras see, against MuJoCo's own drawing.
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "tests/tasks/play.h"

namespace kvla {
namespace {

// Reflections make MuJoCo draw the whole scene. Nothing in the tasks reflects.
std::unique_ptr<Renderer> WholeScenes(const World& world, int size) {
  auto made = Renderer::Create(world.model(), size, size, {.reflections = true});
  EXPECT_TRUE(made.ok()) << made.status().message();
  return *std::move(made);
}

class PolicyImages : public testing::TestWithParam<std::string> {};

TEST_P(PolicyImages, AreThoseOfTheWholeScene) {
  Play play(GetParam());
  const auto& delays = play.task->info().delays;
  constexpr int kSize = 64;
  const auto whole = WholeScenes(*play.world, kSize);
  auto sparse = Renderer::Create(play.world->model(), kSize, kSize);
  ASSERT_TRUE(sparse.ok()) << sparse.status().message();
  int compared = 0;
  for (const uint64_t episode : {0, 1}) {
    play.Place(delays.empty() ? "" : delays[0], episode);
    play.Finish(play.scenario, [&](int step, const ExpertLabel&) {
      if (step % 7 != 0) return;
      for (const char* camera : {"front", "wrist"}) {
        Image a, b;
        ASSERT_TRUE(whole->Render(*play.world, camera, kSize, kSize, &a).ok());
        ASSERT_TRUE((*sparse)->Render(*play.world, camera, kSize, kSize, &b).ok());
        EXPECT_EQ(a.rgb, b.rgb) << camera << " at step " << step << " of episode " << episode;
        ++compared;
      }
    });
  }
  EXPECT_GT(compared, 20);
}

INSTANTIATE_TEST_SUITE_P(Tasks, PolicyImages, testing::ValuesIn(TaskNames()),
                         [](const auto& name) { return name.param; });

}  // namespace
}  // namespace kvla
