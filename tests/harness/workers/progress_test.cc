// SPDX-License-Identifier: Apache-2.0
#include "harness/workers/progress.h"

#include <gtest/gtest.h>

#include "base/columns.h"

namespace kvla {
namespace {

TEST(BarLine, TheBarShrinksBeforeTheTextIsCut) {
  EXPECT_EQ(BarLine("demos", 0.5, "3/6 50%", 80),
            "demos [" + std::string(12, '=') + std::string(12, ' ') + "] 3/6 50%");
  EXPECT_EQ(BarLine("demos", 0.5, "3/6 50%", 24), "demos [====    ] 3/6 50%");
  EXPECT_EQ(BarLine("demos", 0.5, "3/6 50%", 20), "demos [==  ] 3/6 50%");
  EXPECT_EQ(BarLine("demos", 0.5, "3/6 50%", 19), "demos 3/6 50%");
  EXPECT_EQ(BarLine("demos", 0.5, "3/6 50%", 9), "demos 3/6");
  EXPECT_EQ(BarLine("demos", 0.5, "3/6 50%", 0), "");
}

TEST(BarLine, IsNeverWiderThanItMayBe) {
  const std::string label = "r\xc3\xa9gl\xc3\xa9 \xe6\xbc\xa2", text = "7/9 78% \xf0\x9f\xa4\x96";
  for (int columns = 0; columns < 60; ++columns) {
    EXPECT_LE(DisplayColumns(BarLine(label, 7.0 / 9, text, columns)), columns);
  }
  EXPECT_EQ(BarLine("a", 7, "b", 12), "a [======] b");
  EXPECT_EQ(BarLine("a", -1, "b", 12), "a [      ] b");
}

TEST(ProgressBar, LeavesOutTheTimeInWhichTheProcessWasStopped) {
  ProgressBar bar(ProgressStyle::kNone, "x", 10);
  bar.Update(5);
  // Were it begun in the future, nothing could be said about the rate.
  bar.LeaveOut(1000);
  EXPECT_EQ(bar.Text(), "5/10  50%");
}

}  // namespace
}  // namespace kvla
