// SPDX-License-Identifier: Apache-2.0
// The closed loop with policies that a test can read.
#include "harness/episode/episode.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <limits>
#include <thread>

#include "base/hash.h"
#include "harness/episode/policy_io.h"
#include "tasks/task_list.h"
#include "tests/harness/episode/fake_policy.h"

namespace kvla {
namespace {

class EventLog : public TraceSink {
 public:
  void On(const TraceEvent& event) override { events.push_back(event); }
  const EpisodeBegin& begin() const { return std::get<EpisodeBegin>(events.front()); }
  const EpisodeEnd& end() const { return std::get<EpisodeEnd>(events.back()); }
  template <class T>
  std::vector<T> All() const {
    std::vector<T> all;
    for (const TraceEvent& event : events) {
      if (const T* one = std::get_if<T>(&event)) all.push_back(*one);
    }
    return all;
  }
  std::vector<TraceEvent> events;
};

// A task with its world and GL context.
struct Stage {
  explicit Stage(const std::string& name) {
    task = *MakeTask(name, KVLA_ASSET_ROOT);
    world = *World::Load(task->scene());
    auto made = Renderer::Create(world->model(), 32, 32);
    EXPECT_TRUE(made.ok()) << made.status().message();
    renderer = *std::move(made);
  }
  EpisodeSettings Settings(uint64_t episode) const {
    EpisodeSettings settings;
    settings.arm = "arm";
    settings.asset_root = KVLA_ASSET_ROOT;
    settings.key = {Split::kEvaluation, 0, task->info().name, "short", episode};
    return settings;
  }
  EventLog Run(const EpisodeSettings& settings, FakePolicy port) {
    EventLog log;
    const Status status = RunEpisode(settings, *task, *world, *renderer, port, port, &log);
    EXPECT_TRUE(status.ok()) << status.message();
    return log;
  }

  std::unique_ptr<Task> task;
  std::unique_ptr<World> world;
  std::unique_ptr<Renderer> renderer;
};

// Stays where it is, but for a small circle that depends on what it is shown.
FakePolicy Wanderer() {
  FakePolicy port;
  auto calls = std::make_shared<int>(0);
  port.begin = [calls](const EpisodeContext&) {
    *calls = 0;
    return Status();
  };
  port.infer = [calls, steps = port.spec().replan_steps](const FrameInput& input) {
    const float angle = 0.3f * static_cast<float>((*calls)++) + input.proprio[0];
    const float pixel = static_cast<float>(input.images[0][0]) / 255.0f;
    Inference inference;
    inference.targets.assign(static_cast<size_t>(steps),
                             {0.03f * std::cos(angle), 0.03f * std::sin(angle), 0.01f * pixel, 0, 0,
                              0, std::sin(angle) > 0 ? 1.0f : -1.0f});
    inference.cost.kv_live_bytes = 100 + *calls;
    return Result<Inference>(inference);
  };
  port.tokens = 11;
  return port;
}

// Asks the task's expert at every control step.
FakePolicy Replay(const Stage& stage, const EpisodeKey& key) {
  FakePolicy port = Wanderer();
  port.spec().replan_steps = 1;
  const Result<Scenario> scenario = stage.task->Draw(key);
  std::shared_ptr<Expert> expert =
      stage.task->MakeExpert(*scenario, /*blind=*/false, Rng(key, "test"));
  port.infer = [&stage, expert](const FrameInput&) {
    const Pose ee = stage.world->EndEffector();
    auto target = AbsoluteTarget(ee, expert->Act(*stage.world));
    for (size_t i = 0; i < 3; ++i) target[i] -= static_cast<float>(ee.position[i]);
    Inference inference;
    inference.targets = {target};
    return Result<Inference>(inference);
  };
  return port;
}

TEST(EpisodeTest, TheExpertSolvesItThroughThePolicysPort) {
  Stage stage("pick_place");
  const EpisodeSettings settings = stage.Settings(0);
  const EventLog log = stage.Run(settings, Replay(stage, settings.key));
  EXPECT_EQ(log.end().outcome, "success");
  EXPECT_TRUE(log.end().success);
  EXPECT_TRUE(log.end().motor_ok);
  EXPECT_EQ(log.end().progress, 1);
  EXPECT_EQ(log.end().error, "");
  EXPECT_GT(log.end().steps, 20);
  EXPECT_LT(log.end().steps, log.begin().horizon_steps);
  EXPECT_EQ(static_cast<int>(log.All<InferenceEvent>().size()), log.end().steps);
}

TEST(EpisodeTest, EventsComeInOrder) {
  Stage stage("pick_place");
  EpisodeSettings settings = stage.Settings(1);
  settings.steps = settings.states = settings.images = true;
  const EventLog log = stage.Run(settings, Wanderer());
  ASSERT_TRUE(std::holds_alternative<EpisodeBegin>(log.events.front()));
  ASSERT_TRUE(std::holds_alternative<EpisodeEnd>(log.events.back()));
  int inferences = 0, steps = 0;
  for (size_t i = 1; i + 1 < log.events.size(); ++i) {
    if (const auto* inference = std::get_if<InferenceEvent>(&log.events[i])) {
      EXPECT_EQ(steps, 4 * inferences);
      EXPECT_EQ(inference->index, inferences);
      EXPECT_EQ(inference->control_step, steps);
      EXPECT_NEAR(inference->time_s, 0.05 * steps, 1e-9);
      EXPECT_GT(inference->cost.latency.render_ms, 0);
      EXPECT_EQ(inference->cost.kv_live_bytes, 101 + inferences);
      EXPECT_EQ(inference->action_chunk.size(), size_t{4 * 7});
      ASSERT_EQ(inference->images.size(), 2u);
      EXPECT_EQ(inference->images[1].camera, "wrist");
      EXPECT_EQ(inference->images[1].rgb.size(), size_t{32 * 32 * 3});
      ++inferences;
    } else {
      const auto* step = std::get_if<StepEvent>(&log.events[i]);
      ASSERT_NE(step, nullptr) << "a second begin or end";
      EXPECT_EQ(step->control_step, steps);
      EXPECT_EQ(step->stages.size(), log.begin().stages.size());
      for (const float value : step->action) EXPECT_LE(std::abs(value), 1);
      ++steps;
    }
  }
  EXPECT_EQ(steps, log.end().steps);
  EXPECT_EQ(steps, log.begin().horizon_steps) << "standing still solves nothing";
  EXPECT_EQ(inferences, (steps + 3) / 4);
  EXPECT_EQ(log.end().outcome, "failure");
  // The last state is the one that is hashed.
  ASSERT_TRUE(stage.world->RestoreState(log.All<StepEvent>().back().state).ok());
  EXPECT_EQ(Hex64(stage.world->StateHash()), log.end().state_hash);

  EXPECT_EQ(log.begin().id, log.end().id);
  EXPECT_EQ(ToString(log.begin().id), "arm pick_place/short seed 1");
  EXPECT_EQ(log.begin().split, "evaluation");
  EXPECT_EQ(log.begin().scene, "tasks/pick_place/scene.xml");
  EXPECT_EQ(log.begin().instruction_tokens, 11);
  EXPECT_EQ(log.begin().tokens_per_block, 8);
}

TEST(EpisodeTest, WithoutBeingAskedItSaysNothingOfStepsAndImages) {
  Stage stage("pick_place");
  const EventLog log = stage.Run(stage.Settings(1), Wanderer());
  EXPECT_TRUE(log.All<StepEvent>().empty());
  for (const InferenceEvent& inference : log.All<InferenceEvent>()) {
    EXPECT_TRUE(inference.images.empty());
  }
}

TEST(EpisodeTest, APolicysErrorIsAnOutcome) {
  Stage stage("pick_place");
  const auto failing = [](const std::function<Result<Inference>(const Inference&)>& third) {
    FakePolicy port = Wanderer();
    port.infer = [infer = port.infer, third,
                  calls = std::make_shared<int>(0)](const FrameInput& input) {
      Result<Inference> inference = infer(input);
      return ++*calls == 3 ? third(*inference) : inference;
    };
    return port;
  };
  const std::vector<std::pair<std::string, FakePolicy>> cases = {
      {"policy: no memory left", failing([](const Inference&) {
         return Result<Inference>(InternalError("no memory left"));
       })},
      {"no targets", failing([](Inference i) {
         i.targets.clear();
         return Result<Inference>(i);
       })},
      {"nan", failing([](Inference i) {
         i.targets[2][1] = std::numeric_limits<float>::quiet_NaN();
         return Result<Inference>(i);
       })}};
  for (const auto& [text, port] : cases) {
    const EventLog log = stage.Run(stage.Settings(0), port);
    EXPECT_EQ(log.end().outcome, "error");
    EXPECT_FALSE(log.end().success);
    EXPECT_NE(log.end().error.find(text), std::string::npos) << log.end().error;
    EXPECT_EQ(log.end().steps, 8);
    EXPECT_EQ(log.All<InferenceEvent>().size(), 2u);
    EXPECT_EQ(log.All<EpisodeBegin>().size(), 1u);
  }
  FakePolicy mute = Wanderer();
  mute.begin = [](const EpisodeContext&) { return BadInput("too long an instruction"); };
  const EventLog log = stage.Run(stage.Settings(0), mute);
  ASSERT_EQ(log.events.size(), 2u);
  EXPECT_EQ(log.end().outcome, "error");
  EXPECT_EQ(log.end().steps, 0);
  EXPECT_NE(log.end().error.find("too long an instruction"), std::string::npos);
}

TEST(EpisodeTest, AWatcherCanStopIt) {
  Stage stage("pick_place");
  EpisodeSettings settings = stage.Settings(0);
  std::vector<bool> due;
  settings.before_step = [&](bool inference_due) {
    due.push_back(inference_due);
    return due.size() > 5 ? StepVerdict::kStop : StepVerdict::kGo;
  };
  const EventLog log = stage.Run(settings, Wanderer());
  EXPECT_EQ(due, (std::vector<bool>{true, false, false, false, true, false}));
  EXPECT_EQ(log.end().steps, 5);
  EXPECT_EQ(log.end().outcome, "error");
  EXPECT_EQ(log.end().error, "stopped by the viewer");
}

TEST(EpisodeTest, NoEpisodeDependsOnThoseBeforeIt) {
  for (const std::string name : {"pick_place", "recall_color"}) {
    Stage used(name);
    EpisodeSettings stopped = used.Settings(8);
    int left = 30;
    stopped.before_step = [&](bool) { return left-- > 0 ? StepVerdict::kGo : StepVerdict::kStop; };
    used.Run(used.Settings(7), Wanderer());
    used.Run(stopped, Wanderer());
    const EventLog after = used.Run(used.Settings(5), Wanderer());
    Stage fresh(name);
    const EventLog alone = fresh.Run(fresh.Settings(5), Wanderer());
    EXPECT_EQ(after.end().state_hash, alone.end().state_hash) << name;
    EXPECT_EQ(after.end().steps, alone.end().steps);
    const auto a = after.All<InferenceEvent>(), b = alone.All<InferenceEvent>();
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) EXPECT_EQ(a[i].action_chunk, b[i].action_chunk) << i;
    // Another seed, another run and another split are other episodes.
    EpisodeSettings other = fresh.Settings(6);
    EXPECT_NE(fresh.Run(other, Wanderer()).end().state_hash, alone.end().state_hash);
    other = fresh.Settings(5);
    other.key.run_seed = 1;
    EXPECT_NE(fresh.Run(other, Wanderer()).end().state_hash, alone.end().state_hash);
    other = fresh.Settings(5);
    other.key.split = Split::kTrain;
    EXPECT_NE(fresh.Run(other, Wanderer()).end().state_hash, alone.end().state_hash);
  }
}

TEST(EpisodeTest, WhatThePolicyIsToldAtTheStart) {
  Stage stage("recall_color");
  std::vector<EpisodeContext> told;
  FakePolicy port = Wanderer();
  port.begin = [&](const EpisodeContext& context) {
    told.push_back(context);
    return BadInput("that is all");
  };
  const EventLog log = stage.Run(stage.Settings(3), port);
  EpisodeSettings other_arm = stage.Settings(3);
  other_arm.arm = "other";
  stage.Run(other_arm, port);
  stage.Run(stage.Settings(4), port);
  ASSERT_EQ(told.size(), 3u);
  const Result<Scenario> scenario = stage.task->Draw(stage.Settings(3).key);
  ASSERT_EQ(scenario->cues.size(), 1u);
  EXPECT_EQ(told[0].instruction, scenario->instruction);
  EXPECT_EQ(told[0].cue_blocks, CueBlocks(scenario->cues, 4, 100000));
  EXPECT_EQ(told[0].cue_blocks.size(), 1u);
  ASSERT_EQ(log.begin().cues.size(), 1u);
  EXPECT_EQ(log.begin().cues[0].begin_s, scenario->cues[0].begin_s);
  // The stream of an episode is the same in every arm.
  EXPECT_EQ(told[0].stream_key, told[1].stream_key);
  EXPECT_NE(told[0].stream_key, told[2].stream_key);
}

// A clock that says the same of every inference.
EpisodeSettings WithLatency(EpisodeSettings settings, double seconds) {
  settings.clock = ClockKind::kSimulated;
  settings.think_s = [seconds](int, const Inference&) { return seconds; };
  return settings;
}

TEST(EpisodeTest, ASimulatedClockWithoutLatencyIsTheFrozenOne) {
  Stage stage("pick_place");
  const EventLog frozen = stage.Run(stage.Settings(2), Wanderer());
  const EventLog simulated = stage.Run(WithLatency(stage.Settings(2), 0), Wanderer());
  EXPECT_EQ(frozen.end().state_hash, simulated.end().state_hash);
  EXPECT_EQ(frozen.All<InferenceEvent>().size(), simulated.All<InferenceEvent>().size());
}

TEST(EpisodeTest, TheWorldGoesOnOnTheLastTargetWhileThePolicyThinks) {
  Stage stage("pick_place");
  EpisodeSettings settings = WithLatency(stage.Settings(2), 0.1);
  settings.steps = true;
  const EventLog log = stage.Run(settings, Wanderer());
  const auto inferences = log.All<InferenceEvent>();
  const auto steps = log.All<StepEvent>();
  ASSERT_GT(inferences.size(), 5u);
  EXPECT_EQ(static_cast<int>(steps.size()), log.begin().horizon_steps);
  // Two stale control steps, then the four of the chunk.
  for (size_t i = 0; i + 1 < inferences.size(); ++i) {
    EXPECT_EQ(inferences[i].control_step, static_cast<int>(6 * i));
    EXPECT_EQ(inferences[i].stale_steps, 2);
    EXPECT_TRUE(inferences[i].late);
    EXPECT_DOUBLE_EQ(inferences[i].think_s, 0.1);
  }
  // At the start there is no target yet: the arm stays where it is, the gripper open.
  for (int step : {0, 1}) {
    EXPECT_EQ(steps[step].action, (std::array<float, 7>{0, 0, 0, 0, 0, 0, -1}));
  }
  // Later it keeps the gripper as the last target had it.
  for (size_t i = 1; i + 1 < inferences.size(); ++i) {
    const float last_grip = inferences[i - 1].action_chunk[3 * 7 + 6];
    EXPECT_EQ(steps[6 * i].action[6], last_grip) << i;
    EXPECT_EQ(steps[6 * i + 1].action[6], last_grip) << i;
    EXPECT_EQ(steps[6 * i + 2].action[6], inferences[i].action_chunk[6]) << i;
  }
  const EventLog again = stage.Run(settings, Wanderer());
  EXPECT_EQ(again.end().state_hash, log.end().state_hash);
}

TEST(EpisodeTest, NoThoughtIsStaleForLongerThanTheEpisodeLasts) {
  Stage stage("pick_place");
  const EventLog log = stage.Run(WithLatency(stage.Settings(2), 1000), Wanderer());
  const auto inferences = log.All<InferenceEvent>();
  ASSERT_EQ(inferences.size(), 1u);
  EXPECT_EQ(inferences[0].stale_steps, log.begin().horizon_steps);
  EXPECT_EQ(log.end().steps, log.begin().horizon_steps);
}

// Another task whose stages of one kind are reached for the second second only.
class Passing : public Task {
 public:
  Passing(std::unique_ptr<Task> task, StageKind kind) : task_(std::move(task)), kind_(kind) {}
  const TaskInfo& info() const override { return task_->info(); }
  const TaskOptions& options() const override { return task_->options(); }
  std::filesystem::path scene() const override { return task_->scene(); }
  Result<Scenario> Draw(const EpisodeKey& key) const override { return task_->Draw(key); }
  Result<Scenario> Place(World& world, const EpisodeKey& key) const override {
    return task_->Place(world, key);
  }
  void Update(World& world, const Scenario& scenario) const override {
    task_->Update(world, scenario);
  }
  Progress Evaluate(const World& world, const Scenario&) const override {
    Progress progress;
    const bool now = world.time_s() > 1 && world.time_s() < 2;
    for (const StageInfo& stage : info().stages) {
      progress.reached.push_back(now && stage.kind == kind_);
    }
    return progress;
  }
  std::unique_ptr<Expert> MakeExpert(const Scenario& scenario, bool blind, Rng rng) const override {
    return task_->MakeExpert(scenario, blind, rng);
  }

 private:
  std::unique_ptr<Task> task_;
  StageKind kind_;
};

TEST(EpisodeTest, AStageOnceReachedStaysSoAndOnlyMotorStagesSayHowItMoved) {
  for (const StageKind kind : {StageKind::kMotor, StageKind::kDecisive}) {
    Stage stage("recall_color");
    const std::vector<StageInfo> stages = stage.task->info().stages;
    stage.task = std::make_unique<Passing>(std::move(stage.task), kind);
    const EpisodeEnd end = stage.Run(stage.Settings(0), Wanderer()).end();
    EXPECT_EQ(end.outcome, "failure");
    EXPECT_EQ(end.motor_ok, kind == StageKind::kMotor);
    ASSERT_EQ(end.stages.size(), stages.size());
    int reached = 0;
    for (size_t i = 0; i < stages.size(); ++i) {
      EXPECT_EQ(end.stages[i], stages[i].kind == kind) << stages[i].name;
      reached += end.stages[i] ? 1 : 0;
    }
    EXPECT_DOUBLE_EQ(end.progress, static_cast<double>(reached) / stages.size());
    EXPECT_GT(reached, 0);
    EXPECT_LT(end.progress, 1);
  }
}

TEST(EpisodeTest, LatencyCostsSuccess) {
  Stage stage("pick_place");
  const EpisodeSettings settings = stage.Settings(0);
  EXPECT_TRUE(stage.Run(WithLatency(settings, 0), Replay(stage, settings.key)).end().success);
  EXPECT_TRUE(stage.Run(WithLatency(settings, 0.03), Replay(stage, settings.key)).end().success);
  EXPECT_FALSE(stage.Run(WithLatency(settings, 1), Replay(stage, settings.key)).end().success);
}

TEST(EpisodeTest, TheWallClockCountsWhatThePolicyTook) {
  Stage stage("pick_place");
  EpisodeSettings settings = stage.Settings(2);
  settings.clock = ClockKind::kWall;
  FakePolicy port = Wanderer();
  port.infer = [infer = port.infer](const FrameInput& input) {
    std::this_thread::sleep_for(std::chrono::milliseconds(60));
    return infer(input);
  };
  const EventLog log = stage.Run(settings, port);
  const auto inferences = log.All<InferenceEvent>();
  double thought = 0;
  int stale = 0;
  for (const InferenceEvent& inference : inferences) {
    EXPECT_GE(inference.think_s, 0.06);
    EXPECT_TRUE(inference.late);
    thought += inference.think_s;
    stale += inference.stale_steps;
  }
  EXPECT_NEAR(stale, thought * kControlRateHz, 2 + inferences.back().think_s * kControlRateHz);
  // The same thoughts are early for a slower robot.
  settings.control_rate_hz = 1;
  for (const InferenceEvent& inference : stage.Run(settings, port).All<InferenceEvent>()) {
    EXPECT_FALSE(inference.late);
  }
}

TEST(EpisodeTest, AWindowThatCoversTheCueIsWarnedOf) {
  Stage stage("recall_color");
  EpisodeSettings settings = stage.Settings(0);
  const Result<Scenario> scenario = stage.task->Draw(settings.key);
  settings.cache.policy = "window";
  EXPECT_TRUE(BeginEvent(*stage.task, *scenario, settings, FakePolicy().spec()).warnings.empty());
  settings.cache.window_blocks = 1000;
  PolicySpec policy = FakePolicy().spec();
  policy.window_blocks = 1000;
  EXPECT_EQ(BeginEvent(*stage.task, *scenario, settings, policy).warnings.size(), 1u);
}

TEST(EpisodeTest, AWindowThatThePolicyWasNotTrainedWithIsWarnedOf) {
  Stage stage("pick_place");
  EpisodeSettings settings = stage.Settings(0);
  const Result<Scenario> scenario = stage.task->Draw(settings.key);
  settings.cache.window_blocks = 8;
  const EpisodeBegin begin = BeginEvent(*stage.task, *scenario, settings, FakePolicy().spec());
  ASSERT_EQ(begin.warnings.size(), 1u);
  EXPECT_NE(begin.warnings[0].find("trained with 16"), std::string::npos) << begin.warnings[0];
}

TEST(EpisodeTest, AnEpisodeThatCannotBeginSendsNothing) {
  Stage stage("pick_place");
  EpisodeSettings settings = stage.Settings(0);
  settings.key.delay = "endless";
  EventLog log;
  FakePolicy policy = Wanderer();
  const Status status =
      RunEpisode(settings, *stage.task, *stage.world, *stage.renderer, policy, policy, &log);
  EXPECT_EQ(status.code(), StatusCode::kBadInput);
  EXPECT_TRUE(log.events.empty());
}

}  // namespace
}  // namespace kvla
