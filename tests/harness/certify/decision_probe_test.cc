// SPDX-License-Identifier: Apache-2.0
#include "harness/certify/decision_probe.h"

#include <gtest/gtest.h>

#include "tasks/recall_color/recall_color.h"
#include "tasks/tabletop.h"
#include "tasks/task_list.h"

namespace kvla {
namespace {

ProbeOptions Few() {
  ProbeOptions options;
  options.train_episodes = 24;
  options.held_out_episodes = 12;
  options.threads = 2;
  return options;
}

// recall_color whose lamp goes on showing the cue: a leak that the probe is there to find.
class LeakyTask : public RecallColor {
 public:
  using RecallColor::RecallColor;
  void Update(World& world, const Scenario& scenario) const override {
    RecallColor::Update(world, scenario);
    for (const char* lamp : {"cue_lamp", "light0", "light1", "light2"}) {
      SetColor(world, *world.GeomId(lamp), Lamp::kColor, scenario.target);
    }
  }
};

TEST(Probe, FindsALeak) {
  const Result<ProbeResult> result = RunProbe(LeakyTask(KVLA_ASSET_ROOT, {}), "short", Few());
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_EQ(result->classes, 4);
  EXPECT_EQ(result->held_out, 12);
  EXPECT_EQ(result->cue_held_out, 12);
  EXPECT_GE(result->right, 9);
}

// recall_color whose lamps show the cue for 0.4 s, 2 s before the decision: in the window, not in
// the last frame.
class HastyLeak : public RecallColor {
 public:
  using RecallColor::RecallColor;
  void Update(World& world, const Scenario& scenario) const override {
    RecallColor::Update(world, scenario);
    const double ago = scenario.params[kGo] - world.control_steps();
    if (ago > 40 || ago <= 32) return;
    for (const char* lamp : {"cue_lamp", "light0", "light1", "light2"}) {
      SetColor(world, *world.GeomId(lamp), Lamp::kColor, scenario.target);
    }
  }
};

TEST(Probe, OfTheWindowFindsALeakBeforeTheDecision) {
  ProbeOptions options = Few();
  options.train_episodes = 70;
  options.held_out_episodes = 16;
  const Result<ProbeResult> result = RunProbe(HastyLeak(KVLA_ASSET_ROOT, {}), "short", options);
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_EQ(result->window_held_out, 16);
  EXPECT_GE(result->window_right, 11);
  EXPECT_LE(result->right, 9);
}

TEST(Probe, IsBlindWithoutOne) {
  const Result<ProbeResult> result = RunProbe(RecallColor(KVLA_ASSET_ROOT, {}), "short", Few());
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_LE(result->right, 8);
  EXPECT_LE(result->window_right, 8);
  EXPECT_GE(result->chance, 0.25);
}

TEST(Probe, ATaskWithoutADecisionIsBadInput) {
  Result<std::unique_ptr<Task>> task = MakeTask("pick_place", KVLA_ASSET_ROOT);
  ASSERT_TRUE(task.ok());
  ProbeOptions options = Few();
  options.train_episodes = options.held_out_episodes = 1;
  const Result<ProbeResult> result = RunProbe(**task, (*task)->info().delays.front(), options);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.status().code(), StatusCode::kBadInput);
}

}  // namespace
}  // namespace kvla
