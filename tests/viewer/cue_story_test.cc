// SPDX-License-Identifier: Apache-2.0
#include "viewer/cue_story.h"

#include <gtest/gtest.h>

#include "results/trace/replay.h"
#include "tests/viewer/synthetic_trace.h"

namespace kvla {
namespace {

EpisodeModel ModelOf(const EpisodeRecord& record) {
  EpisodeModel model;
  for (const TraceEvent& event : EventsOf(record)) model.Apply(event);
  return model;
}

// As a gate with this threshold says of itself, and as a method without scores does.
MethodTraits Gate(double threshold) {
  return {.scores = true, .unit_scores = true, .threshold = threshold};
}
constexpr MethodTraits kNoScores;

TEST(CueStory, SaysThatTheCueWasDroppedWhenAndWhy) {
  const EpisodeModel model = ModelOf(SyntheticRecord("window", 1, {}));
  const CueStory story = TellCue(model, 39, kNoScores);
  EXPECT_TRUE(story.lost);
  EXPECT_NE(story.headline.find("had dropped the cue"), std::string::npos) << story.headline;
  ASSERT_EQ(story.fates.size(), 1u);
  EXPECT_EQ(story.fates[0].chunk, 5);
  EXPECT_EQ(story.fates[0].state, ChunkAction::kDropped);
  EXPECT_DOUBLE_EQ(story.fates[0].look_s, 6.2);  // inference 31
  EXPECT_EQ(story.fates[0].text,
            "chunk 5 (4.0 to 4.8 s) dropped at 6.2 s (inference 31): score below the threshold");
}

TEST(CueStory, NamesScoreAndThresholdOfAKeptCue) {
  const EpisodeModel model = ModelOf(SyntheticRecord("gated", 1, {}));
  const CueStory story = TellCue(model, 39, Gate(0.5));
  EXPECT_FALSE(story.lost);
  EXPECT_NE(story.headline.find("Remembered right"), std::string::npos) << story.headline;
  EXPECT_NE(
      story.fates[0].text.find("score 0.900 >= threshold 0.500: score at the threshold or above"),
      std::string::npos)
      << story.fates[0].text;
  // Before the decision the chunk is in the window.
  const CueStory before = TellCue(model, 30, Gate(0.5));
  EXPECT_EQ(before.fates[0].state, ChunkAction::kWindow);
  EXPECT_DOUBLE_EQ(before.fates[0].look_s, 4.4);  // the first frame that shows it
  EXPECT_TRUE(TellCue(model, 10, Gate(0.5)).fates.empty());
}

TEST(CueStory, TellsAMotorFailureFromAForgottenCue) {
  EpisodeRecord record = SyntheticRecord("window", 1, {});
  record.end.decisive_reached = false;
  const CueStory story = TellCue(ModelOf(record), 39, kNoScores);
  EXPECT_NE(story.headline.find("motor stage"), std::string::npos) << story.headline;
  record.begin.cues.clear();
  EXPECT_FALSE(TellCue(ModelOf(record), 39, kNoScores).needs_memory);
}

TEST(CueStory, LuckIsCalledLuck) {
  EpisodeRecord record = SyntheticRecord("window", 1, {});
  record.end.success = record.end.decisive_right = true;
  const CueStory story = TellCue(ModelOf(record), 39, kNoScores);
  EXPECT_NE(story.headline.find("luck"), std::string::npos) << story.headline;
}

TEST(Divergence, IsTheFirstStepThatDiffersByTheTolerance) {
  const EpisodeModel a = ModelOf(SyntheticRecord("gated", 1, {}));
  EpisodeRecord other = SyntheticRecord("window", 1, {});
  other.steps[20].action[0] += 0.001f;
  const EpisodeModel b = ModelOf(other);
  EXPECT_FALSE(FirstDivergence(a, a, 0).has_value());
  const auto any = FirstDivergence(a, b, 0);
  ASSERT_TRUE(any.has_value());
  EXPECT_EQ(any->control_step, 20);
  EXPECT_DOUBLE_EQ(any->time_s, 1.0);
  const auto visible = FirstDivergence(a, b, 0.1f);
  ASSERT_TRUE(visible.has_value());
  EXPECT_EQ(visible->control_step, 40);
  EXPECT_FLOAT_EQ(visible->difference, 0.25f);
  EXPECT_FALSE(FirstDivergence(a, b, 0.5f).has_value());
}

TEST(Divergence, FallsBackToActionChunksWhereStepsAreNotStored) {
  EpisodeRecord a = SyntheticRecord("gated", 1, {}), b = a;
  a.steps.clear();
  b.steps.clear();
  b.inferences[12].action_chunk[3] += 0.5f;
  const auto found = FirstDivergence(ModelOf(a), ModelOf(b), 0);
  ASSERT_TRUE(found.has_value());
  EXPECT_DOUBLE_EQ(found->time_s, 2.4);
  EXPECT_EQ(found->control_step, 48);
}

TEST(ChunkTable, HasALineAChunkAsOfAnInference) {
  const EpisodeModel model = ModelOf(SyntheticRecord("gated", 3, {}));
  const std::string csv = ChunkTableCsv(model, 39, Gate(0.5));
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 11);  // a header and ten chunks
  EXPECT_NE(csv.find("gated,recall_color,short,3,5,20,23,4.000,4.800,1,kept whole,0.900000,31,"
                     "6.200,score at the threshold or above,32,32768\n"),
            std::string::npos)
      << csv;
  const std::string early = ChunkTableCsv(model, 5, Gate(0.5));
  EXPECT_EQ(std::count(early.begin(), early.end(), '\n'), 3);
  EXPECT_NE(early.find(",1,4,7,0.800,1.600,0,in the window,,,,,16,"), std::string::npos) << early;
}

}  // namespace
}  // namespace kvla
