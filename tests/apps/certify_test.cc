// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/apps/program.h"
#include "tests/scratch_dir.h"

namespace kvla {
namespace {

using nlohmann::json;

// `more` after few episodes of the first edition's task, whose cue comes by the clock.
std::vector<std::string> Few(const std::vector<std::string>& more) {
  std::vector<std::string> command = {
      "certify",         "recall_color", "--delay",          "short", "--episodes", "3", "--rules",
      "--rule-episodes", "100",          "--blind-episodes", "5"};
  command.insert(command.end(), more.begin(), more.end());
  return command;
}

TEST(CertifyTest, RefutesATaskByARuleAndGoesOnWithTheFile) {
  const ScratchDir scratch;
  const std::string file = (scratch / "certificates.json").string();
  const Output first = Kvla(Few({"--novelty-episodes", "0", "--out", file}));
  EXPECT_EQ(first.status, 1) << first.err;
  EXPECT_NE(first.out.find("band: REFUTED"), std::string::npos) << first.out;
  EXPECT_NE(first.out.find("cue withheld: cannot tell ("), std::string::npos) << first.out;
  const json all = json::parse(ReadText(file));
  EXPECT_EQ(all["settings"]["rules"], (json{{"episodes", 100}, {"novelty_episodes", 0}}));
  const json& row = all["tasks"][0];
  EXPECT_EQ(row["verdict"], "refuted");
  EXPECT_EQ(row["passed"], false);
  EXPECT_EQ(row["expert"]["verdict"], "certified");
  EXPECT_EQ(row["blind"]["verdict"], "cannot_tell");
  EXPECT_EQ(row["rules"]["rules"].size(), 3U);
  EXPECT_EQ(row["rules"]["rules"][1]["rule"], "band");
  EXPECT_EQ(row["rules"]["rules"][1]["verdict"], "refuted");

  const std::string before = ReadText(file);
  const Output again = Kvla(Few({"--novelty-episodes", "0", "--out", file}));
  EXPECT_EQ(again.status, 1) << again.err;
  EXPECT_EQ(again.out.find("recall_color"), std::string::npos) << again.out;  // it is there already
  EXPECT_EQ(ReadText(file), before);
  const Output other = Kvla(Few({"--novelty-episodes", "7", "--out", file}));
  EXPECT_EQ(other.status, 2);
  EXPECT_NE(other.err.find("novelty_episodes"), std::string::npos) << other.err;
}

TEST(CertifyTest, CannotTellIsNoSuccess) {
  const Output output = Kvla({"certify", "recall_color", "--delay", "short", "--episodes", "3",
                              "--blind-episodes", "5", "--json"});
  EXPECT_EQ(output.status, 1) << output.err;
  const json all = json::parse(output.out, nullptr, false);
  ASSERT_TRUE(all.is_object()) << output.err;
  EXPECT_EQ(all["tasks"][0]["verdict"], "cannot_tell");
  EXPECT_FALSE(all["tasks"][0].contains("rules"));
}

TEST(CertifyTest, TakesTheOptionsOfTheSuite) {
  const Output output =
      Kvla(Few({"--novelty-episodes", "0", "--cues", "anywhere", "--decoys", "--json"}));
  const json all = json::parse(output.out, nullptr, false);
  ASSERT_TRUE(all.is_object()) << output.err;
  const json suite = {{"cues", "anywhere"}, {"decoys", "true"}, {"layout", "seen"}};
  EXPECT_EQ(all["suite"], suite);
  EXPECT_EQ(all["tasks"][0]["suite"], suite);
  const Output wrong = Kvla({"certify", "recall_color", "--cues", "sometimes"});
  EXPECT_EQ(wrong.status, 2);
  EXPECT_NE(wrong.err.find("anywhere"), std::string::npos) << wrong.err;
  const Output list = Kvla({"list", "tasks", "--cues", "anywhere", "--json"});
  EXPECT_NE(list.out.find("longer"), std::string::npos) << list.out;
}

TEST(CertifyTest, NamesTheDelaysThatTasksHave) {
  const Output output = Kvla({"certify", "recall_color", "--delay", "yesterday"});
  EXPECT_EQ(output.status, 2);
  EXPECT_NE(output.err.find("--delay yesterday: should be one of short, medium, long"),
            std::string::npos)
      << output.err;
}

}  // namespace
}  // namespace kvla
