// SPDX-License-Identifier: Apache-2.0
#include "results/trace/record_codec.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <limits>

#include "results/trace/packed_bytes.h"
#include "tests/results/record_util.h"

namespace kvla {
namespace {

constexpr auto kBits = [](double x) { return std::bit_cast<uint64_t>(x); };  // NaN is as NaN

const EpisodeId kId = {"gated", "recall_color", "long", 12};

void ExpectSameInferences(const std::vector<InferenceEvent>& a,
                          const std::vector<InferenceEvent>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].index, b[i].index);
    EXPECT_EQ(a[i].control_step, b[i].control_step);
    EXPECT_EQ(a[i].time_s, b[i].time_s);
    EXPECT_EQ(a[i].cost.latency.render_ms, b[i].cost.latency.render_ms);
    EXPECT_EQ(a[i].cost.latency.encode_ms, b[i].cost.latency.encode_ms);
    EXPECT_EQ(a[i].cost.latency.linear_ms, b[i].cost.latency.linear_ms);
    EXPECT_EQ(a[i].cost.latency.attend_ms, b[i].cost.latency.attend_ms);
    EXPECT_EQ(a[i].cost.latency.gate_ms, b[i].cost.latency.gate_ms);
    EXPECT_EQ(a[i].cost.latency.compact_ms, b[i].cost.latency.compact_ms);
    EXPECT_EQ(a[i].cost.latency.act_ms, b[i].cost.latency.act_ms);
    EXPECT_EQ(a[i].cost.kv_live_bytes, b[i].cost.kv_live_bytes);
    EXPECT_EQ(a[i].cost.kv_attending_bytes, b[i].cost.kv_attending_bytes);
    EXPECT_EQ(a[i].cost.kv_committed_bytes, b[i].cost.kv_committed_bytes);
    EXPECT_EQ(a[i].cost.method_bytes, b[i].cost.method_bytes);
    EXPECT_EQ(a[i].cost.kv_transient_bytes, b[i].cost.kv_transient_bytes);
    EXPECT_EQ(a[i].cost.cached_tokens, b[i].cost.cached_tokens);
    EXPECT_EQ(a[i].cost.flops, b[i].cost.flops);
    EXPECT_EQ(a[i].changes, b[i].changes);
    EXPECT_EQ(a[i].action_chunk, b[i].action_chunk);
  }
}

TEST(RecordCodec, CborCarriesTheWholeRecord) {
  EpisodeRecord record = MakeRecord(kId, 9);
  record.begin.warnings = {"the window covers the cue"};
  record.begin.suite = {{"cues", "anywhere"}, {"decoys", "true"}};
  record.begin.twin = true;
  record.begin.onset_s = 4.25;
  record.begin.decoys = {{2, 2.5, 3}, {9, 9.5, 0}};
  record.end.error = "\xff not UTF-8";
  record.commands = {{7, "pull", "", {3, 0.1, 0.2, 0.3}}, {9, "threshold", "0.6", {}}};
  record.video = "videos/a.mp4";
  record.inferences[2].cost.kv_live_bytes = std::numeric_limits<int64_t>::max();
  record.inferences[3].cost.kv_live_bytes = std::numeric_limits<int64_t>::min();
  record.inferences[3].cost.flops = std::numeric_limits<double>::infinity();
  const Result<EpisodeRecord> back = RecordFromCbor(RecordToCbor(record));
  ASSERT_TRUE(back.ok()) << back.status().message();
  ExpectSameInferences(back->inferences, record.inferences);
  EXPECT_EQ(back->video, record.video);
  EXPECT_EQ(CommandsToJson(back->commands), CommandsToJson(record.commands));
  EXPECT_EQ(back->commands.at(0).numbers, record.commands[0].numbers);
  EXPECT_EQ(BeginToJson(back->begin), BeginToJson(record.begin));
  EXPECT_EQ(back->begin.run_seed, record.begin.run_seed);
  EXPECT_EQ(back->begin.cues[0].end_s, 4.75);
  EXPECT_EQ(back->begin.suite.at("cues"), "anywhere");
  EXPECT_TRUE(back->begin.twin);
  EXPECT_EQ(back->begin.onset_s, 4.25);
  EXPECT_FALSE(back->begin.wait_s.has_value());
  ASSERT_EQ(back->begin.decoys.size(), 2u);
  EXPECT_EQ(back->begin.decoys[0].end_s, 2.5);
  EXPECT_EQ(back->begin.decoys[0].what, 3);
  EXPECT_EQ(EndToJson(back->end), EndToJson(record.end));
  EXPECT_EQ(back->end.id, kId);
  EXPECT_EQ(back->end.stages, record.end.stages);
  ASSERT_EQ(back->steps.size(), record.steps.size());
  for (size_t i = 0; i < record.steps.size(); ++i) {
    EXPECT_EQ(back->steps[i].control_step, record.steps[i].control_step);
    EXPECT_EQ(back->steps[i].action, record.steps[i].action);
    EXPECT_EQ(back->steps[i].state, record.steps[i].state);
    EXPECT_EQ(back->steps[i].stages, record.steps[i].stages);
  }
}

// A run from before the suite had options.
TEST(RecordCodec, ReadsAnEpisodesBeginOfBeforeTheSuiteHadOptions) {
  EpisodeBegin whole = MakeRecord(kId).begin;
  whole.onset_s = 4.25;
  whole.decoys = {{2, 2.5, 3}};
  nlohmann::json json = BeginToJson(whole);
  for (const char* key : {"suite", "twin", "onset_s", "wait_s", "decoys"}) {
    EXPECT_EQ(json.erase(key), 1u) << key;
  }
  const Result<EpisodeBegin> old = BeginFromJson(json);
  ASSERT_TRUE(old.ok()) << old.status().message();
  EXPECT_TRUE(old->suite.empty());
  EXPECT_FALSE(old->twin);
  EXPECT_FALSE(old->onset_s.has_value());
  EXPECT_TRUE(old->decoys.empty());
  json["decoys"] = "x";
  EXPECT_FALSE(BeginFromJson(json).ok());
}

TEST(RecordCodec, LevelsLeaveOut) {
  const EpisodeRecord record = MakeRecord(kId, 6);
  const auto off = PackInferences(record.inferences, TraceLevel::kOff);
  const auto summary = PackInferences(record.inferences, TraceLevel::kSummary);
  const auto full = PackInferences(record.inferences, TraceLevel::kFull);
  EXPECT_LT(off.size(), summary.size());
  EXPECT_LT(summary.size(), full.size());
  EXPECT_LT(summary.size() / 6, 70u);  // bytes an inference
  EXPECT_TRUE(UnpackInferences(off)->at(1).changes.empty());
  EXPECT_EQ(UnpackInferences(off)->at(1).cost.kv_live_bytes, 8192);
  EXPECT_EQ(UnpackInferences(summary)->at(1).changes.size(), 1u);
  EXPECT_TRUE(UnpackInferences(summary)->at(1).action_chunk.empty());
  EXPECT_EQ(UnpackInferences(full)->at(1).action_chunk.size(), 28u);
}

// A scene of which most things rest: bits come back as they were, and rest is nearly free.
TEST(RecordCodec, StatesAreStoredAsDifferences) {
  std::vector<StepEvent> steps(200);
  Rng rng(9);
  for (size_t i = 0; i < steps.size(); ++i) {
    steps[i].control_step = static_cast<int>(i);
    steps[i].stages = {i > 50, i > 150};
    steps[i].state.assign(101, -0.25);  // an odd number
    for (size_t k = 0; k < 10; ++k) steps[i].state[k] = rng.Normal();
    if (i == 7) steps[i].state = {std::numeric_limits<double>::quiet_NaN(), -0.0};
    if (i == 8) steps[i].state.clear();
  }
  const auto full = PackSteps(steps, TraceLevel::kFull);
  EXPECT_LT(full.size(), 200 * (28 + 3 + 10 * 8 + 51) + 2000u);
  EXPECT_LT(PackSteps(steps, TraceLevel::kSummary).size(), 200 * 31u);
  EXPECT_LE(PackSteps(steps, TraceLevel::kOff).size(), 2u);
  const auto back = UnpackSteps(full);
  ASSERT_TRUE(back.ok());
  ASSERT_EQ(back->size(), steps.size());
  for (size_t i = 0; i < steps.size(); ++i) {
    ASSERT_EQ(back->at(i).state.size(), steps[i].state.size());
    EXPECT_TRUE(std::ranges::equal(back->at(i).state, steps[i].state, {}, kBits, kBits)) << i;
    EXPECT_EQ(back->at(i).stages, steps[i].stages);
  }
  const auto summary = UnpackSteps(PackSteps(steps, TraceLevel::kSummary));
  EXPECT_EQ(summary->at(160).stages, steps[160].stages);
  EXPECT_TRUE(summary->at(160).state.empty());
}

TEST(RecordCodec, ReadsStepsOfTheFirstVersion) {
  PackedWriter out;
  out.Raw(uint8_t{1});
  out.Unsigned(2);
  for (int step = 0; step < 2; ++step) {
    out.Signed(1);
    for (int k = 0; k < 7; ++k) out.Raw(static_cast<float>(step + k));
    out.Unsigned(1);
    out.Raw(static_cast<uint8_t>(step));
    out.Unsigned(2);
    out.Raw(0.5);
    out.Raw(1.5 * step);
  }
  const auto steps = UnpackSteps(out.Take());
  ASSERT_TRUE(steps.ok()) << steps.status().message();
  EXPECT_EQ(steps->at(1).control_step, 1);
  EXPECT_EQ(steps->at(1).action[6], 7);
  EXPECT_EQ(steps->at(1).stages, (std::vector<bool>{true}));
  EXPECT_EQ(steps->at(1).state, (std::vector<double>{0.5, 1.5}));
}

// What an inference of version 1 or 2 does not say is absent, and stays so when stored again.
TEST(RecordCodec, ReadsInferencesOfOlderVersionsWithoutTheirUnknownCosts) {
  for (const int version : {1, 2}) {
    PackedWriter out;
    out.Raw(static_cast<uint8_t>(version));
    out.Unsigned(2);
    for (int i = 0; i < 2; ++i) {
      out.Signed(1);  // index
      out.Signed(4);  // control step
      out.Raw(0.2 * i);
      for (int part = 0; part < 7; ++part) out.Raw(0.5F);
      out.Signed(4096);  // live bytes
      out.Signed(8192);  // pages after the inference
      out.Signed(512);   // transient bytes
      out.Signed(3);     // tokens
      out.Raw(1e6 + i);
      if (version == 2) {
        out.Raw(0.25F);
        out.Unsigned(3 << 1 | 1);
      }
      out.Unsigned(0);
      out.Unsigned(0);
    }
    const auto old = UnpackInferences(out.Take());
    ASSERT_TRUE(old.ok()) << old.status().message();
    const auto again = UnpackInferences(PackInferences(*old, TraceLevel::kFull));
    ASSERT_TRUE(again.ok());
    for (const InferenceEvent& e : {old->at(1), again->at(1)}) {
      EXPECT_EQ(e.cost.kv_live_bytes, 8192);
      EXPECT_EQ(e.cost.kv_transient_bytes, 1024);
      EXPECT_EQ(e.cost.cached_tokens, 6);
      EXPECT_EQ(e.cost.flops, 1e6 + 1);
      EXPECT_EQ(e.late, version == 2);
      EXPECT_FALSE(e.cost.kv_attending_bytes.has_value());
      EXPECT_FALSE(e.cost.kv_committed_bytes.has_value());
      EXPECT_FALSE(e.cost.method_bytes.has_value());
    }
  }
}

// Every truncation is an error; every change of one byte is an error or another value, no crash.
TEST(RecordCodec, DamageIsAnError) {
  const EpisodeRecord record = MakeRecord(kId, 4);
  const std::vector<uint8_t> inferences = PackInferences(record.inferences, TraceLevel::kFull);
  const std::vector<uint8_t> steps = PackSteps(record.steps, TraceLevel::kFull);
  const std::vector<uint8_t> cbor = RecordToCbor(record);
  for (size_t n = 0; n < inferences.size(); ++n) {
    EXPECT_FALSE(UnpackInferences(std::span(inferences).first(n)).ok()) << n;
  }
  for (size_t n = 0; n < steps.size(); ++n) {
    EXPECT_FALSE(UnpackSteps(std::span(steps).first(n)).ok()) << n;
  }
  for (size_t n = 0; n < cbor.size(); ++n) {
    EXPECT_FALSE(RecordFromCbor(std::span(cbor).first(n)).ok()) << n;
  }
  Rng rng(5);
  for (int round = 0; round < 3000; ++round) {
    auto bad = cbor, bad_inferences = inferences, bad_steps = steps;
    const auto damage = [&](std::vector<uint8_t>* bytes) {
      (*bytes)[static_cast<size_t>(rng.UniformInt(static_cast<int>(bytes->size())))] =
          static_cast<uint8_t>(rng.UniformInt(256));
    };
    damage(&bad);
    damage(&bad_inferences);
    damage(&bad_steps);
    const auto code = RecordFromCbor(bad).status().code();
    EXPECT_TRUE(code == StatusCode::kOk || code == StatusCode::kBadInput);
    static_cast<void>(UnpackInferences(bad_inferences));
    static_cast<void>(UnpackSteps(bad_steps));
  }
  auto longer = steps;
  longer.push_back(0);
  EXPECT_FALSE(UnpackSteps(longer).ok());
  EXPECT_FALSE(BeginFromJson(nlohmann::json::array()).ok());
  EXPECT_FALSE(EndFromJson(nlohmann::json::object()).ok());
}

TEST(RecordCodec, DeeplyNestedBytesAreRefusedBeforeTheStackRunsOut) {
  const std::vector<uint8_t> arrays(200000, 0x81);  // an array of one element, each
  const std::vector<uint8_t> objects(200000, 0xbf);
  for (const std::vector<uint8_t>& bytes : {arrays, objects}) {
    EXPECT_EQ(RecordFromCbor(bytes).status().code(), StatusCode::kBadInput);
  }
}

}  // namespace
}  // namespace kvla
