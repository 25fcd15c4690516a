// SPDX-License-Identifier: Apache-2.0
// kvla certify-budget, from outside.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/apps/eval_fixture.h"

namespace kvla {
namespace {

using nlohmann::json;

class CertifyBudgetTest : public EvalTest {
 protected:
  void SetUp() override {
    EvalTest::SetUp();
    WriteText(Config(), "name: budgets\ncheckpoint: " + (scratch_ / "checkpoint").string() +
                            "\nepisodes: 2\n"
                            "tasks:\n"
                            "  - {name: pick_place, delays: [short]}\n"
                            "arms:\n"
                            "  - name: full\n"
                            "  - name: \"knorm_{budget_chunks}\"\n"
                            "    cache: {policy: knorm}\n"
                            "    grid: {cache.budget_chunks: [1, 3]}\n");
  }
  std::filesystem::path Config() const { return scratch_ / "budgets.yaml"; }
  std::string Run() const { return (scratch_ / "run").string(); }
  void ExpectRefused(const std::vector<std::string>& arguments, const std::string& message) {
    const Output output = Kvla(arguments);
    EXPECT_EQ(output.status, 2) << output.err;
    EXPECT_EQ(output.out, "");
    EXPECT_NE(output.err.find(message), std::string::npos) << output.err;
  }
};

TEST_F(CertifyBudgetTest, RunsTheConfigAndJudgesEachBudget) {
  const Output output = Kvla({"certify-budget", Config().string(), "--out", Run(), "--json"});
  ASSERT_EQ(output.status, 0) << output.err;
  const json out = json::parse(output.out, nullptr, false);
  ASSERT_EQ(out["rows"].size(), 2u) << output.out;
  EXPECT_EQ(out["rows"][0]["arm"], "knorm_3");
  EXPECT_EQ(out["rows"][0]["pairs"], 2);
  EXPECT_EQ(out["rows"][0]["verdict"], "cannot_tell");  // by two pairs
  EXPECT_EQ(out["rows"][1]["verdict"], "not_tested");
  EXPECT_TRUE(out["smallest"].is_null());
  EXPECT_EQ(Done("run"), 6);
  // The same of the run that is there, and of the same command again, which runs nothing.
  const Output again = Kvla({"certify-budget", "--run", Run(), "--json"});
  EXPECT_EQ(again.status, 0) << again.err;
  EXPECT_EQ(json::parse(again.out, nullptr, false), out);
  const Output resumed = Kvla({"certify-budget", Config().string(), "--out", Run()});
  EXPECT_EQ(resumed.status, 0) << resumed.err;
  EXPECT_NE(resumed.err.find("6 there already"), std::string::npos) << resumed.err;
  EXPECT_NE(resumed.out.find("no budget is certified to lose less than 2 points"),
            std::string::npos)
      << resumed.out;
  // Nothing can be lost by 100 points.
  const Output loose = Kvla(
      {"certify-budget", "--run", Run(), "--loss", "99", "--alpha", "0.4", "--arms", "knorm_1"});
  EXPECT_EQ(loose.status, 0);
  EXPECT_NE(loose.out.find("the smallest certified budget is that of knorm_1 (budget_chunks 1)"),
            std::string::npos)
      << loose.out;
}

TEST_F(CertifyBudgetTest, RefusesWhatIsNoGridAndRunsNothing) {
  const std::vector<std::string> run = {"certify-budget", Config().string(), "--out", Run()};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), run.begin(), run.end());
    return more;
  };
  ExpectRefused(with({"--arms", "knorm_2"}), "did you mean");
  ExpectRefused(with({"--set", "arms.knorm_3.cache.budget_chunks=1"}), "the same budget_chunks");
  ExpectRefused(with({"--set", "stop_when.rule=difference"}), "stop_when");
  ExpectRefused(with({"--loss", "0"}), "--loss");
  ExpectRefused(with({"--alpha", "0.5"}), "--alpha");
  ExpectRefused({"certify-budget", Config().string()}, "--out DIR");
  ExpectRefused({"certify-budget", "--run", (scratch_ / "nothing").string()}, "nothing");
  ExpectRefused({"certify-budget", Config().string(), "--run", Run()}, "excludes");
  EXPECT_FALSE(std::filesystem::exists(Run()));
}

}  // namespace
}  // namespace kvla
