// SPDX-License-Identifier: Apache-2.0
// What is written down of a look at the evaluation split.
#include "harness/eval/ledger.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

#include "base/files.h"
#include "tests/results/record_util.h"

namespace kvla {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::vector<json> Lines(const fs::path& file) {
  std::vector<json> lines;
  std::istringstream text(*ReadFile(file));
  for (std::string line; std::getline(text, line);) {
    lines.push_back(json::parse(line, nullptr, false));
    EXPECT_TRUE(lines.back().is_object()) << line;
  }
  return lines;
}

TEST(Ledger, HoldsWhatWasRunAndWhatCameOfIt) {
  ScratchDir scratch;
  RunPlan plan;
  plan.config.name = "study";
  plan.config.seed = 7;
  plan.config.first_episode = 2;
  plan.config.episodes = 4;
  plan.jobs.resize(4);
  RunStore store = std::move(*RunStore::Create(scratch.path() / "run", {{"run_id", "abc"},
                                                                        {"config_hash", "c1"},
                                                                        {"checkpoint_hash", "p1"},
                                                                        {"version", "0.1.0"},
                                                                        {"commit", "1234"}}));
  for (int i = 0; i < 3; ++i) {
    EpisodeRecord record = MakeRecord({"full", "task", "long", i}, 2, i == 0);
    if (i == 2) record.end.outcome = "error";
    ASSERT_TRUE(store.WriteEpisode(record).ok());
  }
  json line = *LedgerLine(plan, store, false);
  EXPECT_EQ(line["date"].get<std::string>().size(), 20u);
  line.erase("date");
  EXPECT_EQ(line, json::parse(R"({"run": "abc", "name": "study", "seed": 7, "first_episode": 2,
      "episodes": 4, "shard": "1/1", "planned": 4, "ended": 3, "finished": false,
      "outcomes": {"success": 1, "failure": 1, "error": 1}, "config_hash": "c1",
      "checkpoint_hash": "p1", "version": "0.1.0", "commit": "1234"})"));
}

TEST(Ledger, RunsThatEndAtOnceDoNotInterleave) {
  ScratchDir scratch;
  const fs::path file = scratch.path() / "ledger.jsonl";
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        const json line = {{"run", t}, {"i", i}, {"text", std::string(5000, 'x')}};
        EXPECT_TRUE(AppendLedger(file, line).ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::set<std::pair<int, int>> seen;
  for (const json& line : Lines(file)) {
    seen.emplace(line["run"].get<int>(), line["i"].get<int>());
  }
  EXPECT_EQ(seen.size(), 400u);
}

TEST(Ledger, LiesInASourceTreeElseBesideTheRun) {
  ScratchDir scratch;
  const fs::path root = scratch.path() / "root", run = scratch.path() / "runs/a";
  fs::create_directories(root / "results");
  EXPECT_EQ(DefaultLedger(root, run), scratch.path() / "runs/ledger.jsonl") << "an installed one";
  EXPECT_EQ(DefaultLedger(root, run / ""), scratch.path() / "runs/ledger.jsonl");
  std::ofstream(root / "CMakeLists.txt") << "#\n";
  EXPECT_EQ(DefaultLedger(root, run), root / "results/ledger.jsonl");
}

TEST(Ledger, SaysWhyItCannotBeWritten) {
  ScratchDir scratch;
  const Status status = AppendLedger(scratch.path() / "absent/ledger.jsonl", json::object());
  EXPECT_EQ(status.code(), StatusCode::kIo);
  EXPECT_NE(status.message().find("absent/ledger.jsonl: No such file"), std::string::npos);
}

}  // namespace
}  // namespace kvla
