// SPDX-License-Identifier: Apache-2.0
// How many control steps the world makes while the policy thinks.
#include "sim/clock.h"

#include <gtest/gtest.h>

namespace kvla {
namespace {

TEST(ClockTest, AFrozenWorldWaits) {
  Clock clock(ClockKind::kFrozen, 20);
  EXPECT_EQ(clock.StepsDuring(100), 0);
  EXPECT_FALSE(clock.Late(100));
}

TEST(ClockTest, TimeIsNeitherLostNorMade) {
  for (const ClockKind kind : {ClockKind::kSimulated, ClockKind::kWall}) {
    Clock clock(kind, 20);
    EXPECT_EQ(clock.StepsDuring(0.1), 2);
    EXPECT_EQ(clock.StepsDuring(0), 0);
    int steps = 0;
    for (int i = 0; i < 1000; ++i) steps += clock.StepsDuring(0.013);
    EXPECT_EQ(steps, 260);
  }
  // Ten tenths of a control period are one, whatever the rounding.
  Clock tenths(ClockKind::kSimulated, 1);
  for (int i = 0; i < 9; ++i) EXPECT_EQ(tenths.StepsDuring(0.1), 0) << i;
  EXPECT_EQ(tenths.StepsDuring(0.1), 1);
}

TEST(ClockTest, AFasterRobotMakesMoreSteps) {
  Clock clock(ClockKind::kSimulated, 80);
  EXPECT_EQ(clock.StepsDuring(0.1), 8);
}

TEST(ClockTest, LateIsMoreThanAControlPeriod) {
  const Clock clock(ClockKind::kSimulated, 20);
  EXPECT_FALSE(clock.Late(0.05));
  EXPECT_TRUE(clock.Late(0.0501));
}

TEST(ClockTest, NonsenseMakesNoSteps) {
  Clock clock(ClockKind::kWall, 20);
  EXPECT_EQ(clock.StepsDuring(-1), 0);
  EXPECT_EQ(clock.StepsDuring(0.0 / 0.0), 0);
  EXPECT_GT(clock.StepsDuring(1e300), 0);
  EXPECT_EQ(clock.StepsDuring(0.1), 2);
}

TEST(ClockTest, NamesAreChecked) {
  EXPECT_EQ(*ParseClockKind("wall"), ClockKind::kWall);
  EXPECT_NE(ParseClockKind("frosen").status().message().find("did you mean 'frozen'?"),
            std::string::npos);
}

}  // namespace
}  // namespace kvla
