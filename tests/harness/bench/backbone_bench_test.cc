// SPDX-License-Identifier: Apache-2.0
// That the cost study measures what it says, not how long it takes.
#include "harness/bench/backbone_bench.h"

#include <gtest/gtest.h>

#include <cmath>

#include "harness/bench/backbone_report.h"
#include "harness/bench/history_cache.h"
#include "harness/bench/kept_share.h"
#include "tests/policy/backbones/tiny_shape.h"

namespace kvla {
namespace {

BackboneBenchConfig Quick() {
  BackboneBenchConfig config;
  config.inferences = {1, 3, 9, 30};
  config.rho = {0.2};
  config.window_blocks = 4;
  config.chunk_blocks = 2;
  config.gate_hidden = 64;
  config.layer_seconds = config.history_seconds = 0;
  config.rounds = 2;
  return config;
}

nlohmann::json Bench(const std::vector<BackboneShape>& shapes, const BackboneBenchConfig& config) {
  const auto report = BenchBackbones(shapes, config, [](int, const std::string&) { return true; });
  EXPECT_TRUE(report.ok()) << report.status().message();
  return report.ok() ? *report : nlohmann::json();
}

const nlohmann::json& RowOf(const nlohmann::json& backbone, const std::string& arm, int inference) {
  for (const nlohmann::json& row : backbone["rows"]) {
    if (row["arm"] == arm && row["inference"] == inference) return row;
  }
  ADD_FAILURE() << arm << " at " << inference;
  return backbone["rows"][0];
}

// The cache really holds what the arm says, at every length.
TEST(HistoryCacheTest, HoldsTheWindowAndItsShareOfTheRest) {
  const BackboneShape tiny = TinyShape();
  const HistorySettings settings = {.window_blocks = 4, .chunk_blocks = 2, .gate_hidden = 8};
  const CacheGeometry geometry = HistoryGeometry(tiny, 1, 40, 4);
  for (const HistoryArm& arm : {HistoryArm{.name = "full"}, HistoryArm{.name = "g", .rho = 0.25},
                                HistoryArm{.name = "int8", .storage = "int8"}}) {
    auto cache = HistoryCache::Create(geometry, arm, settings);
    ASSERT_TRUE(cache.ok()) << cache.status().message();
    for (const int inference : {1, 2, 6, 7, 23, 40}) {
      ASSERT_TRUE((*cache)->GoTo(inference).ok());
      EXPECT_EQ((*cache)->attended(), arm.Attended(geometry, settings.schedule(), inference))
          << arm.name << " at " << inference;
    }
  }
  // Ahead of inference 40: 17 chunks of 2 left, of which floor(17 / 4) are kept; 6 inferences near.
  const HistoryArm gated{.name = "gated", .rho = 0.25};
  EXPECT_EQ(gated.Attended(geometry, settings.schedule(), 40), 5 + (4 * 2 + 6) * 33);
}

TEST(HistoryCacheTest, AShareOfChunksIsSpreadEvenly) {
  for (const double share : {0.0, 0.015, 0.05, 0.13, 1.0}) {
    int kept = 0;
    for (int chunk = 0; chunk < 200; ++chunk) {
      kept += KeepsChunk(chunk, share) ? 1 : 0;
      EXPECT_EQ(kept, static_cast<int>(std::floor((chunk + 1) * share + 1e-9))) << share;
    }
  }
}

TEST(BackboneBenchTest, EveryRowIsWholeAndItsFiguresAreOfTheHistory) {
  const nlohmann::json report = Bench({TinyShape()}, Quick());
  ASSERT_EQ(report["backbones"].size(), 1);
  const nlohmann::json& backbone = report["backbones"][0];
  EXPECT_EQ(backbone["rows"].size(), 4 * 4);  // full, gated, int8, none
  for (const nlohmann::json& row : backbone["rows"]) {
    for (const char* key : {"attended", "kv_bytes", "gflop", "attention_ms", "inference_ms_median",
                            "inference_ms_mean", "predicted_ms", "predicted_ratio"}) {
      EXPECT_TRUE(std::isfinite(row[key].get<double>())) << key << row;
      EXPECT_GT(row[key].get<double>(), 0) << key << row;
    }
    EXPECT_TRUE(row["measured"].get<bool>());
    EXPECT_GT(row["inference_ms_median"], row["attention_ms"]);
  }
  // 33 tokens an inference, 5 of the prompt; a token takes 3 x 2 x 2 x 8 values.
  EXPECT_EQ(RowOf(backbone, "full", 30)["attended"], 5 + 30 * 33);
  EXPECT_EQ(RowOf(backbone, "full", 30)["kv_bytes"], (5 + 30 * 33) * 96 * 4);
  EXPECT_EQ(RowOf(backbone, "no history", 30)["attended"], 38);
  // Two of twelve chunks, and 6 near.
  EXPECT_EQ(RowOf(backbone, "gated 0.2", 30)["attended"], 5 + (2 * 2 + 6) * 33);
  EXPECT_LT(RowOf(backbone, "int8", 30)["kv_bytes"], RowOf(backbone, "full", 30)["kv_bytes"]);
  EXPECT_LT(RowOf(backbone, "gated 0.2", 30)["gflop"], RowOf(backbone, "full", 30)["gflop"]);
  const auto of_layers = [&](double attended) {
    return WorkOf(TinyShape(), 33).Flops(attended) / 1e9;
  };
  EXPECT_DOUBLE_EQ(RowOf(backbone, "full", 30)["gflop"].get<double>(), of_layers(5 + 30 * 33));
  // Three layers' gate reads two blocks of 33 tokens, every second inference.
  const double gate =
      RowOf(backbone, "gated 0.2", 30)["gflop"].get<double>() - of_layers(5 + (2 * 2 + 6) * 33);
  EXPECT_GT(gate, 3 * 33 * 2 * 64 * (32 + 64) / 1e9);
  EXPECT_LT(gate, 2 * 3 * 33 * 2 * 64 * (32 + 64) / 1e9);
  for (const nlohmann::json& arm : backbone["arms"]) {
    EXPECT_GT(arm["append_ms"], 0) << arm;
  }
  // A gate is asked in its arm alone.
  EXPECT_GT(backbone["arms"][1]["gate_ms"].get<double>(),
            3 * backbone["arms"][0]["gate_ms"].get<double>());
  // Bytes are as many as tokens: 1.87 times from the first inference of which that holds to the
  // end.
  int from = 30;
  const HistoryArm full{.name = "full"}, gated{.name = "gated", .rho = 0.2};
  const CacheGeometry geometry = HistoryGeometry(TinyShape(), 1, 30, 4);
  const auto ratio = [&](int n) {
    return static_cast<double>(full.Attended(geometry, {4, 2}, n)) /
           static_cast<double>(gated.Attended(geometry, {4, 2}, n));
  };
  while (ratio(from - 1) >= kPaperMemoryRatio) --from;
  EXPECT_EQ(backbone["paper"][0]["memory_from"], from);
}

TEST(BackboneBenchTest, WhatDoesNotFitIsExtrapolatedAndMarked) {
  BackboneBenchConfig config = Quick();
  const CacheGeometry geometry = HistoryGeometry(TinyShape(), 1, 30, 4);
  const HistoryArm full{.name = "full"};
  config.memory_gb =
      1e-9 * static_cast<double>(full.Bytes(geometry, full.Attended(geometry, {4, 2}, 9)) + 1);
  const nlohmann::json report = Bench({TinyShape()}, config);
  const nlohmann::json& backbone = report["backbones"][0];
  const nlohmann::json &third = RowOf(backbone, "full", 3), &ninth = RowOf(backbone, "full", 9),
                       &last = RowOf(backbone, "full", 30);
  EXPECT_TRUE(ninth["measured"].get<bool>());
  EXPECT_FALSE(last["measured"].get<bool>());
  EXPECT_EQ(last["attended"], 5 + 30 * 33);
  EXPECT_NEAR(last["kv_bytes"].get<double>(), (5 + 30 * 33) * 96 * 4, 1);
  const double slope =
      (ninth["attention_ms"].get<double>() - third["attention_ms"].get<double>()) / 6;
  EXPECT_NEAR(last["attention_ms"].get<double>(), ninth["attention_ms"].get<double>() + 21 * slope,
              1e-6);
  EXPECT_TRUE(RowOf(backbone, "gated 0.2", 9)["measured"].get<bool>());
  EXPECT_NE(BackboneTable(report).find('*'), std::string::npos);

  config.inferences = {1, 30};
  const auto refused = BenchBackbones(std::vector{TinyShape()}, config,
                                      [](int, const std::string&) { return true; });
  EXPECT_EQ(refused.status().code(), StatusCode::kBadInput);
  EXPECT_NE(refused.status().message().find("memory_gb"), std::string::npos);
}

TEST(BackboneBenchTest, TableAndPlotShowEveryArm) {
  BackboneShape other = TinyShape();
  other.name = "other";
  const nlohmann::json report = Bench({TinyShape(), other}, Quick());
  // The same cache: measured once.
  EXPECT_EQ(RowOf(report["backbones"][0], "full", 30)["attention_ms"],
            RowOf(report["backbones"][1], "full", 30)["attention_ms"]);
  for (const std::string& text : {BackboneTable(report), BackboneSvg(report)}) {
    for (const char* word : {"tiny", "other", "full", "gated 0.2", "int8", "no history"}) {
      EXPECT_NE(text.find(word), std::string::npos) << word;
    }
    EXPECT_EQ(text.find("nan"), std::string::npos);
  }
}

TEST(BackboneBenchTest, AConfigThatSaysNothingIsRefused) {
  const auto refuse = [](const BackboneBenchConfig& config, const char* what) {
    const Status status = CheckBackboneBench(config);
    EXPECT_EQ(status.code(), StatusCode::kBadInput);
    EXPECT_NE(status.message().find(what), std::string::npos) << status.message();
  };
  BackboneBenchConfig config;
  EXPECT_TRUE(CheckBackboneBench(config).ok());
  config.inferences = {4, 4};
  refuse(config, "ascend");
  config = {};
  config.backbones = {"openvlaa"};
  refuse(config, "openvlaa");
  config = {};
  config.rho = {0.5, 0.5};
  refuse(config, "rho");
}

TEST(BackboneBenchTest, StopsWhenItIsTold) {
  const auto stopped = BenchBackbones(std::vector{TinyShape()}, Quick(),
                                      [](int done, const std::string&) { return done < 2; });
  EXPECT_EQ(stopped.status().code(), StatusCode::kCancelled);
}

}  // namespace
}  // namespace kvla
