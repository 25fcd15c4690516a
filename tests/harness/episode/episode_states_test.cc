// SPDX-License-Identifier: Apache-2.0
#include "harness/episode/episode_states.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/hash.h"
#include "harness/episode/episode_video.h"
#include "tasks/task_list.h"

namespace kvla {
namespace {

// An episode that the expert acts, recorded as the loop records one.
EpisodeRecord Act(const Task& task, World* world, DisturbanceLevel level, bool states) {
  EpisodeRecord record;
  record.begin.id = {"full", task.info().name, "short", 3};
  record.begin.split = "evaluation";
  record.begin.disturbance = DisturbanceName(level);
  const EpisodeKey key{Split::kEvaluation, 0, record.begin.id.task, record.begin.id.delay, 3};
  const Result<Scenario> scenario = task.Place(*world, key);
  EXPECT_TRUE(scenario.ok());
  task.Update(*world, *scenario);
  Disturbance disturbance(level, *scenario, world);
  const auto expert = task.MakeExpert(*scenario, false, Rng(1));
  for (int step = 0; step < 60; ++step) {
    const Action action = expert->Act(*world);
    disturbance.Push();
    EXPECT_TRUE(world->Step(action).ok());
    task.Update(*world, *scenario);
    StepEvent event;
    event.control_step = step;
    event.action = action.value;
    if (states) event.state = world->SaveState();
    record.steps.push_back(event);
  }
  record.end.id = record.begin.id;
  record.end.outcome = "failure";
  record.end.steps = 60;
  record.end.state_hash = Hex64(world->StateHash());
  return record;
}

class EpisodeStatesTest : public testing::Test {
 protected:
  EpisodeStatesTest()
      : task_(*MakeTask("recall_color", KVLA_ASSET_ROOT)), world_(*World::Load(task_->scene())) {}
  std::unique_ptr<Task> task_;
  std::unique_ptr<World> world_;
};

TEST_F(EpisodeStatesTest, ActionsLeadToTheStatesThatWere) {
  for (const DisturbanceLevel level : {DisturbanceLevel::kNone, DisturbanceLevel::kStrong}) {
    EpisodeRecord record = Act(*task_, world_.get(), level, true);
    std::vector<std::vector<double>> were;
    for (StepEvent& step : record.steps) were.push_back(step.state);
    auto stored = EpisodeStates::Make(record, *task_, world_.get());
    ASSERT_TRUE(stored.ok()) << stored.status().message();
    EXPECT_FALSE((*stored)->simulated());
    EXPECT_EQ((*stored)->count(), 61);
    stored->reset();
    for (StepEvent& step : record.steps) step.state.clear();
    auto again = EpisodeStates::Make(record, *task_, world_.get());
    ASSERT_TRUE(again.ok()) << again.status().message();
    EXPECT_TRUE((*again)->simulated());
    ASSERT_EQ((*again)->count(), 61);
    for (int i = 0; i < 60; ++i) {
      ASSERT_EQ((*again)->state(i + 1), were[static_cast<size_t>(i)]) << i;
    }
    ASSERT_TRUE((*again)->Show(30).ok());
    EXPECT_EQ(world_->SaveState(), were[29]);
  }
}

TEST_F(EpisodeStatesTest, APersonsPullIsDoneAgain) {
  EpisodeRecord record = Act(*task_, world_.get(), DisturbanceLevel::kNone, false);
  const std::string untouched = record.end.state_hash;
  // The same actions, with a hand on the last body from step 10 to step 30.
  const EpisodeKey key{Split::kEvaluation, 0, record.begin.id.task, record.begin.id.delay, 3};
  const Result<Scenario> scenario = task_->Place(*world_, key);
  ASSERT_TRUE(scenario.ok());
  task_->Update(*world_, *scenario);
  int body = world_->model()->nbody - 1;
  while (body > 0 && world_->model()->body_dofnum[body] != 6) --body;
  ASSERT_GT(body, 0);
  record.commands = {
      {10, "pull", "", {1.0 * body, 0.01, 0, 0, 0.4, 0.1, 0.3}},
      {20, "threshold", "0.7", {}},
      {30, "release", "", {}},
  };
  std::vector<std::vector<double>> were;
  for (int step = 0; step < 60; ++step) {
    if (step == 10) {
      ASSERT_TRUE(world_->Pull({body, {0.01, 0, 0}, {0.4, 0.1, 0.3}}).ok());
    }
    if (step == 30) world_->Release();
    ASSERT_TRUE(world_->Step(Action{record.steps[static_cast<size_t>(step)].action}).ok());
    task_->Update(*world_, *scenario);
    were.push_back(world_->SaveState());
  }
  record.end.comparable = false;
  record.end.state_hash = Hex64(world_->StateHash());
  ASSERT_NE(record.end.state_hash, untouched);
  const auto again = EpisodeStates::Make(record, *task_, world_.get());
  ASSERT_TRUE(again.ok()) << again.status().message();
  for (int i = 0; i < 60; ++i) {
    ASSERT_EQ((*again)->state(i + 1), were[static_cast<size_t>(i)]) << i;
  }
}

TEST_F(EpisodeStatesTest, AnotherEndIsSaid) {
  EpisodeRecord record = Act(*task_, world_.get(), DisturbanceLevel::kNone, false);
  record.steps[20].action[0] += 0.01f;
  const Status status = EpisodeStates::Make(record, *task_, world_.get()).status();
  EXPECT_EQ(status.code(), StatusCode::kInternal);
  EXPECT_NE(status.message().find(record.end.state_hash), std::string::npos);
  record.commands.push_back({20, "pull", "", {}});
  EXPECT_EQ(EpisodeStates::Make(record, *task_, world_.get()).status().code(),
            StatusCode::kBadInput);
  record.commands.clear();
  record.steps.clear();
  EXPECT_NE(EpisodeStates::Make(record, *task_, world_.get()).status().message().find("no actions"),
            std::string::npos);
}

TEST_F(EpisodeStatesTest, FilmsWithAndWithoutStates) {
  EpisodeRecord record = Act(*task_, world_.get(), DisturbanceLevel::kNone, true);
  EpisodeFilmer::Options options;
  options.size = 64;
  EpisodeFilmer filmer(KVLA_ASSET_ROOT, options);
  const Result<std::string> stored = filmer.Film(record);
  ASSERT_TRUE(stored.ok()) << stored.status().message();
  EXPECT_GT(stored->size(), 2000u);
  EXPECT_EQ(stored->substr(4, 4), "ftyp");
  for (StepEvent& step : record.steps) step.state.clear();
  EXPECT_EQ(*filmer.Film(record), *stored);
  record.steps.clear();
  EXPECT_FALSE(filmer.Film(record).ok());
}

}  // namespace
}  // namespace kvla
