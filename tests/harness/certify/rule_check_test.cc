// SPDX-License-Identifier: Apache-2.0
#include "harness/certify/rule_check.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tasks/recall_color/recall_color.h"
#include "tasks/tabletop.h"
#include "tasks/task_list.h"

namespace kvla {
namespace {

constexpr int kLeft = 46;  // chunks that have left the window after 40 s

Scenario Made(double decision_s, std::vector<CueInterval> cues) {
  Scenario scenario;
  scenario.decision_s = decision_s;
  scenario.cues = std::move(cues);
  return scenario;
}

EpisodeChunks CueIn(const std::vector<int>& chunks) {
  EpisodeChunks episode{.left = kLeft, .cues = {}};
  for (const int c : chunks) episode.cues.push_back({.first = c, .last = c});
  return episode;
}

std::vector<EpisodeChunks> CuesAnywhere(int n) {
  Rng rng(3);
  std::vector<EpisodeChunks> episodes;
  for (int i = 0; i < n; ++i) episodes.push_back(CueIn({rng.UniformInt(kLeft)}));
  return episodes;
}

const RuleResult& Rule(const RuleCheck& check, const std::string& name) {
  const auto found = std::ranges::find(check.rules, name, &RuleResult::rule);
  EXPECT_NE(found, check.rules.end()) << name;
  return *found;
}

TEST(ChunksOf, FollowsTheWindowToTheDecision) {
  // Step 800 is block 200: 200 - 16 blocks are out of the window, in 46 chunks of 0.8 s.
  const EpisodeChunks e = ChunksOf(
      Made(40.0,
           {{6.0, 6.8}, {36.0, 36.8}, {36.0, 36.85}, {38.0, 45.0}, {40.0, 41.0}, {10.05, 10.15}}),
      PolicyGeometry());
  EXPECT_EQ(e.left, kLeft);
  ASSERT_EQ(e.cues.size(), 5U);  // the one that begins with the decision does not count
  EXPECT_EQ(e.cues[0].first, 7);
  EXPECT_EQ(e.cues[0].last, 8);
  EXPECT_FALSE(e.cues[0].near);
  EXPECT_EQ(e.cues[1].last, 45);
  EXPECT_FALSE(e.cues[1].near);
  EXPECT_TRUE(e.cues[2].near);  // block 184, the first that is in the window
  EXPECT_TRUE(e.cues[3].near);
  EXPECT_GT(e.cues[4].first, e.cues[4].last);  // between two inferences: nothing saw it
  // The inference after step 801, and a chunk that is not whole stays with the window.
  EXPECT_EQ(ChunksOf(Made(40.6, {}), PolicyGeometry()).left, kLeft);
  EXPECT_EQ(ChunksOf(Made(40.65, {}), PolicyGeometry()).left, kLeft + 1);
}

TEST(HoldsCues, NeedsABlockOfEachCue) {
  const EpisodeChunks e{.left = kLeft,
                        .cues = {{.first = 7, .last = 8}, {.first = 20, .last = 20}}};
  EXPECT_TRUE(HoldsCues(e, std::vector{20, 8}));
  EXPECT_FALSE(HoldsCues(e, std::vector{7, 8}));
  EXPECT_FALSE(HoldsCues({.left = kLeft, .cues = {CueChunks()}}, std::vector{0, 1}));
  EXPECT_TRUE(HoldsCues({.left = kLeft, .cues = {{.near = true}}}, {}));
}

TEST(FixedRules, ABandHoldsACueThatIsAlwaysInOneChunk) {
  const RuleCheck check = CheckFixedRules(std::vector(400, CueIn({7})));
  EXPECT_EQ(check.chunks, 1);
  EXPECT_EQ(check.of_chunks, kLeft);
  EXPECT_NEAR(check.expected, 1.0 / kLeft, 0.003);
  EXPECT_EQ(Rule(check, "band").judgement.verdict, Verdict::kRefuted);
  EXPECT_EQ(Rule(check, "band").keeps, "chunk 7");
  EXPECT_EQ(Rule(check, "band").held, 200);
  EXPECT_EQ(Rule(check, "first_chunks").judgement.verdict, Verdict::kCertified);
  EXPECT_EQ(Rule(check, "first_chunks").episodes, 400);
  const RuleCheck early = CheckFixedRules(std::vector(400, CueIn({0})));
  EXPECT_EQ(Rule(early, "first_chunks").judgement.verdict, Verdict::kRefuted);
}

TEST(FixedRules, APeriodHoldsCuesThatComeByTheClock) {
  const RuleCheck check = CheckFixedRules(std::vector(400, CueIn({5, 11})));
  EXPECT_EQ(check.chunks, 2);
  EXPECT_EQ(Rule(check, "periodic").judgement.verdict, Verdict::kRefuted);
  EXPECT_EQ(Rule(check, "periodic").keeps, "2 chunks from 5 on, every 6");
  EXPECT_EQ(Rule(check, "band").judgement.verdict, Verdict::kCertified);
}

TEST(FixedRules, NoneHoldsCuesThatComeAnywhere) {
  const RuleCheck check = CheckFixedRules(CuesAnywhere(400));
  EXPECT_EQ(check.rules.size(), 3U);
  for (const RuleResult& rule : check.rules) {
    EXPECT_EQ(rule.judgement.verdict, Verdict::kCertified) << rule.rule;
  }
}

TEST(FixedRules, FewEpisodesCannotTell) {
  const RuleCheck check = CheckFixedRules(CuesAnywhere(12));
  for (const RuleResult& rule : check.rules) {
    EXPECT_EQ(rule.judgement.verdict, Verdict::kCannotTell) << rule.rule;
    EXPECT_GT(rule.judgement.more, 10) << rule.rule;
  }
}

TEST(FixedRules, AreChosenOnOtherEpisodesThanTheyAreJudgedOn) {
  std::vector<EpisodeChunks> episodes;
  for (int i = 0; i < 100; ++i) episodes.push_back(CueIn({i % 2 == 0 ? 7 : 20}));
  const RuleCheck check = CheckFixedRules(episodes);
  for (const char* rule : {"band", "periodic"}) {
    EXPECT_EQ(Rule(check, rule).held, 0) << rule;
    EXPECT_EQ(Rule(check, rule).episodes, 50) << rule;
  }
}

TEST(FixedRules, KeepAsManyChunksAsAnOracle) {
  // Two chunks in three of four episodes, one in the others; chunks in the window are not kept.
  std::vector<EpisodeChunks> episodes(300, {.left = kLeft, .cues = {{.first = 7, .last = 8}}});
  episodes.resize(400, {.left = kLeft, .cues = {{.first = kLeft - 1, .last = 49, .near = true}}});
  const RuleCheck check = CheckFixedRules(episodes);
  EXPECT_EQ(check.chunks, 2);
  EXPECT_EQ(check.window, 0.25);
  // 1 - C(44, 2) / C(46, 2) hold one of two chunks.
  EXPECT_NEAR(check.expected, 0.25 + 0.75 * (1 - 44.0 * 43 / (46 * 45)), 0.003);
  // Cues that share a chunk cost one.
  EXPECT_EQ(CheckFixedRules(std::vector(10, CueIn({7, 7}))).chunks, 1);
}

TEST(FixedRules, WhereTheWindowHoldsAllThereIsNothingToTell) {
  const std::vector<EpisodeChunks> episodes(
      100, {.left = kLeft, .cues = {{.first = 47, .last = 48, .near = true}}});
  const RuleCheck check = CheckFixedRules(episodes);
  EXPECT_EQ(check.chunks, 0);
  EXPECT_EQ(check.window, 1);
  for (const RuleResult& rule : check.rules) {
    EXPECT_EQ(rule.held, rule.episodes) << rule.rule;
    EXPECT_EQ(rule.judgement.verdict, Verdict::kCannotTell) << rule.rule;
  }
}

TEST(CheckNovelty, GoesByTheBetterScoreAndByWholeEpisodes) {
  const std::vector<EpisodeChunks> episodes(3, {.left = 2, .cues = {{.first = 1, .last = 1}}});
  const ChunkNovelty second{.changes = {1, 2}, .means = {1, 2}};
  const ChunkNovelty by_means{.changes = {2, 1}, .means = {1, 2}};
  const ChunkNovelty by_changes{.changes = {1, 2}, .means = {2, 1}};
  const ChunkNovelty cut_short{.changes = {1}, .means = {1}};
  const RuleResult means = CheckNovelty(episodes, std::vector{second, by_means, cut_short}, 1);
  EXPECT_EQ(means.held, 2);
  EXPECT_EQ(means.episodes, 2);
  EXPECT_NE(means.keeps.find("mean image"), std::string::npos);
  const RuleResult changes = CheckNovelty(episodes, std::vector{second, by_changes, cut_short}, 1);
  EXPECT_EQ(changes.held, 2);
  EXPECT_NE(changes.keeps.find("block to block"), std::string::npos);
}

RuleOptions Few(int novelty) {
  RuleOptions options;
  options.episodes = 100;
  options.novelty_episodes = novelty;
  options.threads = 2;
  return options;
}

TEST(CheckRules, RefutesABandInTheFirstEdition) {
  int calls = 0;
  const Result<RuleCheck> check =
      CheckRules(RecallColor(KVLA_ASSET_ROOT, {}), "long", Few(0), [&calls](int, int) {
        ++calls;
        return true;
      });
  ASSERT_TRUE(check.ok()) << check.status().message();
  EXPECT_EQ(calls, 0);  // nothing is rendered
  EXPECT_EQ(check->rules.size(), 3U);
  EXPECT_EQ(Rule(*check, "band").judgement.verdict, Verdict::kRefuted);
  EXPECT_EQ(Rule(*check, "first_chunks").judgement.verdict, Verdict::kCertified);
}

// The same episodes but for their schedule.
TEST(CheckRules, NoFixedRuleHoldsCuesThatComeAnywhere) {
  RuleOptions options = Few(0);
  options.episodes = 400;
  const TaskOptions suite{.cues = "anywhere", .decoys = true, .layout = "seen"};
  for (const char* delay : {"medium", "long", "longer"}) {
    const Result<RuleCheck> check = CheckRules(RecallColor(KVLA_ASSET_ROOT, suite), delay, options);
    ASSERT_TRUE(check.ok()) << check.status().message();
    for (const RuleResult& rule : check->rules) {
      EXPECT_EQ(rule.judgement.verdict, Verdict::kCertified)
          << delay << " " << rule.rule << ": " << rule.held << " of " << rule.episodes;
    }
  }
}

// recall_color whose whole table lights up with the cue and goes dark after it.
class LoudTask : public RecallColor {
 public:
  using RecallColor::RecallColor;
  void Update(World& world, const Scenario& scenario) const override {
    RecallColor::Update(world, scenario);
    const bool cue = CueShown(scenario, world.control_steps());
    SetColor(world, *world.GeomId("table"), cue ? Lamp::kWhite : Lamp::kOff);
  }
};

TEST(CheckRules, NoveltyHoldsACueThatChangesTheMost) {
  const Result<RuleCheck> check = CheckRules(LoudTask(KVLA_ASSET_ROOT, {}), "short", Few(10));
  ASSERT_TRUE(check.ok()) << check.status().message();
  const RuleResult& novelty = Rule(*check, "novelty");
  EXPECT_EQ(novelty.episodes, 10);
  EXPECT_EQ(novelty.held, 10);
  EXPECT_EQ(novelty.judgement.verdict, Verdict::kRefuted);
  const Result<RuleCheck> stopped = CheckRules(LoudTask(KVLA_ASSET_ROOT, {}), "short", Few(10),
                                               [](int done, int) { return done < 1; });
  EXPECT_EQ(stopped.status().code(), StatusCode::kCancelled);
}

TEST(CheckRules, ATaskWithoutADecisionIsBadInput) {
  Result<std::unique_ptr<Task>> task = MakeTask("pick_place", KVLA_ASSET_ROOT);
  ASSERT_TRUE(task.ok());
  EXPECT_EQ(CheckRules(**task, (*task)->info().delays.front(), Few(0)).status().code(),
            StatusCode::kBadInput);
}

}  // namespace
}  // namespace kvla
