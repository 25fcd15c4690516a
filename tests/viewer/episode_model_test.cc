// SPDX-License-Identifier: Apache-2.0
#include "viewer/episode_model.h"

#include <gtest/gtest.h>

#include "tests/viewer/synthetic_trace.h"

namespace kvla {
namespace {

// `n` inferences with their control steps.
EpisodeModel Played(int n) {
  EpisodeModel model;
  model.Apply(SyntheticBegin());
  for (int i = 0; i < n; ++i) {
    model.Apply(SyntheticInference(i));
    for (int s = 0; s < 4; ++s) model.Apply(SyntheticStep(4 * i + s));
  }
  return model;
}

InferenceEvent Decides(int index, std::vector<ChunkDecision> changes) {
  InferenceEvent event = SyntheticInference(index);
  event.changes = std::move(changes);
  return event;
}

TEST(EpisodeModel, IgnoresEventsBeforeAnEpisodeBegins) {
  EpisodeModel model;
  model.Apply(SyntheticInference(0));
  model.Apply(SyntheticStep(0));
  EXPECT_FALSE(model.started());
  EXPECT_EQ(model.revision(), 0);
  EXPECT_EQ(model.last_inference(), -1);
  EXPECT_EQ(model.LatencyPercentile(50), 0);
}

TEST(EpisodeModel, ChunksCoverTheirFramesAndTheNewestGrows) {
  const EpisodeModel model = Played(10);
  ASSERT_EQ(model.chunks().size(), 3u);
  EXPECT_EQ(model.chunks()[1].first_block, 4);
  EXPECT_EQ(model.chunks()[1].last_block, 7);
  EXPECT_DOUBLE_EQ(model.chunks()[1].begin_s, 0.8);
  EXPECT_DOUBLE_EQ(model.chunks()[1].end_s, 1.6);
  EXPECT_EQ(model.chunks()[2].last_block, 9);
  EXPECT_DOUBLE_EQ(model.time_s(), 2.0);
}

TEST(EpisodeModel, ACueMarksTheChunksWhoseFramesShowIt) {
  const EpisodeModel model = Played(32);
  // The cue is lit in [4.25, 4.75): frames at 4.4 and 4.6, blocks 22 and 23, chunk 5.
  for (const ChunkTrack& chunk : model.chunks()) EXPECT_EQ(chunk.cue, chunk.index == 5);
}

TEST(EpisodeModel, DecisionsHoldFromTheirInferenceOnAndMayChange) {
  EpisodeModel model = Played(12);
  model.Apply(Decides(12, {{0, ChunkAction::kWhole, 0.75f, ReasonCode::kAboveThreshold}}));
  model.Apply(SyntheticInference(13));
  model.Apply(Decides(14, {{0, ChunkAction::kDropped, 0.75f, ReasonCode::kOverBudget},
                           {1, ChunkAction::kCompressed, 0.5f, ReasonCode::kAboveThreshold}}));
  const ChunkTrack& first = model.chunks()[0];
  EXPECT_EQ(first.DecisionAt(11), nullptr);
  EXPECT_EQ(first.StateAt(11), ChunkAction::kWindow);
  EXPECT_EQ(first.StateAt(13), ChunkAction::kWhole);
  EXPECT_EQ(first.StateAt(14), ChunkAction::kDropped);
  EXPECT_EQ(first.DecisionAt(20)->decision.reason, ReasonCode::kOverBudget);
  EXPECT_EQ(model.CountAt(13, ChunkAction::kWhole), 1);
  EXPECT_EQ(model.CountAt(14, ChunkAction::kWhole), 0);
  EXPECT_EQ(model.CountAt(14, ChunkAction::kDropped), 1);
  EXPECT_EQ(model.CountAt(14, ChunkAction::kWindow), 2);
}

TEST(EpisodeModel, TwoArmsDifferWhereAChunkIsInAnotherState) {
  const auto record = [](const std::string& arm) {
    EpisodeModel model;
    const EpisodeRecord of = SyntheticRecord(arm, 3, {});
    model.Apply(of.begin);
    for (const InferenceEvent& event : of.inferences) model.Apply(event);
    return model;
  };
  const EpisodeModel gated = record("gated"), window = record("window");
  EXPECT_EQ(DifferingChunks(gated, 39, window, 39), std::vector<int>{5});
  EXPECT_TRUE(DifferingChunks(gated, 30, window, 30).empty());  // chunk 5 is near
  // Dropped in one, in the window of the other, whose playhead has not come as far.
  EXPECT_EQ(DifferingChunks(gated, 11, window, 10), std::vector<int>{0});
  EXPECT_TRUE(DifferingChunks(gated, 39, window, -1).empty());
}

TEST(EpisodeModel, WholeHistoryBytesFollowFromTheBytesOfAToken) {
  const EpisodeModel model = Played(10);
  EXPECT_DOUBLE_EQ(model.FullBytesAt(model.inferences().back()), 1024.0 * (12 + 10 * 8));
  EXPECT_EQ(model.FullBytesAt(InferencePoint{}), 0);
}

TEST(EpisodeModel, GapsRepeatsAndNonsenseAreHarmless) {
  EpisodeModel model = Played(2);
  model.Apply(Decides(9, {{0, ChunkAction::kDropped, 0.1f, ReasonCode::kBelowThreshold},
                          {99, ChunkAction::kWhole, 1, ReasonCode::kNone},
                          {-1, ChunkAction::kWhole, 1, ReasonCode::kNone}}));
  EXPECT_EQ(model.chunks().size(), 3u);
  EXPECT_EQ(model.chunks()[1].last_block, 7);
  EXPECT_EQ(model.last_inference(), 9);
  model.Apply(SyntheticInference(5));  // late: an older frame says nothing new
  EXPECT_EQ(model.last_inference(), 9);
  model.Apply(SyntheticStep(0));
  EXPECT_EQ(model.steps().back().control_step, 7);
}

TEST(EpisodeModel, FindsWhatHeldAtAMoment) {
  EpisodeModel model = Played(5);
  EXPECT_EQ(model.InferenceAt(-1), nullptr);
  EXPECT_EQ(model.InferenceAt(0.5)->index, 2);
  EXPECT_EQ(model.InferenceAt(0.6)->index, 3);
  EXPECT_EQ(model.StepAt(0.0), nullptr);
  EXPECT_EQ(model.StepAt(0.5)->control_step, 9);
  EXPECT_EQ(model.ImagesAt(0.5), nullptr);
  EXPECT_DOUBLE_EQ(model.LatencyPercentile(50), 6.5);
}

TEST(EpisodeModel, ThumbnailPrefersTheFrameThatShowsTheCue) {
  EpisodeModel model;
  model.Apply(SyntheticBegin());
  for (int i = 0; i < 28; ++i) {
    InferenceEvent event = SyntheticInference(i);
    if (i >= 20) event.images = {FlatImage("front", static_cast<uint8_t>(i), 0, 0)};
    model.Apply(event);
  }
  EXPECT_EQ(model.Thumbnail(model.chunks()[0]), nullptr);
  EXPECT_EQ(model.Thumbnail(model.chunks()[5])->rgb[0], 22);  // at 4.4 s
  EXPECT_EQ(model.Thumbnail(model.chunks()[6])->rgb[0], 24);
  EXPECT_EQ(model.ImagesAt(3.9), nullptr);
  EXPECT_EQ(model.ImagesAt(4.1)->index, 20);
}

TEST(EpisodeModel, StagesAreMarkedOnceAndAnEndClosesTheEpisode) {
  EpisodeModel model = Played(1);
  StepEvent step = SyntheticStep(4);
  step.stages = {true, false, false};
  model.Apply(step);
  step = SyntheticStep(5);
  step.stages = {true, true, false};
  model.Apply(step);
  EpisodeEnd end;
  end.outcome = "failure";
  end.steps = 6;
  end.stages = {true, true, false};
  model.Apply(end);
  EXPECT_DOUBLE_EQ(*model.stages()[0].reached_s, 0.25);
  EXPECT_DOUBLE_EQ(*model.stages()[1].reached_s, 0.30);
  EXPECT_FALSE(model.stages()[2].reached_s.has_value());
  ASSERT_TRUE(model.end().has_value());
  EXPECT_EQ(model.end()->outcome, "failure");
}

TEST(EpisodeModel, ANewEpisodeStartsAfresh) {
  EpisodeModel model = Played(10);
  model.Apply(EpisodeEnd{});
  model.Apply(SyntheticBegin());
  EXPECT_EQ(model.episodes(), 2);
  EXPECT_TRUE(model.chunks().empty());
  EXPECT_TRUE(model.inferences().empty());
  EXPECT_TRUE(model.steps().empty());
  EXPECT_FALSE(model.end().has_value());
  EXPECT_EQ(model.time_s(), 0);
}

}  // namespace
}  // namespace kvla
