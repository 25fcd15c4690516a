// SPDX-License-Identifier: Apache-2.0
// Whole evaluations with the real program, and their tables without what a clock measured.
#ifndef KVLA_TESTS_APPS_EVAL_FIXTURE_H_
#define KVLA_TESTS_APPS_EVAL_FIXTURE_H_

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "results/store/run_store.h"
#include "tests/apps/program.h"

namespace kvla {

inline constexpr int kArms = 2;  // of RunYaml()

// Drops what is measured with a clock.
inline void DropTimes(nlohmann::json* node) {
  if (node->is_object()) {
    for (const char* key : {"latency_ms", "latency_ms_last10", "decoder_ms_last10", "parts_ms",
                            "decoder_ratio", "latency_ratio", "latency_last10_ratio"}) {
      node->erase(key);
    }
  }
  if (node->is_structured()) {
    for (nlohmann::json& child : *node) DropTimes(&child);
  }
}

// Whether none of the processes is left after a moment.
inline bool Vanish(const std::set<pid_t>& pids) {
  for (int i = 0; i < 500; ++i) {
    bool left = false;
    for (const pid_t pid : pids) {
      const std::string stat = ReadText("/proc/" + std::to_string(pid) + "/stat");
      left = left || (!stat.empty() && stat.find(") Z ") == std::string::npos);
    }
    if (!left) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

// Evaluations of a tiny policy in a scratch folder.
class EvalTest : public testing::Test {
 protected:
  void SetUp() override { CopyCheckpoint(scratch_ / "checkpoint"); }

  std::vector<std::string> Eval(const std::string& out, int episodes, int workers) {
    const std::filesystem::path config = scratch_ / ("run_" + std::to_string(episodes) + ".yaml");
    WriteText(config, RunYaml(scratch_ / "checkpoint", episodes));
    return {"eval",      config.string(),        "--out", (scratch_ / out).string(),
            "--workers", std::to_string(workers)};
  }
  nlohmann::json Report(const std::string& out) {
    const Output output = Kvla({"report", (scratch_ / out).string(), "--json", "--episodes"});
    EXPECT_EQ(output.status, 0) << output.err;
    nlohmann::json report = nlohmann::json::parse(output.out, nullptr, false);
    EXPECT_TRUE(report.is_object()) << output.out;
    DropTimes(&report);
    report.erase("latency");  // whether times are comparable
    return report;
  }
  // Episodes in the file now; 0 while there is none.
  int Done(const std::string& out) {
    const Result<RunStore> store = RunStore::Open(scratch_ / out, RunStore::Mode::kReadOnly);
    if (!store.ok()) return 0;
    const auto done = store->Done();
    return done.ok() ? static_cast<int>(done->size()) : 0;
  }
  // Waits until `count` episodes are in the file or the program has ended.
  void AwaitEpisodes(const Program& program, const std::string& out, int count) {
    while (!program.Ended() && Done(out) < count) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }

  ScratchDir scratch_;
};

}  // namespace kvla

#endif  // KVLA_TESTS_APPS_EVAL_FIXTURE_H_
