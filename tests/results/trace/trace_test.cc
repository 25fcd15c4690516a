// SPDX-License-Identifier: Apache-2.0
#include "results/trace/trace.h"

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <thread>

#include "results/live/trace_ring.h"
#include "results/trace/replay.h"
#include "tests/results/record_util.h"

namespace kvla {
namespace {

InferenceEvent Inference(int index, bool image = false) {
  InferenceEvent e;
  e.index = index;
  e.control_step = 4 * index;
  e.cost.kv_live_bytes = index;
  e.changes = {{index, ChunkAction::kWindow, 0, ReasonCode::kNone}};
  if (index > 0) {
    e.changes.push_back({index - 1, ChunkAction::kDropped, 0.1f, ReasonCode::kWindowOnly});
  }
  if (image) e.images.push_back({"front", 1, 1, {1, 2, 3}});
  return e;
}

StepEvent Step(int step) {
  StepEvent e;
  e.control_step = step;
  return e;
}

EpisodeBegin Begin(int64_t seed) {
  EpisodeBegin b;
  b.id = {"full", "t", "long", seed};
  return b;
}

EpisodeEnd End(int64_t seed) {
  EpisodeEnd e;
  e.id = {"full", "t", "long", seed};
  return e;
}

void SendEpisode(TraceSink* sink, int64_t seed, int inferences) {
  sink->On(Begin(seed));
  for (int i = 0; i < inferences; ++i) {
    sink->On(Inference(i, true));
    for (int s = 0; s < 4; ++s) sink->On(Step(4 * i + s));
  }
  sink->On(End(seed));
}

// The state of every chunk after all queued changes.
std::map<int, ChunkAction> Drain(BoundedTraceRing* ring, std::vector<TraceEvent>* events) {
  std::map<int, ChunkAction> chunks;
  TraceEvent event;
  while (ring->Poll(&event)) {
    if (const auto* e = std::get_if<InferenceEvent>(&event)) {
      for (const ChunkDecision& c : e->changes) chunks[c.chunk] = c.action;
    }
    events->push_back(event);
  }
  return chunks;
}

TEST(Ring, PassesEverythingInOrderWhileThereIsRoom) {
  BoundedTraceRing ring(1000, 1000);
  SendEpisode(&ring, 3, 10);
  std::vector<TraceEvent> events;
  Drain(&ring, &events);
  ASSERT_EQ(events.size(), 52u);
  EXPECT_EQ(std::get<EpisodeBegin>(events[0]).id.seed, 3);
  EXPECT_EQ(std::get<InferenceEvent>(events[1]).images.size(), 1u);
  EXPECT_EQ(std::get<StepEvent>(events[2]).control_step, 0);
  EXPECT_EQ(std::get<EpisodeEnd>(events[51]).id.seed, 3);
  EXPECT_EQ(ring.counts().dropped_steps + ring.counts().dropped_images, 0);
}

TEST(Ring, FullItDropsFramesButNoDecision) {
  BoundedTraceRing ring(16, 4);
  SendEpisode(&ring, 1, 200);
  EXPECT_LE(ring.size(), 16u);
  std::vector<TraceEvent> events;
  const auto chunks = Drain(&ring, &events);
  EXPECT_TRUE(std::holds_alternative<EpisodeBegin>(events.front()));
  EXPECT_TRUE(std::holds_alternative<EpisodeEnd>(events.back()));
  ASSERT_EQ(chunks.size(), 200u);
  for (const auto& [chunk, state] : chunks) {
    EXPECT_EQ(state, chunk == 199 ? ChunkAction::kWindow : ChunkAction::kDropped) << chunk;
  }
  int images = 0;
  int64_t newest = -1;
  for (const TraceEvent& event : events) {
    if (const auto* e = std::get_if<InferenceEvent>(&event)) {
      images += e->images.empty() ? 0 : 1;
      newest = e->cost.kv_live_bytes;
    }
  }
  EXPECT_EQ(newest, 199);  // the numbers are those of the newest
  EXPECT_GE(images, 1);
  EXPECT_LE(images, 4);
  const auto counts = ring.counts();
  EXPECT_GT(counts.merged_inferences, 0);
  EXPECT_EQ(counts.dropped_episodes, 0);
  EXPECT_GE(counts.dropped_steps, 800 - 16);
  EXPECT_EQ(counts.dropped_images, 200 - images);
}

TEST(Ring, StaysBoundedWhateverTheProducerSends) {
  BoundedTraceRing ring(16, 4);
  for (int i = 0; i < 100; ++i) SendEpisode(&ring, i, 30);
  EXPECT_LE(ring.size(), 16u);
  EXPECT_GT(ring.counts().dropped_episodes, 0);
  std::vector<TraceEvent> events;
  Drain(&ring, &events);
  EXPECT_EQ(std::get<EpisodeEnd>(events.back()).id.seed, 99);
  EXPECT_TRUE(std::holds_alternative<EpisodeBegin>(events.front()));

  for (int i = 0; i < 100; ++i) ring.On(Begin(i));  // a producer that dies each time
  EXPECT_LE(ring.size(), 16u);
  for (int i = 0; i < 100; ++i) ring.On(End(i));
  EXPECT_LE(ring.size(), 16u);
  for (int i = 0; i < 100; ++i) ring.On(Inference(i));
  EXPECT_LE(ring.size(), 16u);
  for (int i = 0; i < 100; ++i) ring.On(Step(i));
  EXPECT_LE(ring.size(), 16u);
}

TEST(Ring, TwoThreadsLoseNoDecision) {
  BoundedTraceRing ring(32, 2);
  std::atomic<bool> done = false;
  std::thread producer([&] {
    SendEpisode(&ring, 1, 5000);
    done = true;
  });
  std::vector<TraceEvent> events;
  std::map<int, ChunkAction> chunks;
  bool finished = false;
  while (!finished) {
    finished = done;
    for (const auto& [chunk, state] : Drain(&ring, &events)) chunks[chunk] = state;
  }
  producer.join();
  ASSERT_EQ(chunks.size(), 5000u);
  for (const auto& [chunk, state] : chunks) {
    ASSERT_EQ(state, chunk == 4999 ? ChunkAction::kWindow : ChunkAction::kDropped) << chunk;
  }
  int last = -1;
  for (const TraceEvent& event : events) {
    if (const auto* e = std::get_if<StepEvent>(&event)) {
      ASSERT_GT(e->control_step, last);
      last = e->control_step;
    }
  }
}

TEST(Recorder, GathersAnEpisodeAndReplayGivesItBack) {
  EpisodeRecorder recorder, other;
  TeeSink tee({&recorder, &other});
  tee.On(Step(9));  // of nothing: the begin starts afresh
  SendEpisode(&tee, 7, 3);
  ASSERT_TRUE(recorder.complete());
  const EpisodeRecord record = recorder.Take();
  EXPECT_FALSE(recorder.complete());
  EXPECT_TRUE(other.complete());
  EXPECT_EQ(record.begin.id.seed, 7);
  ASSERT_EQ(record.inferences.size(), 3u);
  EXPECT_TRUE(record.inferences[0].images.empty());
  ASSERT_EQ(record.steps.size(), 12u);

  EpisodeRecorder replayed;
  ReplaySource source(record);
  TraceEvent event;
  std::vector<size_t> kinds;
  while (source.Poll(&event)) {
    kinds.push_back(event.index());
    replayed.On(event);
  }
  EXPECT_EQ(kinds, (std::vector<size_t>{0, 1, 2, 2, 2, 2, 1, 2, 2, 2, 2, 1, 2, 2, 2, 2, 3}));
  EXPECT_EQ(replayed.Take().steps.size(), 12u);
  source.Rewind();
  EXPECT_TRUE(source.Poll(&event));
}

CommandEvent Command(int step, const std::string& name) {
  CommandEvent e;
  e.control_step = step;
  e.name = name;
  return e;
}

TEST(Recorder, CommandsComeBackWhereTheyWereObeyed) {
  EpisodeRecorder recorder;
  recorder.On(Begin(1));
  recorder.On(Inference(0));
  for (int s = 0; s < 4; ++s) {
    if (s == 2) recorder.On(Command(2, "threshold"));
    recorder.On(Step(s));
  }
  recorder.On(Command(4, "pull"));
  recorder.On(Inference(1));
  recorder.On(Step(4));
  recorder.On(Command(5, "release"));
  recorder.On(End(1));
  ReplaySource source(recorder.Take());
  std::string order;
  TraceEvent event;
  while (source.Poll(&event)) {
    const auto* command = std::get_if<CommandEvent>(&event);
    order += command == nullptr ? std::to_string(event.index()) : command->name.substr(0, 1);
  }
  EXPECT_EQ(order, "0122t22p12r3");
}

TEST(Ring, StaysBoundedUnderCommandsAndMergesAcrossThem) {
  BoundedTraceRing ring(8);
  ring.On(Begin(1));
  for (int i = 0; i < 100; ++i) {
    ring.On(Inference(i));
    ring.On(Command(4 * i, "pull"));
    EXPECT_LE(ring.size(), 8u);
  }
  std::vector<TraceEvent> events;
  const auto chunks = Drain(&ring, &events);
  EXPECT_EQ(chunks.size(), 100u);  // no decision is lost
  EXPECT_TRUE(std::holds_alternative<EpisodeBegin>(events[0]));
}

}  // namespace
}  // namespace kvla
