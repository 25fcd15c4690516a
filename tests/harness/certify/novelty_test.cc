// SPDX-License-Identifier: Apache-2.0
#include "harness/certify/novelty.h"

#include <gtest/gtest.h>

#include "tasks/recall_color/recall_color.h"

namespace kvla {
namespace {

using Pixels = std::vector<uint8_t>;

TEST(Novelty, IsWhatChangesWithinAChunkAndAgainstTheBlockBefore) {
  NoveltyMeter meter(2);
  for (const Pixels& block : {Pixels{10, 10},
                              {10, 14},  // changes by 2 on average
                              {10, 14},
                              {10, 14},  // not at all
                              {30, 14},
                              {10, 14},       // there and back: 10 + 10
                              {250, 250}}) {  // not whole
    meter.Add(block);
  }
  EXPECT_EQ(meter.scores().changes, (std::vector<double>{2, 0, 20}));
  // Means {10, 12}, {10, 14}, {20, 14}.
  EXPECT_EQ(meter.scores().means, (std::vector<double>{0, 1, 5}));
}

TEST(Novelty, KeepsTheHighestAndOfEqualsTheEarlier) {
  const std::vector<double> scores = {1, 5, 3, 5, 3};
  EXPECT_EQ(Highest(scores, 3), (std::vector<int>{1, 3, 2}));
  EXPECT_EQ(Highest(scores, 9).size(), 5U);
  EXPECT_TRUE(Highest(scores, 0).empty());
}

TEST(Novelty, IsMeasuredOfTheChunksAskedForWhateverTheThreads) {
  const RecallColor task(KVLA_ASSET_ROOT, {});
  const std::vector<int> left = {3, 0, 5};
  NoveltyOptions options;
  const auto one = MeasureNovelty(task, "short", left, options, {});
  ASSERT_TRUE(one.ok()) << one.status().message();
  options.threads = 2;
  const auto two = MeasureNovelty(task, "short", left, options, {});
  ASSERT_TRUE(two.ok()) << two.status().message();
  for (size_t i = 0; i < left.size(); ++i) {
    EXPECT_EQ((*one)[i].changes.size(), static_cast<size_t>(left[i]));
    EXPECT_EQ((*one)[i].changes, (*two)[i].changes);
    EXPECT_EQ((*one)[i].means, (*two)[i].means);
  }
}

}  // namespace
}  // namespace kvla
