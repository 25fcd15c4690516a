// SPDX-License-Identifier: Apache-2.0
#include "viewer/replay_feed.h"

#include <gtest/gtest.h>

#include "tests/scratch_dir.h"
#include "tests/viewer/synthetic_trace.h"
#include "viewer/episode_model.h"

namespace kvla {
namespace {

class ReplayFeedTest : public testing::Test {
 protected:
  ReplayFeedTest() : run_(scratch_ / "run") {
    auto store = RunStore::Create(run_, {{"config", ""}});
    EXPECT_TRUE(store.ok()) << store.status().message();
    store_.emplace(*std::move(store));
    for (const char* arm : {"gated", "window"}) {
      for (const int64_t seed : {3, 4}) Write(arm, seed);
    }
  }

  void Write(const std::string& arm, int64_t seed) {
    const Status status =
        store_->WriteEpisode(SyntheticRecord(arm, seed, {1, 2, 3}), TraceLevel::kFull);
    EXPECT_TRUE(status.ok()) << status.message();
  }

  EpisodeModel Drain(EpisodeFeed* feed, size_t side) {
    EpisodeModel model;
    TraceEvent event;
    while (feed->source(side)->Poll(&event)) model.Apply(event);
    return model;
  }

  ScratchDir scratch_;
  std::filesystem::path run_;
  std::optional<RunStore> store_;
};

TEST_F(ReplayFeedTest, OpensTheFirstFailureWhereNothingIsAskedFor) {
  auto feed = ReplayFeed::Open(run_, {});
  ASSERT_TRUE(feed.ok()) << feed.status().message();
  EXPECT_EQ((*feed)->pick(), (Pick{{"window"}, "recall_color", "short", 3}));
  EXPECT_EQ((*feed)->arms(), (std::vector<std::string>{"gated", "window"}));
  EXPECT_EQ((*feed)->episodes().size(), 4u);
  EXPECT_FALSE((*feed)->live());
  const EpisodeModel model = Drain(feed->get(), 0);
  EXPECT_EQ(model.inferences().size(), 40u);
  EXPECT_EQ(model.steps().size(), 160u);
  EXPECT_NE(model.steps().back().state, nullptr);
  EXPECT_EQ(model.end()->outcome, "failure");
}

TEST_F(ReplayFeedTest, PutsTwoArmsOfOneEpisodeSideBySide) {
  ReplayWish wish;
  wish.arms = {"gated", "window"};
  wish.seed = 4;
  auto feed = ReplayFeed::Open(run_, wish);
  ASSERT_TRUE(feed.ok()) << feed.status().message();
  EXPECT_EQ(Drain(feed->get(), 0).begin().id, (EpisodeId{"gated", "recall_color", "short", 4}));
  EXPECT_EQ(Drain(feed->get(), 1).begin().id, (EpisodeId{"window", "recall_color", "short", 4}));
}

TEST_F(ReplayFeedTest, SaysWhatIsNotThere) {
  ReplayWish wish;
  wish.arms = {"gatd"};
  const auto arm = ReplayFeed::Open(run_, wish);
  ASSERT_FALSE(arm.ok());
  EXPECT_NE(arm.status().message().find("gated"), std::string::npos) << arm.status().message();
  const auto seed = ReplayFeed::Open(run_, {.arms = {}, .task = "", .delay = "", .seed = 9});
  EXPECT_EQ(seed.status().code(), StatusCode::kBadInput);
  EXPECT_EQ(ReplayFeed::Open(scratch_ / "none", {}).status().code(), StatusCode::kBadInput);
}

TEST_F(ReplayFeedTest, AChoiceThatFailsChangesNothing) {
  auto feed = ReplayFeed::Open(run_, {});
  ASSERT_TRUE(feed.ok());
  const Pick before = (*feed)->pick();
  Pick none = before;
  none.seed = 77;
  EXPECT_FALSE((*feed)->Choose(none).ok());
  EXPECT_EQ((*feed)->pick(), before);
  EXPECT_EQ(Drain(feed->get(), 0).begin().id.seed, 3);
}

TEST_F(ReplayFeedTest, FollowsARunInProgressByEpisode) {
  ReplayWish wish;
  wish.arms = {"window"};
  auto still = ReplayFeed::Open(run_, wish);
  wish.follow = true;
  auto feed = ReplayFeed::Open(run_, wish);
  ASSERT_TRUE(feed.ok() && still.ok());
  EXPECT_FALSE((*feed)->Refresh());
  Write("window", 5);
  EXPECT_TRUE((*feed)->Refresh());
  EXPECT_EQ((*feed)->pick().seed, 5);
  EXPECT_EQ(Drain(feed->get(), 0).begin().id.seed, 5);
  EXPECT_FALSE((*feed)->Refresh());
  EXPECT_FALSE((*still)->Refresh());
  EXPECT_EQ((*still)->pick().seed, 3);
}

}  // namespace
}  // namespace kvla
