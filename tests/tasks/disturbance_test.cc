// SPDX-License-Identifier: Apache-2.0
#include "tasks/disturbance.h"

#include <gtest/gtest.h>

#include "sim/renderer.h"
#include "tasks/tabletop.h"
#include "tests/tasks/play.h"

namespace kvla {
namespace {

class DisturbanceTest : public testing::Test {
 protected:
  DisturbanceTest() : task_(MakeForTest("recall_color")), world_(*World::Load(task_->scene())) {}

  // Steps the arm at rest and returns how far the block went.
  double Displacement(DisturbanceLevel level, uint64_t episode, int steps = 400) {
    Scenario s = *task_->Place(*world_, TestKey(*task_, "short", episode));
    s.horizon_steps = steps;
    Disturbance disturbance(level, s, world_.get());
    const Vec3 before = BlockPosition(*world_);
    Action stay;
    stay.value[6] = -1;
    for (int i = 0; i < steps; ++i) {
      disturbance.Push();
      EXPECT_TRUE(world_->Step(stay).ok());
    }
    return Distance(before, BlockPosition(*world_));
  }

  std::unique_ptr<Task> task_;
  std::unique_ptr<World> world_;
};

TEST_F(DisturbanceTest, Names) {
  for (const auto level :
       {DisturbanceLevel::kNone, DisturbanceLevel::kMild, DisturbanceLevel::kStrong}) {
    EXPECT_EQ(*ParseDisturbance(DisturbanceName(level)), level);
  }
  const auto unknown = ParseDisturbance("midl");
  EXPECT_EQ(unknown.status().code(), StatusCode::kBadInput);
  EXPECT_NE(unknown.status().message().find("mild"), std::string::npos);
}

TEST_F(DisturbanceTest, NoneIsAsIfItWereNotThere) {
  Displacement(DisturbanceLevel::kNone, 0);
  const uint64_t with = world_->StateHash();
  ASSERT_TRUE(task_->Place(*world_, TestKey(*task_, "short", 0)).ok());
  Action stay;
  stay.value[6] = -1;
  for (int i = 0; i < 400; ++i) ASSERT_TRUE(world_->Step(stay).ok());
  EXPECT_EQ(world_->StateHash(), with);
  const Scenario s = *task_->Place(*world_, TestKey(*task_, "short", 0));
  const Disturbance disturbance(DisturbanceLevel::kNone, s, world_.get());
  EXPECT_EQ(disturbance.Sense(world_->Proprio()).ee.position, world_->Proprio().ee.position);
}

TEST_F(DisturbanceTest, KnocksMoveThingsTheStrongerTheFurther) {
  double mild = 0, strong = 0;
  for (uint64_t episode = 0; episode < 4; ++episode) {
    mild += Displacement(DisturbanceLevel::kMild, episode);
    strong += Displacement(DisturbanceLevel::kStrong, episode);
  }
  EXPECT_LT(Displacement(DisturbanceLevel::kNone, 0), 0.001);
  EXPECT_GT(mild / 4, 0.002);
  EXPECT_GT(strong, 2 * mild);
  EXPECT_LT(strong / 4, 0.15);
}

TEST_F(DisturbanceTest, IsAFunctionOfTheKey) {
  Displacement(DisturbanceLevel::kStrong, 1);
  const uint64_t first = world_->StateHash();
  Displacement(DisturbanceLevel::kStrong, 2);
  EXPECT_NE(world_->StateHash(), first);
  Displacement(DisturbanceLevel::kStrong, 1);
  EXPECT_EQ(world_->StateHash(), first);
}

TEST_F(DisturbanceTest, SensorsAreNoisyAndTheNoiseDependsOnTheStepAlone) {
  const Scenario s = *task_->Place(*world_, TestKey(*task_, "short", 1));
  for (const auto level : {DisturbanceLevel::kMild, DisturbanceLevel::kStrong}) {
    const Disturbance disturbance(level, s, world_.get());
    const Proprioception clean = world_->Proprio();
    const Proprioception once = disturbance.Sense(clean);
    EXPECT_EQ(once.ee.position, disturbance.Sense(clean).ee.position);
    EXPECT_NE(once.ee.position, clean.ee.position);
    EXPECT_NE(once.gripper_width, clean.gripper_width);
    EXPECT_LT(Distance(once.ee.position, clean.ee.position), 0.03);
    ASSERT_TRUE(world_->Step(Action()).ok());
    EXPECT_NE(disturbance.Sense(clean).ee.position, once.ee.position);
  }
}

TEST_F(DisturbanceTest, CamerasAndLightAreShiftedAndPutBack) {
  const auto renderer = *Renderer::Create(world_->model(), 64, 64);
  const Scenario s = *task_->Place(*world_, TestKey(*task_, "short", 1));
  const auto look = [&] {
    Image image;
    EXPECT_TRUE(renderer->Render(*world_, "front", 64, 64, &image).ok());
    return image.rgb;
  };
  const auto apart = [](const std::vector<uint8_t>& a, const std::vector<uint8_t>& b) {
    double sum = 0;
    for (size_t i = 0; i < a.size(); ++i) sum += std::abs(int{a[i]} - int{b[i]});
    return sum / static_cast<double>(a.size());
  };
  const auto before = look();
  const uint64_t state = world_->StateHash();
  double mild, strong;
  {
    const Disturbance disturbance(DisturbanceLevel::kMild, s, world_.get());
    mild = apart(look(), before);
  }
  {
    const Disturbance disturbance(DisturbanceLevel::kStrong, s, world_.get());
    strong = apart(look(), before);
    EXPECT_EQ(world_->StateHash(), state);
  }
  EXPECT_GT(mild, 0.5);
  EXPECT_GT(strong, mild);
  EXPECT_EQ(look(), before);
}

TEST_F(DisturbanceTest, TheExpertCopesWithAMildOne) {
  for (uint64_t episode = 0; episode < 3; ++episode) {
    const EpisodeKey key = TestKey(*task_, "short", episode);
    std::unique_ptr<Disturbance> disturbance;
    const Scenario s = *task_->Draw(key);
    RunOptions options;
    options.before_step = [&](World& world, const ExpertLabel&, Action*) {
      if (disturbance == nullptr) {
        disturbance = std::make_unique<Disturbance>(DisturbanceLevel::kMild, s, &world);
      }
      disturbance->Push();
    };
    EXPECT_TRUE(RunExpert(*task_, *world_, key, options).progress.success) << episode;
  }
}

}  // namespace
}  // namespace kvla
