// SPDX-License-Identifier: Apache-2.0
// `kvla bench`, from outside: tables that fit, JSON that is whole, options that are refused.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/apps/program.h"

namespace kvla {
namespace {

using Words = std::vector<std::string>;

struct BenchCase {
  Words words;
  Words keys;  // of a row, among others
};

Words And(Words words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

std::vector<BenchCase> Cases(const std::filesystem::path& checkpoint) {
  const Words policy = {"--checkpoint", checkpoint.string()};
  return {{And({"inference", "--history", "9", "40", "--batch", "1", "2"}, policy),
           {"encode_ms_median", "linear_ms_mean", "inference_ms_median", "ratio_to_libtorch"}},
          {{"attention", "--tokens", "1024", "16384"},
           {"one_region_ms_median", "ragged_ratio_to_equal", "copy_share"}},
          {{"gate"}, {"step_ms_median", "libtorch_step_ms_mean", "ratio_to_libtorch"}},
          {And({"compact", "--history", "345"}, policy), {"end_block_ms_median"}},
          {And({"episodes", "--task", "pick_place", "--method", "window"}, policy),
           {"episodes_per_s", "control_steps_per_s", "render_share", "physics_share"}}};
}

TEST(BenchCommandTest, EveryBenchPrintsATableThatFitsAndItsFiguresAsJson) {
  ScratchDir scratch;
  CopyCheckpoint(scratch / "policy");
  for (const BenchCase& bench : Cases(scratch / "policy")) {
    const Words words = And(And({"bench"}, bench.words), {"--seconds", "0.05"});
    const Output table = Kvla(words);
    EXPECT_EQ(table.status, 0) << table.err;
    EXPECT_NE(table.out.find("Plain GEMM"), std::string::npos) << table.out;
    std::istringstream lines(table.out);
    for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 100u) << line;

    const Output output = Kvla(And(words, {"--json"}));
    const auto json = nlohmann::json::parse(output.out, nullptr, false);
    ASSERT_TRUE(json.is_object()) << output.out << output.err;
    EXPECT_GT(json["machine"]["gemm_gflop_per_s_median"], 0) << output.out;
    ASSERT_FALSE(json["rows"].empty()) << output.out;
    for (const auto& row : json["rows"]) {
      for (const std::string& key : bench.keys) {
        ASSERT_TRUE(row.contains(key)) << key << row;
        EXPECT_GT(row[key].get<double>(), 0) << key << row;
      }
    }
  }
}

TEST(BenchCommandTest, WhatCannotBeMeasuredIsRefused) {
  const std::vector<std::pair<Words, std::string>> wrong = {
      {{"inference", "--batch", "0"}, "--batch"},
      {{"inference", "--history", "65537"}, "--history"},
      {{"inference", "--method", "ful"}, "unknown policy 'ful'; there are full"},
      {{"inference", "--checkpoint", "/none"}, "/none"},
      {{"attention", "--tokens", "0"}, "--tokens"},
      {{"attention", "--head-dim", "-1"}, "--head-dim"},
      {{"attention", "--tokens", "10000000", "--kv-heads", "64"}, "4 GiB are the most"},
      {{"gate", "--gate", "/none"}, "/none"},
      {{"compact", "--checkpoint", "/none"}, "/none"},
      {{"episodes", "--task", "pick_plce"}, "did you mean 'pick_place'?"},
      {{"episodes", "--delay", "lng"}, "has no delay 'lng'"},
      {{"episodes", "--seconds", "0"}, "--seconds"}};
  for (const auto& [words, message] : wrong) {
    const Output output = Kvla(And({"bench"}, words));
    EXPECT_EQ(output.status, 2) << words[0] << " " << words[1];
    EXPECT_EQ(output.out, "");
    EXPECT_NE(output.err.find(message), std::string::npos) << output.err;
  }
}

}  // namespace
}  // namespace kvla
