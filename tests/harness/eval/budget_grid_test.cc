// SPDX-License-Identifier: Apache-2.0
#include "harness/eval/budget_grid.h"

#include <gtest/gtest.h>

#include <utility>

namespace kvla {
namespace {

RunArm Arm(const std::string& name, const std::string& policy) {
  RunArm arm;
  arm.name = name;
  arm.cache.policy = policy;
  return arm;
}

RunArm Tokens(const std::string& name, int budget) {
  RunArm arm = Arm(name, "h2o");
  arm.cache.budget_tokens = budget;
  return arm;
}

RunArm Chunks(const std::string& name, int budget) {
  RunArm arm = Arm(name, "knorm");
  arm.cache.budget_chunks = budget;
  return arm;
}

RunConfig Config(std::vector<RunArm> arms) {
  RunConfig config;
  config.arms = std::move(arms);
  return config;
}

std::string Refused(const RunConfig& config, const std::vector<std::string>& arms = {}) {
  const Status status = BudgetGridOf(config, arms).status();
  EXPECT_EQ(status.code(), StatusCode::kBadInput);
  return status.message();
}

std::vector<std::pair<std::string, int64_t>> ArmsOf(const Result<BudgetGrid>& grid) {
  EXPECT_TRUE(grid.ok()) << grid.status().message();
  std::vector<std::pair<std::string, int64_t>> arms;
  if (grid.ok()) {
    for (const BudgetArm& arm : grid->arms) arms.emplace_back(arm.name, arm.budget);
  }
  return arms;
}

using Arms = std::vector<std::pair<std::string, int64_t>>;

TEST(BudgetGrid, GoesFromTheLargestBudgetToTheSmallest) {
  const RunConfig tokens = Config({Tokens("a", 64), Arm("full", "full"), Tokens("b", 16),
                                   Arm("window", "window"), Tokens("c", 256)});
  const Result<BudgetGrid> grid = BudgetGridOf(tokens);
  EXPECT_EQ(ArmsOf(grid), (Arms{{"c", 256}, {"a", 64}, {"b", 16}}));
  EXPECT_EQ(grid->setting, "budget_tokens");
  EXPECT_EQ(grid->reference, "full");
  EXPECT_EQ(grid->episodes, tokens.episodes);
  EXPECT_EQ(ArmsOf(BudgetGridOf(tokens, {"b", "a"})), (Arms{{"a", 64}, {"b", 16}}));
}

TEST(BudgetGrid, NoLimitIsTheLargestBudget) {
  const Result<BudgetGrid> grid =
      BudgetGridOf(Config({Arm("full", "full"), Chunks("few", 2), Chunks("all", 0)}));
  EXPECT_EQ(ArmsOf(grid), (Arms{{"all", kNoBudgetLimit}, {"few", 2}}));
  EXPECT_EQ(grid->setting, "budget_chunks");
}

TEST(BudgetGrid, WhatIsNoGridIsRefused) {
  const RunArm full = Arm("full", "full");
  EXPECT_NE(Refused(Config({Tokens("a", 64)})).find("an arm 'full' is wanted"), std::string::npos);
  EXPECT_NE(Refused(Config({Arm("full", "window"), Tokens("a", 64)})).find("keeps everything"),
            std::string::npos);
  EXPECT_NE(Refused(Config({full, Arm("window", "window")})).find("no arm has a budget"),
            std::string::npos);
  EXPECT_NE(
      Refused(Config({full, Tokens("a", 64), Tokens("b", 64)})).find("the same budget_tokens"),
      std::string::npos);
  const RunConfig mixed = Config({full, Tokens("a", 64), Tokens("b", 32), Chunks("c", 2)});
  EXPECT_NE(Refused(mixed).find("a, b, c differ in more than a budget"), std::string::npos);
  EXPECT_EQ(ArmsOf(BudgetGridOf(mixed, {"a", "b"})), (Arms{{"a", 64}, {"b", 32}}));
  EXPECT_NE(Refused(mixed, {"a", "bb"}).find("did you mean 'b'?"), std::string::npos);
  EXPECT_NE(Refused(mixed, {"full"}).find("--arms full"), std::string::npos);
  RunArm other = Tokens("b", 32);
  other.cache.window_blocks = 8;
  EXPECT_NE(Refused(Config({full, Tokens("a", 64), other})).find("differ in more than a budget"),
            std::string::npos);
  RunArm late = Tokens("a", 64);
  late.clock.kind = "simulated";
  EXPECT_NE(Refused(Config({full, late})).find("another clock"), std::string::npos);
  RunConfig early = Config({full, Tokens("a", 64)});
  early.stop_when.rule = "difference";
  EXPECT_NE(Refused(early).find("stop_when"), std::string::npos);
}

}  // namespace
}  // namespace kvla
