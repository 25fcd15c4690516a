// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/training/sub_history.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "tests/policy/tiny_policy.h"

namespace kvla {
namespace {

TEST(SubHistory, TheWayToTheDecisionIsPartOfTheUse) {
  constexpr int kSteps = 4;
  DemoEpisode episode;
  episode.blocks = 10;
  episode.steps = episode.blocks * kSteps - 1;
  episode.target_class.assign(episode.steps, -1);
  episode.decision.assign(episode.steps, 0);
  episode.cue_blocks = {{1, 2}, {3, 4}};
  episode.use_begins = 5 * kSteps;
  // Lit, seen or not; the way, from block 6 on; the decision, within block 8.
  for (const int block : {1, 2, 3, 6, 7, 8, 9}) episode.target_class[block * kSteps] = 2;
  episode.decision[8 * kSteps + 2] = 1;
  episode.target_class[8 * kSteps] = -1;
  std::vector<int> used;
  for (int block = 0; block < episode.blocks; ++block) {
    if (UsesTarget(episode, block, kSteps)) used.push_back(block);
  }
  EXPECT_EQ(used, (std::vector<int>{6, 7, 8, 9}));
  Rng rng(1);
  for (int i = 0; i < 20; ++i) {
    const SubHistory h = DrawSubHistory(
        episode, {.max_blocks = 4, .chunk_blocks = 1, .replan_steps = kSteps, .decision_share = 1},
        rng);
    EXPECT_GE(h.blocks.back(), 6);
  }
}

TEST(SubHistory, ATargetIsFreshInItsFirstBlocks) {
  DemoEpisode episode;
  episode.blocks = episode.steps = 10;
  episode.target_class = {-1, 1, -1, -1, 2, 2, 2, 2, 3, 3};
  episode.decision = {0, 0, 0, 0, 1, 1, 1, 1, 1, 1};
  episode.cue_blocks = {{1, 2}};
  std::vector<int> fresh;
  for (int block = 0; block < episode.blocks; ++block) {
    if (IsFresh(episode, block, 1)) fresh.push_back(block);
  }
  EXPECT_EQ(fresh, (std::vector<int>{4, 5, 8, 9}));
}

// Ten blocks a target, from block 40 on; a cue in chunk 2, decoys in chunks 4 and 6.
DemoEpisode TwoDecisions() {
  DemoEpisode episode;
  episode.blocks = episode.steps = 80;
  episode.target_class.assign(episode.steps, -1);
  episode.decision.assign(episode.steps, 0);
  for (int block = 40; block < 60; ++block) {
    episode.decision[block] = 1;
    episode.target_class[block] = block < 50 ? 1 : 2;
  }
  episode.cue_blocks = {{8, 10}};
  episode.decoy_blocks = {{17, 19}, {25, 27}};
  return episode;
}

constexpr SubHistoryOptions kShows = {
    .max_blocks = 16, .replan_steps = 1, .decision_share = 1, .fresh_share = 1, .show_cues = true};

TEST(SubHistory, EndsWhereADecisionIsFresh) {
  Rng rng(2);
  std::set<int> ends;
  for (int i = 0; i < 60; ++i) {
    ends.insert(DrawSubHistory(TwoDecisions(), kShows, rng).blocks.back());
  }
  EXPECT_EQ(ends, (std::set<int>{40, 41, 50, 51}));
}

TEST(SubHistory, ShowsCuesAndSomeDecoys) {
  std::map<int, int> held;  // how often a chunk is among the blocks
  Rng rng(3);
  constexpr int kDraws = 300;
  for (int i = 0; i < kDraws; ++i) {
    for (const int block : DrawSubHistory(TwoDecisions(), kShows, rng).blocks) {
      if (block % 4 == 0) ++held[block / 4];
    }
  }
  EXPECT_EQ(held[2], kDraws);
  for (const int decoy : {4, 6}) {
    EXPECT_GT(held[decoy], kDraws / 3) << decoy;
    EXPECT_LT(held[decoy], kDraws * 2 / 3) << decoy;
  }
}

class SubHistoryTest : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(StepsCutOff, SubHistoryTest, testing::Values(0, 1, 3));

TEST_P(SubHistoryTest, KeepsTheCueWhereTheDecisionIs) {
  DemoEpisode episode = TinyEpisode(TinyConfig(), 60, 7, 1);
  episode.steps -= GetParam();  // an episode ends where it is done, seldom at a block's end
  episode.decision.resize(static_cast<size_t>(episode.steps));
  Rng rng(4);
  int decisions = 0, forgotten = 0;
  for (int i = 0; i < 200; ++i) {
    const SubHistory h = DrawSubHistory(episode,
                                        {.max_blocks = 16,
                                         .chunk_blocks = 2,
                                         .history = History::kByCues,
                                         .show_cues = true,
                                         .compress = true},
                                        rng);
    EXPECT_LE(h.blocks.size(), 16U + 2U);
    EXPECT_TRUE(std::is_sorted(h.blocks.begin(), h.blocks.end()));
    if (h.blocks.back() >= 57) {
      ++decisions;
      const auto cue = std::find_if(h.decisions.begin(), h.decisions.end(),
                                    [](const ChunkDecision& d) { return d.chunk == 3; });
      ASSERT_NE(cue, h.decisions.end());
      EXPECT_EQ(h.holds_cue, cue->action != ChunkAction::kDropped);
      forgotten += h.holds_cue ? 0 : 1;
    }
  }
  EXPECT_GT(decisions, 50);
  EXPECT_GT(forgotten, 0);
  EXPECT_LT(forgotten, decisions / 2);
}

}  // namespace
}  // namespace kvla
