// SPDX-License-Identifier: Apache-2.0
#include "harness/episode/policy_io.h"

#include <gtest/gtest.h>

#include <cmath>

#include "sim/arm.h"

namespace kvla {
namespace {

using Blocks = std::vector<std::pair<int, int>>;

TEST(CueBlocksTest, HalfOpenRangesOfInferencesThatSawTheCue) {
  // Inference k looks at k * 0.2 s; a cue is lit in [begin, end).
  EXPECT_EQ(CueBlocks({{4.0, 4.5}}, 4, 100), (Blocks{{20, 23}}));    // 4.0, 4.2, 4.4
  EXPECT_EQ(CueBlocks({{4.0, 4.4}}, 4, 100), (Blocks{{20, 22}}));    // 4.4 is dark again
  EXPECT_EQ(CueBlocks({{4.05, 4.55}}, 4, 100), (Blocks{{21, 23}}));  // 4.2, 4.4
  EXPECT_EQ(CueBlocks({{0.0, 0.05}}, 4, 100), (Blocks{{0, 1}}));
  EXPECT_EQ(CueBlocks({{4.0, 4.5}}, 1, 1000), (Blocks{{80, 90}}));
  EXPECT_EQ(CueBlocks({{1.0, 1.2}, {2.0, 2.4}}, 4, 100), (Blocks{{5, 6}, {10, 12}}));
}

TEST(CueBlocksTest, LeavesOutWhatNoInferenceSaw) {
  EXPECT_EQ(CueBlocks({}, 4, 100), Blocks{});
  EXPECT_EQ(CueBlocks({{4.05, 4.15}}, 4, 100), Blocks{});         // between two inferences
  EXPECT_EQ(CueBlocks({{4.0, 4.5}}, 4, 22), (Blocks{{20, 22}}));  // the episode ended in it
  EXPECT_EQ(CueBlocks({{4.0, 4.5}}, 4, 20), Blocks{});
}

Pose Down(double x, double y, double z) { return {{x, y, z}, kGripperDown}; }

TEST(ActionTest, AnAbsoluteTargetBecomesAClippedDelta) {
  const Pose ee = Down(0.4, 0.1, 0.2);
  const Action near = ActionForTarget(ee, {0.425, 0.1, 0.15}, {0, 0, 0.25}, -1);
  EXPECT_NEAR(near.value[0], 0.5, 1e-6);  // 0.025 m of 0.05 m
  EXPECT_NEAR(near.value[1], 0, 1e-6);
  EXPECT_NEAR(near.value[2], -1, 1e-6);             // just the most
  EXPECT_NEAR(std::abs(near.value[5]), 0.5, 1e-6);  // 0.25 rad of 0.5 rad
  EXPECT_EQ(near.value[6], -1);
  const Action far = ActionForTarget(ee, {2, -3, 0.2}, {0, 0, 3}, 1);
  EXPECT_EQ(far.value[0], 1);
  EXPECT_EQ(far.value[1], -1);
  EXPECT_NEAR(far.value[2], 0, 1e-6);
  EXPECT_EQ(std::abs(far.value[5]), 1);
  EXPECT_EQ(far.value[6], 1);
}

TEST(ActionTest, TargetsOfActionsGiveTheActionsBack) {
  Pose ee = Down(0.5, -0.05, 0.3);
  ee.quaternion = Rotate(ee.quaternion, {0.1, -0.2, 0.4});
  const Action action{{0.3f, -0.7f, 1.0f, 0.2f, -0.4f, 0.6f, 1.0f}};
  const auto target = AbsoluteTarget(ee, action);
  const Action back = ActionForTarget(ee, {target[0], target[1], target[2]},
                                      {target[3], target[4], target[5]}, target[6]);
  for (size_t i = 0; i < action.value.size(); ++i) {
    EXPECT_NEAR(back.value[i], action.value[i], 1e-4) << i;
  }
  // Beyond the limits the target is that of the clipped action.
  const Action wild{{5, -5, 0, 0, 0, 9, -1}};
  const Action clipped{{1, -1, 0, 0, 0, 1, -1}};
  EXPECT_EQ(AbsoluteTarget(ee, wild), AbsoluteTarget(ee, clipped));
}

TEST(ProprioTest, PositionTurnFromGripperDownAndWidth) {
  Pose ee = Down(0.5, -0.05, 0.3);
  const std::array<float, kProprioDim> down{0.5f, -0.05f, 0.3f, 0, 0, 0, 0.04f};
  const auto proprio = ProprioVector(ee.position, ee.quaternion, 0.04);
  for (size_t i = 0; i < down.size(); ++i) EXPECT_NEAR(proprio[i], down[i], 1e-6) << i;
  // q and -q are one orientation.
  std::array<double, 4> negated = kGripperDown;
  for (double& q : negated) q = -q;
  const auto same = ProprioVector(ee.position, negated, 0.04);
  for (size_t i = 0; i < down.size(); ++i) EXPECT_NEAR(same[i], down[i], 1e-6) << i;
  ee.quaternion = Rotate(ee.quaternion, {0, 0, 0.3});
  const auto turned = ProprioVector(ee.position, ee.quaternion, 0.04);
  EXPECT_NEAR(std::hypot(turned[3], turned[4], turned[5]), 0.3, 1e-6);
}

}  // namespace
}  // namespace kvla
