// SPDX-License-Identifier: Apache-2.0
// Wording and disturbance of an episode, from the run's config to what the policy is given.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "harness/demos/demo_recorder.h"
#include "harness/episode/episode.h"
#include "harness/eval/runner.h"
#include "tasks/task_list.h"
#include "tests/harness/episode/fake_policy.h"
#include "tests/harness/test_worker.h"

namespace kvla {
namespace {

struct Seen {
  std::string told;  // the policy
  EpisodeBegin begin;
  EpisodeEnd end;
  std::vector<std::vector<float>> proprio;
  std::vector<std::vector<uint8_t>> images;
};

struct Log : TraceSink {
  void On(const TraceEvent& event) override {
    if (const auto* b = std::get_if<EpisodeBegin>(&event)) begin = *b;
    if (const auto* e = std::get_if<EpisodeEnd>(&event)) end = *e;
  }
  EpisodeBegin begin;
  EpisodeEnd end;
};

class ConditionsTest : public testing::Test {
 protected:
  explicit ConditionsTest(const std::string& task = "press_named")
      : task_(*MakeTask(task, KVLA_ASSET_ROOT)), world_(*World::Load(task_->scene())) {
    renderer_ = *Renderer::Create(world_->model(), 32, 32);
  }

  // An arm that stays where it is.
  Seen Run(Phrasing phrasing, DisturbanceLevel level, uint64_t episode = 0) {
    Seen seen;
    FakePolicy port;
    port.begin = [&seen](const EpisodeContext& context) {
      seen.told = context.instruction;
      return Status();
    };
    port.infer = [&seen](const FrameInput& input) {
      seen.proprio.emplace_back(input.proprio.begin(), input.proprio.end());
      seen.images.emplace_back(input.images[0].begin(), input.images[0].end());
      Inference inference;
      inference.targets.assign(4, {});
      return Result<Inference>(inference);
    };
    EpisodeSettings settings;
    settings.key = {Split::kEvaluation, 0, task_->info().name, "short", episode};
    settings.phrasing = phrasing;
    settings.disturbance = level;
    Log log;
    EXPECT_TRUE(RunEpisode(settings, *task_, *world_, *renderer_, port, port, &log).ok());
    seen.begin = log.begin;
    seen.end = log.end;
    return seen;
  }

  std::unique_ptr<Task> task_;
  std::unique_ptr<World> world_;
  std::unique_ptr<Renderer> renderer_;
};

TEST_F(ConditionsTest, TheWordingReachesThePolicyAndChangesNothingElse) {
  const Seen canonical = Run(Phrasing::kCanonical, DisturbanceLevel::kNone);
  std::set<std::string> told = {canonical.told};
  for (const auto phrasing : {Phrasing::kHeldOut, Phrasing::kSwapped}) {
    const Seen other = Run(phrasing, DisturbanceLevel::kNone);
    told.insert(other.told);
    EXPECT_EQ(other.begin.instruction, other.told);
    EXPECT_EQ(other.end.state_hash, canonical.end.state_hash);
    EXPECT_EQ(other.images, canonical.images);
  }
  EXPECT_EQ(told.size(), 3u);
}

TEST_F(ConditionsTest, ADisturbanceReachesSensorsCamerasAndObjects) {
  const Seen none = Run(Phrasing::kCanonical, DisturbanceLevel::kNone);
  for (const auto level : {DisturbanceLevel::kMild, DisturbanceLevel::kStrong}) {
    const Seen once = Run(Phrasing::kCanonical, level);
    const Seen again = Run(Phrasing::kCanonical, level);
    EXPECT_EQ(once.end.state_hash, again.end.state_hash);
    EXPECT_EQ(once.proprio, again.proprio);
    EXPECT_EQ(once.images, again.images);
    EXPECT_NE(once.end.state_hash, none.end.state_hash);
    EXPECT_NE(once.proprio[0], none.proprio[0]);
    EXPECT_NE(once.images[0], none.images[0]);
    EXPECT_EQ(once.told, none.told);
  }
  const Seen after = Run(Phrasing::kCanonical, DisturbanceLevel::kNone);
  EXPECT_EQ(after.end.state_hash, none.end.state_hash);
  EXPECT_EQ(after.proprio, none.proprio);
  EXPECT_EQ(after.images, none.images);
}

TEST(ConditionsConfigTest, ARunsConfigSetsBoth) {
  ScratchDir scratch;
  RunConfig config;
  config.checkpoint = MakeCheckpoint(scratch / "checkpoint").string();
  config.tasks = {{"press_named", {"short"}}};
  config.arms.resize(1);
  config.arms[0].name = "full";
  config.episodes = 1;
  config.instructions = "swapped";
  config.disturbance = "strong";
  const Result<RunPlan> plan = PlanRun(config, KVLA_ASSET_ROOT);
  ASSERT_TRUE(plan.ok()) << plan.status().message();
  const EpisodeSettings settings = SettingsOf(*plan, plan->jobs[0]);
  EXPECT_EQ(settings.phrasing, Phrasing::kSwapped);
  EXPECT_EQ(settings.disturbance, DisturbanceLevel::kStrong);
  config.tasks = {{"recall_color", {"short"}}};
  const Result<RunPlan> refused = PlanRun(config, KVLA_ASSET_ROOT);
  EXPECT_EQ(refused.status().code(), StatusCode::kBadInput);
  EXPECT_NE(refused.status().message().find("nothing to swap"), std::string::npos);
}

TEST(ConditionsDemosTest, DemonstrationsAreWordedAsAsked) {
  const auto recorder = *DemoRecorder::Create("pick_place", KVLA_ASSET_ROOT, {"front"}, 32, 4);
  const auto task = *MakeTask("pick_place", KVLA_ASSET_ROOT);
  const auto& seen = task->info().instructions;
  std::set<std::string> heard;
  for (uint64_t episode = 0; episode < 4; ++episode) {
    const EpisodeKey key{Split::kTrain, 0, "pick_place", "short", episode};
    const DemoRecording plain = *recorder->Record(key, DemoNoise());
    EXPECT_EQ(plain.scenario.instruction, task->info().instruction);
    const DemoRecording worded = *recorder->Record(key, DemoNoise(), Phrasing::kSeen);
    heard.insert(worded.scenario.instruction);
    EXPECT_EQ(worded.states, plain.states);
  }
  EXPECT_GE(heard.size(), 2u);
  for (const std::string& text : heard) {
    EXPECT_NE(std::find(seen.begin(), seen.end(), text), seen.end());
  }
}

}  // namespace
}  // namespace kvla
