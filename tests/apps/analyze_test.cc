// SPDX-License-Identifier: Apache-2.0
// kvla analyze, from outside.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/apps/program.h"

namespace kvla {
namespace {

using nlohmann::json;

// Two layers, two heads on one of keys and values, 4 wide, 24 tokens; written by hand, as a
// person's script would.
std::string DumpBytes(const json& metadata) {
  constexpr int kTokens = 24, kWidth = 4, kLayers = 2;
  json header = {{"__metadata__", metadata}};
  std::string data;
  for (const auto& [name, heads] : {std::pair{"keys", 1}, {"values", 1}, {"queries", 2}}) {
    const size_t begin = data.size();
    for (int i = 0; i < kLayers * heads * kTokens * kWidth; ++i) {
      const float value = std::sin(static_cast<float>(i * i + heads));
      data.append(reinterpret_cast<const char*>(&value), sizeof(value));
    }
    header[name] = {{"dtype", "F32"},
                    {"shape", {kLayers, heads, kTokens, kWidth}},
                    {"data_offsets", {begin, data.size()}}};
  }
  const std::string text = header.dump();
  const uint64_t size = text.size();
  return std::string(reinterpret_cast<const char*>(&size), 8) + text + data;
}

class AnalyzeTest : public testing::Test {
 protected:
  void SetUp() override {
    WriteText(scratch_ / "dump.safetensors", DumpBytes({{"tokens_per_block", "2"}}));
    WriteText(scratch_ / "cache.yaml", "policy: knorm\nbudget_chunks: 1\nwindow_blocks: 2\n");
  }
  Output Analyze(std::vector<std::string> more) {
    more.insert(more.begin(), {"analyze", (scratch_ / "dump.safetensors").string(), "--cache",
                               (scratch_ / "cache.yaml").string()});
    return Kvla(more);
  }
  void ExpectRefused(const std::vector<std::string>& more, const std::string& message) {
    const Output output = Analyze(more);
    EXPECT_EQ(output.status, 2) << output.err;
    EXPECT_EQ(output.out, "");
    EXPECT_NE(output.err.find(message), std::string::npos) << output.err;
  }

  ScratchDir scratch_;
};

TEST_F(AnalyzeTest, PrintsOneJsonObject) {
  const Output output = Analyze({"--set", "chunk_blocks=2", "--json"});
  ASSERT_EQ(output.status, 0) << output.err;
  const json out = json::parse(output.out, nullptr, false);
  ASSERT_TRUE(out.is_object()) << output.out;
  EXPECT_EQ(out["geometry"]["blocks"], 12);
  EXPECT_EQ(out["method"]["name"], "knorm");
  ASSERT_EQ(out["chunks"].size(), 6u);
  EXPECT_EQ(out["full"].size(), 3u);
  EXPECT_GT(out["method"]["error"]["mean"].get<double>(), 0);
  // One chunk of 4 tokens and the window's 2 blocks of 2, in 2 lanes of keys and values.
  EXPECT_EQ(out["method"]["live_bytes"], (4 + 2 * 2) * 2 * 2 * 4 * 4);
  EXPECT_EQ(out["full"][0]["live_bytes"], 24 * 2 * 2 * 4 * 4);
}

TEST_F(AnalyzeTest, PrintsTablesAndDrawsAPlot) {
  const Output output = Analyze({"--plot", (scratch_ / "plot.svg").string()});
  ASSERT_EQ(output.status, 0) << output.err;
  EXPECT_NE(output.out.find("full bf16"), std::string::npos) << output.out;
  EXPECT_TRUE(ReadText(scratch_ / "plot.svg").starts_with("<svg "));
}

TEST_F(AnalyzeTest, RefusesWhatCannotBeAnalyzed) {
  ExpectRefused({"--set", "windw_blocks=3"}, "did you mean 'window_blocks'?");
  ExpectRefused({"--set", "policy=window"}, "does not read 'budget_chunks'");
  ExpectRefused({"--set", "policy=recompute", "--set", "budget_chunks=0"}, "frames");
  ExpectRefused({"--set", "policy=oracle", "--set", "budget_chunks=0"}, "--cue-blocks");
  for (const char* blocks : {"3", "3:", ":", "5:3", "x:4", "-1:2", "3:99999999999"}) {
    ExpectRefused({std::string("--cue-blocks=") + blocks}, "expected first:end");
  }
  ExpectRefused({"--cue-blocks", "3:4"}, "without being told");
  ExpectRefused({"--plot", (scratch_ / "no" / "plot.svg").string()}, "--plot");
  WriteText(scratch_ / "dump.safetensors", DumpBytes({{"tokens_per_block", "5"}}));
  ExpectRefused({}, "dump.safetensors: 24 tokens after 0 of the instruction");
  WriteText(scratch_ / "dump.safetensors", "no tensors");
  ExpectRefused({}, "dump.safetensors");
}

TEST_F(AnalyzeTest, TellsTheOracleItsBlocks) {
  const Output output = Analyze({"--set", "policy=oracle", "--set", "budget_chunks=0", "--set",
                                 "chunk_blocks=2", "--cue-blocks", "0:1,4:5", "--json"});
  ASSERT_EQ(output.status, 0) << output.err;
  const json out = json::parse(output.out, nullptr, false);
  const std::vector<std::string> actions = {"whole", "dropped", "whole", "dropped"};
  for (size_t i = 0; i < actions.size(); ++i) EXPECT_EQ(out["chunks"][i]["action"], actions[i]);
}

}  // namespace
}  // namespace kvla
