// SPDX-License-Identifier: Apache-2.0
#include "results/report/report.h"

#include <gtest/gtest.h>

#include <regex>
#include <sstream>

#include "results/statistics/paired.h"
#include "tests/results/record_util.h"

namespace kvla {
namespace {

using nlohmann::json;

const json& Row(const json& list, const std::string& arm, const std::string& delay = "long") {
  for (const json& row : list) {
    if (row["arm"] == arm && row["delay"] == delay) return row;
  }
  ADD_FAILURE() << arm << " " << delay;
  return list.at(0);
}

class ReportTest : public testing::Test {
 protected:
  ReportTest() : store_(Make(scratch_.path() / "run")) {}

  static RunStore Make(const std::filesystem::path& dir) {
    return std::move(*RunStore::Create(dir, {{"arms", R"(["full","window","gated"])"},
                                             {"device", "cpu"},
                                             {"version", "0.1.0"},
                                             {"workers", "1"}}));
  }

  // Latency 10 ms (2 of it decoder), the last of 20 inferences 40 ms (32); bytes and FLOPs 100
  // each, the last 200; times `scale`.
  void Add(const EpisodeId& id, bool success, double scale = 1, const std::string& outcome = "") {
    EpisodeRecord r = MakeRecord(id, 20, success);
    for (InferenceEvent& e : r.inferences) {
      const bool last = e.index == 19;
      e.cost.latency = {4, 3, 0.5, 0.5, 0.5, 0.5, 1};
      if (last) e.cost.latency.attend_ms = 30.5;
      e.cost.kv_live_bytes = static_cast<int64_t>((last ? 200 : 100) * scale);
      e.cost.flops = (last ? 200 : 100) * scale;
    }
    if (!outcome.empty()) r.end.outcome = outcome;
    if (outcome == "error") r.begin.warnings = {"the window covers the cue"};
    const Status status = store_.WriteEpisode(r);
    EXPECT_TRUE(status.ok()) << status.message();
  }

  json Json(bool episodes = false) {
    const Result<Report> report = BuildReport(store_);
    EXPECT_TRUE(report.ok()) << report.status().message();
    return ReportJson(*report, episodes);
  }

  ScratchDir scratch_;
  RunStore store_;
};

// Ten episodes in the reference and in an arm at half the cost that loses three; one more ended in
// an error and counts nowhere but as that.
TEST_F(ReportTest, CountsAndCosts) {
  for (int i = 0; i < 10; ++i) Add({"full", "recall_color", "long", i}, true);
  for (int i = 0; i < 10; ++i) Add({"gated", "recall_color", "long", i}, i < 7, 0.5);
  Add({"gated", "recall_color", "long", 10}, false, 1000, "error");
  const json out = Json();

  const json& full = Row(out["rows"], "full");
  EXPECT_EQ(full["episodes"], 10);
  EXPECT_EQ(full["errors"], 0);
  EXPECT_EQ(full["success"]["rate"], 1);
  EXPECT_NEAR(full["success"]["low"].get<double>(), 0.722467200137111, 1e-9);
  EXPECT_EQ(full["success"]["high"], 1);
  EXPECT_EQ(full["latency_ms"]["p50"], 10);
  EXPECT_EQ(full["latency_ms"]["max"], 40);
  EXPECT_EQ(full["latency_ms"]["mean"], 11.5);
  // Of 2 and 32, the last two of each episode.
  EXPECT_EQ(full["decoder_ms_last10"]["mean"], 17);
  EXPECT_EQ(full["decoder_ms_last10"]["p50"], 17);
  EXPECT_EQ(full["decoder_ms_last10"]["p95"], 32);
  EXPECT_EQ(full["latency_ms_last10"]["mean"], 25);
  EXPECT_EQ(full["latency_ms_last10"]["p95"], 40);
  EXPECT_EQ(full["kv_bytes"]["mean"], 105);
  EXPECT_EQ(full["kv_bytes"]["peak"], 200);
  EXPECT_EQ(full["kv_bytes"]["attending"]["mean"], 4096 * 11.5);
  EXPECT_EQ(full["kv_bytes"]["attending"]["peak"], 4096 * 21);
  EXPECT_EQ(full["kv_bytes"]["committed_peak"], 65536);
  EXPECT_EQ(full["kv_bytes"]["transient_peak"], 512);
  EXPECT_EQ(full["kv_bytes"]["method"], 1019);
  EXPECT_EQ(full["flops"]["mean"], 105);
  EXPECT_EQ(full["flops"]["last"], 200);

  // The error is counted in its own column alone.
  const json& gated = Row(out["rows"], "gated");
  EXPECT_EQ(gated["episodes"], 11);
  EXPECT_EQ(gated["errors"], 1);
  EXPECT_EQ(gated["success"]["rate"], 0.7);
  EXPECT_NEAR(gated["success"]["low"].get<double>(), 0.396778147461145, 1e-9);
  EXPECT_EQ(gated["decisive"]["rate"], 0.7);
  EXPECT_NEAR(gated["progress"]["mean"].get<double>(), 0.85, 1e-12);
  EXPECT_LT(gated["progress"]["low"].get<double>(), 0.85);
  EXPECT_GT(gated["progress"]["high"].get<double>(), 0.85);
  EXPECT_EQ(gated["kv_bytes"]["peak"], 100);

  const json& detail = Row(out["details"], "gated");
  EXPECT_EQ(detail["against_full"]["pairs"], 10);
  EXPECT_EQ(detail["against_full"]["kv_bytes_ratio"], 0.5);
  EXPECT_EQ(detail["against_full"]["flops_ratio"], 0.5);
  EXPECT_EQ(detail["against_full"]["decoder_ratio"], 1);
  EXPECT_EQ(detail["against_full"]["latency_ratio"], 1);
  EXPECT_EQ(detail["against_full"]["kv_attending_ratio"], 1);
  EXPECT_NEAR(detail["against_full"]["success_points"]["difference"].get<double>(), -30, 1e-9);
  const Interval tango = TangoInterval({10, 0, 3});
  EXPECT_NEAR(detail["against_full"]["success_points"]["low"].get<double>(), 100 * tango.low, 1e-9);
  EXPECT_NEAR(detail["against_full"]["success_points"]["high"].get<double>(), 100 * tango.high,
              1e-9);
  EXPECT_NEAR(detail["against_full"]["mcnemar_p"].get<double>(), 0.25, 1e-12);
  EXPECT_EQ(detail["parts_ms"]["attend"]["p50"], 0.5);
  EXPECT_EQ(detail["parts_ms"]["attend"]["max"], 30.5);
  EXPECT_EQ(detail["parts_ms"]["attend"]["mean"], 2);
  EXPECT_EQ(detail["motor"]["rate"], 1);
  ASSERT_EQ(detail["stages"].size(), 2u);
  EXPECT_EQ(detail["stages"][1]["name"], "press");
  EXPECT_EQ(detail["stages"][1]["reached"]["rate"], 0.7);
  EXPECT_EQ(detail["stages"][0]["p50_s"], 13 / 20.0);  // reached by the 13th control step
  EXPECT_TRUE(detail["stages"][1]["p50_s"].is_null());
  EXPECT_EQ(detail["time_to_success"]["successes"], 7);
  EXPECT_EQ(detail["time_to_success"]["p50_s"], 4);  // 80 steps
  EXPECT_GT(detail["trace_mb_per_episode"].get<double>(), 0.003);
  EXPECT_TRUE(Row(out["details"], "full")["against_full"].is_null());
  EXPECT_EQ(out["warnings"], json({"gated: the window covers the cue (1 episode)"}));
}

TEST_F(ReportTest, WarningsThatDifferInNumbersAloneAreOne) {
  const auto add = [this](const std::string& arm, int seed, const std::string& warning) {
    EpisodeRecord r = MakeRecord({arm, "recall_color", "long", seed}, 20, true);
    r.begin.warnings = {warning};
    EXPECT_TRUE(store_.WriteEpisode(r).ok());
  };
  for (int i = 3; i < 6; ++i) add("window", i, "block " + std::to_string(i) + " is held");
  add("window", 6, "block 7 is lost");
  add("sink", 3, "block 3 is held");
  EXPECT_EQ(Json()["warnings"],
            json({"sink: block 3 is held (1 episode)",
                  "window: block 3 is held (3 episodes; the numbers are those of "
                  "window recall_color/long seed 3)",
                  "window: block 7 is lost (1 episode)"}));
}

TEST_F(ReportTest, RowsHaveTheAgreedKeys) {
  Add({"full", "recall_color", "long", 4}, true);
  const json out = Json(true);
  std::vector<std::string> keys;
  for (const auto& item : out["rows"][0].items()) keys.push_back(item.key());
  EXPECT_EQ(keys, (std::vector<std::string>{"arm", "decisive", "decoder_ms_last10", "delay",
                                            "episodes", "errors", "flops", "kv_bytes", "latency_ms",
                                            "latency_ms_last10", "progress", "success", "task"}));
  const json& episode = out["episodes"][0];
  keys.clear();
  for (const auto& item : episode.items()) keys.push_back(item.key());
  EXPECT_EQ(keys, (std::vector<std::string>{"arm", "delay", "outcome", "progress", "seed",
                                            "state_hash", "steps", "success", "task"}));
  EXPECT_EQ(episode["seed"], 4);
  EXPECT_EQ(episode["outcome"], "success");
  EXPECT_EQ(episode["success"], true);
  EXPECT_FALSE(Json().contains("episodes"));
}

TEST_F(ReportTest, NoDataIsNull) {
  Add({"full", "recall_color", "long", 0}, false, 1, "error");
  const json out = Json();
  EXPECT_TRUE(out["rows"][0]["success"]["rate"].is_null());
  EXPECT_TRUE(out["rows"][0]["latency_ms"]["p50"].is_null());
  EXPECT_TRUE(out["rows"][0]["kv_bytes"]["peak"].is_null());
  EXPECT_EQ(out["rows"][0]["errors"], 1);
  EXPECT_NE(out.dump().find("null"), std::string::npos);
}

TEST_F(ReportTest, DoesNotDependOnTheOrderInWhichEpisodesEnded) {
  ScratchDir other;
  RunStore shuffled = Make(other.path() / "run");
  std::vector<EpisodeId> ids;
  for (const char* arm : {"full", "window", "gated", "zz"}) {
    for (const char* delay : {"long", "short", "medium"}) {
      for (int i = 0; i < 4; ++i) ids.push_back({arm, "recall_color", delay, i});
    }
  }
  for (const EpisodeId& id : ids) {
    ASSERT_TRUE(store_.WriteEpisode(MakeRecord(id, 5, id.seed % 2 == 0)).ok());
  }
  Rng rng(11);
  rng.Shuffle(ids);
  for (const EpisodeId& id : ids) {
    ASSERT_TRUE(shuffled.WriteEpisode(MakeRecord(id, 5, id.seed % 2 == 0)).ok());
  }
  const Result<Report> a = BuildReport(store_), b = BuildReport(shuffled);
  EXPECT_EQ(ReportJson(*a, true), ReportJson(*b, true));
  EXPECT_EQ(FormatTable(*a), FormatTable(*b));
  std::vector<std::string> order;
  for (const ReportRow& row : a->rows) order.push_back(row.delay + " " + row.arm);
  EXPECT_EQ(order,
            (std::vector<std::string>{"short full", "short window", "short gated", "short zz",
                                      "medium full", "medium window", "medium gated", "medium zz",
                                      "long full", "long window", "long gated", "long zz"}));
}

TEST_F(ReportTest, TheTableFitsAndAligns) {
  for (const char* arm : {"full", "gated", "an_arm_with_a_very_long_name_indeed"}) {
    for (int i = 0; i < 12; ++i) {
      EpisodeRecord r = MakeRecord({arm, "recall_color", "long", i}, 20, i % 3 != 0);
      for (InferenceEvent& e : r.inferences) {
        e.cost.kv_live_bytes = e.cost.kv_transient_bytes = 123'456'789;
        e.cost.kv_attending_bytes = e.cost.kv_committed_bytes = e.cost.method_bytes = 123'456'789;
        e.cost.flops = 9.87e12;
        e.cost.latency.render_ms = e.cost.latency.gate_ms = e.cost.latency.encode_ms = 1234.5;
        e.cost.latency.linear_ms = e.cost.latency.attend_ms = e.cost.latency.act_ms =
            e.cost.latency.compact_ms = 12345;
      }
      ASSERT_TRUE(store_.WriteEpisode(r).ok());
    }
  }
  const std::string table = FormatTable(*BuildReport(store_));
  std::istringstream lines(table);
  std::string line;
  size_t header = 0;
  while (std::getline(lines, line)) {
    EXPECT_LE(line.size(), 100u) << line;
    if (line.starts_with("  arm ")) header = line.size();
    if (line.starts_with("  full ") || line.starts_with("  gated ")) {
      EXPECT_EQ(line.size(), header) << line;
    }
  }
  for (const char* text : {"decisive right", "motor stages", "McNemar p", "compact", "committed",
                           "recall_color, long (decisive stage by chance: 25.0)", "device cpu",
                           "megabytes an episode"}) {
    EXPECT_NE(table.find(text), std::string::npos) << text << "\n" << table;
  }
}

TEST_F(ReportTest, AStopIsSaid) {
  Add({"full", "recall_color", "long", 0}, true);
  ASSERT_TRUE(
      store_.PutMeta("stopped", R"({"episodes": 1, "statements": ["gated - full: -30"]})").ok());
  EXPECT_NE(FormatTable(*BuildReport(store_)).find("  gated - full: -30\n"), std::string::npos);
  ASSERT_TRUE(store_.PutMeta("stopped", "[1").ok());
  EXPECT_EQ(FormatTable(*BuildReport(store_)).find("Stopped early"), std::string::npos);
}

TEST_F(ReportTest, AnEmptyRunSaysSo) {
  EXPECT_EQ(FormatTable(*BuildReport(store_)), "no episodes yet\n");
  EXPECT_EQ(Json(true)["rows"], json::array());
}

// Whether a cell needs memory does not hang on an episode that went well.
TEST_F(ReportTest, ACellOfErrorsAloneStaysAMemoryCell) {
  Add({"full", "recall_color", "long", 0}, false, 1, "error");
  Add({"full", "recall_color", "short", 0}, true);
  const json out = Json();
  EXPECT_EQ(Row(out["details"], "full")["chance"], 0.25);
  ASSERT_EQ(out["suite"].size(), 1u);
  EXPECT_EQ(out["suite"][0]["cells"], 2);
  EXPECT_TRUE(out["suite"][0]["success"]["rate"].is_null());
}

// The median of the last 10% hides what runs in one inference of four; the mean does not.
TEST_F(ReportTest, TheLastTenthIsAMean) {
  EpisodeRecord r = MakeRecord({"gated", "recall_color", "long", 0}, 40, true);
  for (InferenceEvent& e : r.inferences) {
    e.cost.latency = {0, 0, 0, 1, e.index % 4 == 3 ? 4.0 : 0.0, 0, 0};
  }
  ASSERT_TRUE(store_.WriteEpisode(r).ok());
  const json row = Json()["rows"][0];
  EXPECT_EQ(row["decoder_ms_last10"]["p50"], 1);
  EXPECT_EQ(row["decoder_ms_last10"]["mean"], 2);
  EXPECT_NE(ReportCsv(*BuildReport(store_), false).find("decoder_ms_last10_mean"),
            std::string::npos);
}

TEST_F(ReportTest, CountsTheMotorStages) {
  for (int i = 0; i < 4; ++i) {
    EpisodeRecord r = MakeRecord({"full", "recall_color", "long", i}, 5, i == 0);
    r.end.motor_ok = i < 3;
    ASSERT_TRUE(store_.WriteEpisode(r).ok());
  }
  EXPECT_EQ(Json()["details"][0]["motor"]["rate"], 0.75);
}

// Pairs are those of the same seed, whatever else either arm ran.
TEST_F(ReportTest, PairsAreTakenBySeed) {
  for (int i = 0; i < 6; ++i) Add({"full", "recall_color", "long", i}, i % 2 == 0);
  for (int i = 1; i < 7; ++i) Add({"gated", "recall_color", "long", i}, i % 2 == 0, 2);
  const json out = Json();
  const json& against = Row(out["details"], "gated")["against_full"];
  EXPECT_EQ(against["pairs"], 5);
  EXPECT_EQ(against["success_points"]["difference"], 0);
  EXPECT_EQ(against["mcnemar_p"], 1);
  EXPECT_EQ(against["kv_bytes_ratio"], 2);
}

// What all episodes agree in is no proof that others would.
TEST_F(ReportTest, NoIntervalHasNoWidth) {
  for (const int n : {1, 2, 12}) {
    ScratchDir folder;
    store_ = Make(folder.path() / "run");
    for (int i = 0; i < n; ++i) {
      Add({"full", "recall_color", "long", i}, true);
      Add({"gated", "recall_color", "long", i}, true, 0.5);
      Add({"full", "recall_color", "short", i}, true);
      Add({"gated", "recall_color", "short", i}, true, 0.5);
    }
    const std::string table = FormatTable(*BuildReport(store_));
    EXPECT_NE(table.find("100.0 (no spread)"), std::string::npos) << table;
    EXPECT_NE(table.find("0.500 (no spread)"), std::string::npos) << table;
    const std::regex interval(R"(\[([^ ]+), ([^ ]+)\])");
    int seen = 0;
    for (std::sregex_iterator i(table.begin(), table.end(), interval), end; i != end; ++i) {
      EXPECT_NE((*i)[1], (*i)[2]) << table;
      ++seen;
    }
    EXPECT_GT(seen, 10);
    const json out = Json();
    EXPECT_TRUE(Row(out["rows"], "full")["progress"]["low"].is_null());
    const json& points = Row(out["details"], "gated")["against_full"]["success_points"];
    EXPECT_NEAR(points["high"].get<double>(), 100 * TangoInterval({n, 0, 0}).high, 1e-9);
  }
}

// The table must not hide it where times were not taken under the same conditions.
TEST_F(ReportTest, SaysWhenLatenciesAreNotComparable) {
  Add({"full", "recall_color", "long", 0}, true);
  Add({"gated", "recall_color", "long", 0}, true, 0.5);
  for (const auto& [workers, said] :
       {std::pair<std::string, bool>{"1", false}, {"2", true}, {"1 | 2", true}}) {
    ASSERT_TRUE(store_.PutMeta("workers", workers).ok());
    const Report report = *BuildReport(store_);
    const std::string table = FormatTable(report);
    EXPECT_EQ(table.find("Latencies are not comparable") != std::string::npos, said) << table;
    EXPECT_EQ(table.find("~1.000") != std::string::npos, said) << table;
    EXPECT_EQ(table.find("~0.500"), std::string::npos) << "bytes compare always";
    EXPECT_EQ(ReportJson(report, false)["latency"]["comparable"], !said);
    EXPECT_EQ(ReportCsv(report, false).find(",1,11.5,") != std::string::npos, !said);
  }
  ASSERT_TRUE(store_.PutMeta("workers", "1").ok());
  ASSERT_TRUE(store_.PutMeta("pinned", "no").ok());
  EXPECT_EQ(Json()["latency"]["why_not"], "the worker was not pinned to a core");
}

}  // namespace
}  // namespace kvla
