// SPDX-License-Identifier: Apache-2.0
#include "results/report/compare.h"

#include <gtest/gtest.h>

#include <regex>
#include <sstream>

#include "tests/results/record_util.h"

namespace kvla {
namespace {

using nlohmann::json;

class CompareTest : public testing::Test {
 protected:
  CompareTest() { Add("run"); }

  RunStore& Add(const std::string& folder, const RunMeta& more = {}) {
    RunMeta meta = {{"arms", R"(["full","gated"])"}, {"checkpoint_hash", "c1"}, {"workers", "1"}};
    for (const auto& [key, value] : more) meta[key] = value;
    runs_.push_back(std::move(*RunStore::Create(scratch_.path() / folder, meta)));
    return runs_.back();
  }

  // Inferences of 100 bytes and 2 ms in the decoder, times `scale`; steps are those of the seed, so
  // that arms part nowhere unless a test makes them.
  static EpisodeRecord Make(const EpisodeId& id, bool success, double scale = 1) {
    EpisodeRecord r = MakeRecord({"", id.task, id.delay, id.seed}, 20, success);
    r.begin.id = r.end.id = id;
    for (InferenceEvent& e : r.inferences) {
      e.cost.latency = {4, 3, 0.5 * scale, 0.5 * scale, 0.5 * scale, 0.5 * scale, 1};
      e.cost.kv_live_bytes = static_cast<int64_t>(100 * scale);
      e.cost.flops = 1000 * scale;
    }
    return r;
  }
  static void Write(RunStore* run, const EpisodeRecord& record) {
    const Status status = run->WriteEpisode(record);
    EXPECT_TRUE(status.ok()) << status.message();
  }

  // 30 seeds at each of two delays: full wins all; gated loses every `lose`th at half the cost.
  void Fill(RunStore* run, int lose = 5, const std::string& arm = "gated") {
    for (const char* delay : {"short", "long"}) {
      for (int i = 0; i < 30; ++i) {
        if (arm == "gated") Write(run, Make({"full", "recall_color", delay, i}, true));
        Write(run, Make({arm, "recall_color", delay, i}, i % lose != 0, 0.5));
      }
    }
  }

  Comparison Compare(const CompareOptions& options = {}) {
    const Result<Comparison> out = CompareRuns(runs_, options);
    EXPECT_TRUE(out.ok()) << out.status().message();
    return out.ok() ? *out : Comparison();
  }
  std::string Refused(const CompareOptions& options = {}) {
    const Result<Comparison> out = CompareRuns(runs_, options);
    EXPECT_EQ(out.status().code(), StatusCode::kBadInput);
    return out.status().message();
  }

  ScratchDir scratch_;
  std::vector<RunStore> runs_;
};

TEST_F(CompareTest, CountsWinsAndCosts) {
  Fill(&runs_[0]);
  const Comparison c = Compare();
  ASSERT_EQ(c.arms.size(), 1u);
  const ComparedArm& arm = c.arms[0];
  EXPECT_EQ(arm.arm, "gated");
  EXPECT_EQ(arm.against, "full");
  ASSERT_EQ(arm.cells.size(), 3u);
  const ComparedCell& cell = arm.cells[0];
  EXPECT_EQ(cell.delay, "long");
  EXPECT_EQ(cell.pairs.n, 30);
  EXPECT_EQ(cell.pairs.only_a, 0);
  EXPECT_EQ(cell.pairs.only_b, 6);
  EXPECT_NEAR(cell.difference.value, -0.2, 1e-12);
  EXPECT_NEAR(cell.difference.low, TangoInterval({30, 0, 6}).low, 1e-12);
  EXPECT_LT(cell.anytime.low, cell.difference.low);
  EXPECT_NEAR(cell.mcnemar_p, 0.03125, 1e-12);
  EXPECT_NEAR(cell.holm_p, 0.0625, 1e-12);
  EXPECT_EQ(cell.non_inferiority.verdict, Inferiority::kInferior);
  EXPECT_NEAR(cell.ratios.kv_bytes.value, 0.5, 1e-12);
  EXPECT_NEAR(cell.ratios.flops.value, 0.5, 1e-12);
  EXPECT_TRUE(cell.ratios.flops.no_spread());
  EXPECT_NEAR(cell.ratios.decoder_last10.value, 0.5, 1e-6);
  EXPECT_NEAR(cell.ratios.latency_last10.value, 9.0 / 10, 1e-6);
  EXPECT_NEAR(cell.ratios.latency.value, 9.0 / 10, 1e-6);
  EXPECT_NEAR(cell.decoder_p95_ratio, 0.5, 1e-6);
  EXPECT_NEAR(cell.latency_p95_ratio, 9.0 / 10, 1e-6);
  EXPECT_NEAR(cell.progress.value, -0.1, 1e-12);
  EXPECT_EQ(cell.a_time.successes, 24);
  const ComparedCell& pooled = arm.cells[2];
  EXPECT_EQ(pooled.task, "");
  EXPECT_EQ(pooled.pairs.n, 60);
  EXPECT_NEAR(pooled.a_success.value, 0.8, 1e-12);
  EXPECT_NEAR(pooled.mcnemar_p, McNemarExact(0, 12), 1e-12);
  EXPECT_EQ(pooled.holm_p, pooled.mcnemar_p);
  EXPECT_LT(pooled.detectable, cell.detectable);
}

TEST_F(CompareTest, TailsAreThoseOfTheSlowestTwentieth) {
  for (int i = 0; i < 30; ++i) {
    Write(&runs_[0], Make({"full", "recall_color", "long", i}, true));
    Write(&runs_[0], Make({"gated", "recall_color", "long", i}, true, i < 10 ? 8 : 0.5));
  }
  EXPECT_NEAR(Compare().arms[0].cells[0].decoder_p95_ratio, 8, 1e-6);
}

TEST_F(CompareTest, FindsWhereEpisodesPart) {
  EpisodeRecord a = Make({"gated", "recall_color", "long", 0}, true);
  const EpisodeRecord b = Make({"full", "recall_color", "long", 0}, true);
  EXPECT_EQ(DivergenceOf(a, b).cache_step, -1);
  EXPECT_EQ(DivergenceOf(a, b).action_step, -1);
  a.inferences[7].changes.push_back({2, ChunkAction::kDropped, 0.1f, ReasonCode::kWindowOnly});
  a.steps[45].action[3] += 0.5f;
  EXPECT_EQ(DivergenceOf(a, b).cache_step, 28);
  EXPECT_EQ(DivergenceOf(a, b).action_step, 45);
  EpisodeRecord longer = b;
  longer.steps.push_back(longer.steps.back());
  EXPECT_EQ(DivergenceOf(b, longer).action_step, 80);
  EpisodeRecord untraced = b;
  untraced.steps.clear();
  EXPECT_EQ(DivergenceOf(a, untraced).action_step, -1);

  Write(&runs_[0], a);
  Write(&runs_[0], b);
  const json out = ComparisonJson(Compare());
  const json& pair = out["comparisons"][0]["episodes"][0];
  EXPECT_EQ(pair["cache_parts_at_step"], 28);
  EXPECT_EQ(pair["actions_part_at_step"], 45);
  EXPECT_EQ(pair["won"], "both");
}

TEST_F(CompareTest, RefusesOtherEpisodesAndIntersectsAloud) {
  Fill(&runs_[0]);
  Write(&runs_[0], Make({"full", "recall_color", "long", 30}, true));
  const std::string message = Refused();
  EXPECT_NE(message.find("not run on the same episodes: full has 1 episodes that others lack, such "
                         "as recall_color/long seed 30"),
            std::string::npos)
      << message;
  EXPECT_NE(message.find("compare the 60 episodes that all have with --intersect"),
            std::string::npos);
  CompareOptions options;
  options.intersect = true;
  const Comparison c = Compare(options);
  EXPECT_EQ(c.arms[0].cells[0].pairs.n, 30);
  ASSERT_EQ(c.notes.size(), 2u);
  EXPECT_NE(FormatComparison(c, false).find("note: left out: full has 1 episodes"),
            std::string::npos);
}

TEST_F(CompareTest, ErrorsAndTouchedEpisodesAreLeftOut) {
  Fill(&runs_[0], 1000);
  EpisodeRecord error = Make({"gated", "recall_color", "short", 30}, false);
  error.end.outcome = "error";
  EpisodeRecord touched = Make({"full", "recall_color", "short", 31}, false);
  touched.end.comparable = false;
  Write(&runs_[0], error);
  Write(&runs_[0], Make({"full", "recall_color", "short", 30}, true));
  Write(&runs_[0], touched);
  Write(&runs_[0], Make({"gated", "recall_color", "short", 31}, true));
  const Comparison c = Compare();
  EXPECT_EQ(c.arms[0].cells[1].pairs.n, 30);
  EXPECT_EQ(c.arms[0].cells[1].left_out, 2);
  EXPECT_NE(FormatComparison(c, false).find("2 pairs left out"), std::string::npos);
}

TEST_F(CompareTest, ComparesRuns) {
  Fill(&runs_[0]);
  Fill(&Add("other", {{"checkpoint_hash", "c2"}}), 3);
  CompareOptions options;
  options.arms = {"gated@other", "gated@run"};
  options.against = "gated@run";
  const Comparison c = Compare(options);
  ASSERT_EQ(c.arms.size(), 1u);
  EXPECT_EQ(c.arms[0].arm, "gated@other");
  EXPECT_EQ(c.arms[0].cells[0].pairs.only_b, 8);  // 10 lost, 2 of them by both
  ASSERT_EQ(c.notes.size(), 1u);
  EXPECT_NE(c.notes[0].find("checkpoint_hash differs: c2 in "), std::string::npos);
  EXPECT_EQ(Compare().arms.size(), 3u);

  EpisodeRecord other_seed = Make({"window", "recall_color", "long", 0}, true);
  other_seed.begin.run_seed = 5;
  Write(&Add("third"), other_seed);
  options.arms = {"window", "gated@run"};
  EXPECT_NE(Refused(options).find("seed 5 against split evaluation"), std::string::npos);
}

TEST_F(CompareTest, SaysHowRunsDiffer) {
  Fill(&runs_[0]);
  const std::string config = "name: run\nchanged: no\n";
  RunStore& other = Add("other", {{"checkpoint_hash", "c2"},
                                  {"assets_hash", "a2"},
                                  {"config", config + "disturbance: strong\n"}});
  ASSERT_TRUE(runs_[0].PutMeta("config", config + "disturbance: none\n").ok());
  Fill(&other, 5, "window");
  CompareOptions options;
  options.arms = {"full", "window"};
  std::string notes;
  for (const std::string& note : Compare(options).notes) notes += note + "\n";
  for (const char* part : {"checkpoint_hash differs: c1 in", "assets_hash differs: not recorded in",
                           "disturbance differs: none in", "strong in"}) {
    EXPECT_NE(notes.find(part), std::string::npos) << notes;
  }
  EXPECT_EQ(notes.find("instructions"), std::string::npos) << notes;
}

// The same seed under another suite is another episode. A run from before there were suites had
// the first one.
TEST_F(CompareTest, SaysWhereSuitesDiffer) {
  Fill(&runs_[0]);
  RunStore& other =
      Add("other", {{"config", "name: run\nsuite:\n  cues: anywhere\n  decoys: false\n"}});
  ASSERT_TRUE(runs_[0].PutMeta("config", "name: run\n").ok());
  Fill(&other, 5, "window");
  CompareOptions options;
  options.arms = {"full", "window"};
  std::string notes;
  for (const std::string& note : Compare(options).notes) notes += note + "\n";
  EXPECT_NE(notes.find("suite.cues differs: early in"), std::string::npos) << notes;
  EXPECT_NE(notes.find("anywhere in"), std::string::npos) << notes;
  EXPECT_EQ(notes.find("decoys"), std::string::npos) << notes;
  EXPECT_EQ(notes.find("layout"), std::string::npos) << notes;
}

TEST_F(CompareTest, NamesWhatIsWrong) {
  EXPECT_NE(Refused().find("nothing to compare"), std::string::npos);
  Fill(&runs_[0]);
  CompareOptions options;
  options.arms = {"gatd", "full"};
  EXPECT_EQ(Refused(options), "--arms gatd: no such arm, only full, gated; did you mean 'gated'?");
  options.arms = {"gated"};
  EXPECT_NE(Refused(options).find("only arm gated"), std::string::npos);
  options.against = "full";
  EXPECT_EQ(Compare(options).arms.size(), 1u);
}

TEST_F(CompareTest, TextFits) {
  Fill(&runs_[0]);
  Fill(&runs_[0], 2, "an_arm_with_a_very_long_name_indeed");
  const Comparison c = Compare();
  const std::string text = FormatComparison(c, true);
  std::istringstream lines(text);
  std::string line;
  while (std::getline(lines, line)) EXPECT_LE(line.size(), 100u) << line;
  EXPECT_NE(text.find("memory cells (2)"), std::string::npos);
  EXPECT_NE(text.find("Holm"), std::string::npos);
}

// Pooled success is the mean of the cells, whatever the number of pairs in each.
TEST_F(CompareTest, PoolsMemoryCellsAndControlsApart) {
  const auto add = [&](const std::string& task, const std::string& delay, int n, int lost,
                       double chance, double scale) {
    for (int i = 0; i < n; ++i) {
      EpisodeRecord full = Make({"full", task, delay, i}, true, 4 * scale);
      EpisodeRecord gated = Make({"gated", task, delay, i}, i >= lost, scale);
      full.begin.chance = gated.begin.chance = chance;
      Write(&runs_[0], full);
      Write(&runs_[0], gated);
    }
  };
  add("a", "short", 10, 5, 0.25, 1);
  add("b", "short", 40, 0, 0.5, 8);
  add("c", "", 10, 0, 0, 1);
  add("d", "", 10, 10, 0, 1);
  const std::vector<ComparedCell> cells = Compare().arms[0].cells;
  ASSERT_EQ(cells.size(), 6u);
  const ComparedCell &memory = cells[4], &controls = cells[5];
  EXPECT_TRUE(memory.memory && memory.task.empty());
  EXPECT_EQ(memory.cells, 2);
  EXPECT_EQ(memory.pairs.n, 50);
  EXPECT_EQ(memory.pairs.only_b, 5);
  EXPECT_NEAR(memory.a_success.value, 0.75, 1e-12);
  EXPECT_NEAR(memory.difference_bootstrap.value, -0.25, 1e-12);
  EXPECT_NEAR(memory.progress.value, -0.125, 1e-12);
  EXPECT_NEAR(memory.ratios.kv_bytes.value, 0.25, 1e-12);
  EXPECT_FALSE(controls.memory);
  EXPECT_EQ(controls.pairs.only_b, 10);
  EXPECT_NEAR(controls.a_success.value, 0.5, 1e-12);
  // Within the cells nothing varies, so nothing is known of how the controls would.
  EXPECT_TRUE(controls.difference_bootstrap.no_spread());
  EXPECT_FALSE(memory.difference_bootstrap.no_spread());
  const json out = ComparisonJson(Compare())["comparisons"][0]["cells"];
  EXPECT_EQ(out[4]["kind"], "memory");
  EXPECT_EQ(out[5]["kind"], "control");
  EXPECT_EQ(out[5]["cells"], 2);
}

// Smallest p times the number of tests, the next times one fewer, and never less than the one
// before.
TEST_F(CompareTest, HolmStepsDownAndNeverFallsBack) {
  const auto add = [&](const std::string& task, int lost) {
    for (int i = 0; i < 20; ++i) {
      Write(&runs_[0], Make({"full", task, "long", i}, true));
      Write(&runs_[0], Make({"gated", task, "long", i}, i >= lost));
    }
  };
  add("a", 8);  // p = 0.0078125
  add("b", 7);  // p = 0.015625
  add("c", 6);  // p = 0.03125
  add("d", 6);
  const std::vector<ComparedCell> cells = Compare().arms[0].cells;
  EXPECT_NEAR(cells[0].holm_p, 4 * 0.0078125, 1e-12);
  EXPECT_NEAR(cells[1].holm_p, 3 * 0.015625, 1e-12);
  EXPECT_NEAR(cells[2].holm_p, 2 * 0.03125, 1e-12);
  EXPECT_NEAR(cells[3].holm_p, 2 * 0.03125, 1e-12) << "the floor: not 0.03125";
}

TEST_F(CompareTest, SaysWhenLatenciesAreNotComparable) {
  Fill(&runs_[0]);
  EXPECT_EQ(Compare().why_not_comparable, "");
  EXPECT_EQ(FormatComparison(Compare(), false).find('~'), std::string::npos);
  ASSERT_TRUE(runs_[0].PutMeta("workers", "2").ok());
  const std::string text = FormatComparison(Compare(), false);
  EXPECT_NE(text.find("Latencies are not comparable"), std::string::npos) << text;
  EXPECT_NE(text.find("~0.500"), std::string::npos) << text;
  EXPECT_EQ(ComparisonJson(Compare())["latency"]["why_not"], "measured with 2 workers");
  ASSERT_TRUE(runs_[0].PutMeta("workers", "1").ok());
  Fill(&Add("other", {{"cpu_kernels", "AVX512"}}));
  const Comparison c = Compare();
  EXPECT_EQ(c.why_not_comparable, "several sets of CPU kernels: not recorded and AVX512");
  ASSERT_EQ(c.notes.size(), 1u);
  EXPECT_NE(c.notes[0].find("cpu_kernels differs: not recorded in "), std::string::npos);
}

TEST_F(CompareTest, NoIntervalHasNoWidth) {
  for (const char* delay : {"short", "long"}) {
    Write(&runs_[0], Make({"full", "recall_color", delay, 0}, true));
    Write(&runs_[0], Make({"gated", "recall_color", delay, 0}, true, 0.5));
  }
  const std::string text = FormatComparison(Compare(), false);
  EXPECT_NE(text.find("0.500 (no spread)"), std::string::npos) << text;
  const std::regex interval(R"(\[([^ ]+), ([^ ]+)\])");
  for (std::sregex_iterator i(text.begin(), text.end(), interval), end; i != end; ++i) {
    EXPECT_NE((*i)[1], (*i)[2]) << text;
  }
}

}  // namespace
}  // namespace kvla
