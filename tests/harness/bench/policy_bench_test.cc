// SPDX-License-Identifier: Apache-2.0
// The benches of the policy's side: that they measure what they say, not how long it takes.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "harness/bench/arm_settings.h"
#include "harness/bench/attention_bench.h"
#include "harness/bench/compact_bench.h"
#include "harness/bench/episode_bench.h"
#include "harness/bench/gate_bench.h"
#include "harness/bench/inference_bench.h"
#include "kv_efficient/attention/ragged_attention.h"
#include "policy/compact/vla.h"
#include "tests/harness/test_worker.h"
#include "tests/scratch_dir.h"

namespace kvla {
namespace {

constexpr double kSeconds = 0.05;

void ExpectFigures(const nlohmann::json& object, const std::vector<std::string>& keys) {
  for (const std::string& key : keys) {
    ASSERT_TRUE(object.contains(key)) << key << " is not in " << object;
    ASSERT_TRUE(object[key].is_number()) << key;
    EXPECT_TRUE(std::isfinite(object[key].get<double>())) << key;
    EXPECT_GT(object[key].get<double>(), 0) << key;
  }
}

void ExpectLimits(const BenchReport& report) {
  ExpectFigures(report.machine,
                {"gemm_gflop_per_s_median", "gemm_gflop_per_s_mean", "copy_gbyte_per_s_median",
                 "copy_gbyte_per_s_mean", "copy_touched_mib", "l2_copy_gbyte_per_s_median",
                 "l2_copy_gbyte_per_s_mean", "l2_copy_touched_kib"});
  for (const char* name : {"cpu", "vectors", "libtorch_vectors", "gemm"}) {
    EXPECT_FALSE(report.machine.at(name).get<std::string>().empty()) << name;
  }
}

class PolicyBenchTest : public testing::Test {
 protected:
  std::filesystem::path Checkpoint() { return MakeCheckpoint(scratch_ / "policy"); }

  ScratchDir scratch_;
};

// What the policy itself says of the inferences that are measured.
struct Work {
  double mflop = 0, attended_tokens = 0;
};
Work WorkOf(const std::filesystem::path& checkpoint, const std::string& method, int before) {
  Vla::Options options;
  options.checkpoint = checkpoint;
  const auto vla = Vla::Load(options);
  EXPECT_TRUE(vla.ok()) << vla.status().message();
  const PolicySpec& spec = (*vla)->spec();
  const auto session =
      (*vla)->NewSession({.cache = *ArmOf(method, spec, checkpoint), .max_blocks = 64});
  EXPECT_TRUE(session.ok()) << session.status().message();
  EXPECT_TRUE((*session)->BeginEpisode({.instruction = "press the button"}).ok());
  const std::vector<uint8_t> image(size_t{3} * spec.cameras[0].width * spec.cameras[0].height, 9);
  FrameInput input;
  input.images = {image, image};
  Work work;
  for (int block = 0; block < before + spec.chunk_blocks; ++block) {
    const Result<Inference> inference = InferOne(**vla, **session, input);
    EXPECT_TRUE(inference.ok()) << inference.status().message();
    if (block < before) continue;
    work.mflop += inference->cost.flops / 1e6 / spec.chunk_blocks;
    work.attended_tokens +=
        static_cast<double>(inference->cost.attended_tokens) / spec.chunk_blocks;
  }
  return work;
}

TEST_F(PolicyBenchTest, AnInferenceIsThePolicysAtThatLengthOfTheEpisode) {
  const std::filesystem::path checkpoint = Checkpoint();
  for (const char* method : {"full", "window", "sink_window", "recompute"}) {
    InferenceBenchOptions options{KVLA_ASSET_ROOT, checkpoint, method, {9, 60}, {1, 3}, kSeconds};
    const Result<BenchReport> report = BenchInference(options);
    ASSERT_TRUE(report.ok()) << report.status().message();
    ExpectLimits(*report);
    ASSERT_EQ(report->rows.size(), 4u);
    for (const nlohmann::json& row : report->rows) {
      ExpectFigures(
          row, {"batch", "samples", "mflop", "attended_tokens_mean", "encode_ms_median",
                "encode_ms_mean", "linear_ms_median", "attend_ms_median", "act_ms_median",
                "inference_ms_median", "inference_ms_mean", "libtorch_inference_ms_median",
                "ratio_to_libtorch", "encode_gemm_share", "linear_gemm_share", "attend_gemm_share",
                "act_gemm_share", "inference_gemm_share", "inference_gflop_per_s"});
      EXPECT_EQ(row["method"], method);
      const Work work = WorkOf(checkpoint, method, row["history_blocks"].get<int>());
      EXPECT_NEAR(row["mflop"].get<double>() / work.mflop, 1, 1e-9) << method << row;
      EXPECT_NEAR(row["attended_tokens_mean"].get<double>(), work.attended_tokens, 1e-9) << row;
    }
    EXPECT_EQ(report->rows[0]["history_blocks"], 0);
    EXPECT_EQ(report->rows[3]["history_blocks"], 14);  // 60 tokens: 4 of the text, 14 blocks of 4
    EXPECT_EQ(report->rows[3]["batch"], 3);
  }
}

TEST_F(PolicyBenchTest, AnInferenceOfAnUnknownMethodOrPolicyIsRefused) {
  InferenceBenchOptions options{KVLA_ASSET_ROOT, Checkpoint(), "ful", {9}, {1}, kSeconds};
  Result<BenchReport> report = BenchInference(options);
  EXPECT_EQ(report.status().code(), StatusCode::kBadInput);
  EXPECT_NE(report.status().message().find("unknown policy 'ful'; there are"), std::string::npos)
      << report.status().message();
  options.method = "gated";  // there is no gate beside this policy
  report = BenchInference(options);
  EXPECT_EQ(report.status().code(), StatusCode::kBadInput);
  EXPECT_NE(report.status().message().find("gate.safetensors"), std::string::npos);
  options.method = "full";
  options.checkpoint = scratch_ / "none";
  EXPECT_EQ(BenchInference(options).status().code(), StatusCode::kBadInput);
}

TEST(AttentionBenchTest, BothAttendToTheSameAtEveryVectorWidth) {
  for (const AttentionBenchOptions& options : {AttentionBenchOptions{{7, 130}, 2, 16, 32, kSeconds},
                                               AttentionBenchOptions{{64}, 3, 5, 20, kSeconds},
                                               AttentionBenchOptions{{64}, 1, 40, 128, kSeconds}}) {
    const Result<BenchReport> report = BenchAttention(options);
    ASSERT_TRUE(report.ok()) << report.status().message();
    ExpectLimits(*report);
    ASSERT_EQ(report->rows.size(), options.tokens.size() * AllCpuAttention().size());
    for (const nlohmann::json& row : report->rows) {
      ExpectFigures(row, {"tokens", "samples", "mflop", "kv_mbyte", "gflop_per_s", "gemm_share",
                          "gbyte_per_s", "copy_share", "libtorch_ms_median", "libtorch_ms_mean",
                          "one_region_ms_median", "one_region_ms_mean", "two_regions_ms_median",
                          "one_region_ratio_to_libtorch", "two_regions_ratio_to_libtorch"});
      EXPECT_EQ(row.contains("ragged_ratio_to_equal"), options.kv_heads > 1) << row;
      if (options.kv_heads > 1) {
        ExpectFigures(row,
                      {"ragged_ms_median", "ragged_ratio_to_equal", "ragged_ratio_to_libtorch"});
      }
      EXPECT_LT(row["largest_difference"].get<double>(), 1e-5) << row;
    }
  }
}

TEST(AttentionBenchTest, MoreThanFitsIsRefused) {
  const Result<BenchReport> report = BenchAttention({{10000000}, 64, 16, 256, kSeconds});
  ASSERT_EQ(report.status().code(), StatusCode::kBadInput);
  EXPECT_NE(report.status().message().find("GiB"), std::string::npos);
  EXPECT_EQ(BenchAttention({}).status().code(), StatusCode::kBadInput);
}

TEST(GateBenchTest, BothGatesSayTheSame) {
  const std::filesystem::path gate =
      std::filesystem::path(KVLA_ASSET_ROOT) / "policy/weights/suite/gate.safetensors";
  const Result<BenchReport> report = BenchGate(gate, kSeconds);
  ASSERT_TRUE(report.ok()) << report.status().message();
  ExpectLimits(*report);
  ASSERT_EQ(report->rows.size(), 1u);
  ExpectFigures(report->rows[0],
                {"chunk_tokens", "features", "hidden", "samples", "mflop", "gflop_per_s",
                 "gemm_share", "step_ms_median", "step_ms_mean", "libtorch_step_ms_median",
                 "libtorch_step_ms_mean", "ratio_to_libtorch"});
  EXPECT_LT(report->rows[0]["largest_difference"].get<double>(), 1e-4);
  EXPECT_FALSE(BenchGate("/none/gate.safetensors", kSeconds).ok());
}

TEST_F(PolicyBenchTest, AChunkThatLeavesIsDoneWithAsTheRowSays) {
  const Result<BenchReport> report = BenchCompact({Checkpoint(), {1, 100}, kSeconds});
  ASSERT_TRUE(report.ok()) << report.status().message();
  ExpectLimits(*report);
  ASSERT_EQ(report->rows.size(), 10u);
  for (const nlohmann::json& row : report->rows) {
    ExpectFigures(row, {"history_tokens", "history_blocks", "cached_tokens", "samples",
                        "end_block_ms_median", "end_block_ms_mean"});
    const std::string action = row["action"].get<std::string>();
    EXPECT_EQ(row.contains("compact_ms_median"), action != "none leaves") << row;
    if (row.contains("compact_ms_median")) ExpectFigures(row, {"compact_ms_median"});
    const int all = row["history_blocks"].get<int>() * 4;  // tokens
    const int cached = row["cached_tokens"].get<int>();
    if (action == "none leaves" || action == "whole, in place") {
      EXPECT_EQ(cached, all) << row;
    } else if (action == "whole, moved") {
      EXPECT_EQ(cached, all - 8) << row;  // without the first chunk
    } else if (action == "compressed") {
      EXPECT_EQ(cached, all - 4 * (all / 8 - 2)) << row;  // chunks that left hold half
    } else {
      EXPECT_EQ(cached, 5 * 4) << row;  // the window and what comes next
    }
  }
}

TEST_F(PolicyBenchTest, EpisodesArePartedIntoTheirShares) {
  EpisodeBenchOptions options{KVLA_ASSET_ROOT, Checkpoint(), "window", "pick_place", "", {}, 2,
                              kSeconds};
  const Result<BenchReport> report = BenchEpisodes(options);
  ASSERT_TRUE(report.ok()) << report.status().message();
  ExpectLimits(*report);
  ASSERT_EQ(report->rows.size(), 1u);
  const nlohmann::json& row = report->rows[0];
  ExpectFigures(row, {"episodes", "control_steps", "inferences", "episodes_per_s",
                      "control_steps_per_s", "render_share", "policy_share", "physics_share",
                      "episode_ms_median", "episode_ms_mean"});
  EXPECT_EQ(row["delay"], "short");
  EXPECT_EQ(row["method"], "window");
  EXPECT_NEAR(row["render_share"].get<double>() + row["policy_share"].get<double>() +
                  row["physics_share"].get<double>(),
              1, 1e-9);
  options.task = "pick_plce";
  EXPECT_NE(BenchEpisodes(options).status().message().find("pick_place"), std::string::npos);
  options.task = "pick_place";
  options.delay = "lng";
  EXPECT_NE(BenchEpisodes(options).status().message().find("has no delay 'lng'"),
            std::string::npos);
}

}  // namespace
}  // namespace kvla
