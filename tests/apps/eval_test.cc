// Whole evaluations with the real program: determinism over workers, kill and resume.
#include <gtest/gtest.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "results/run_store.h"
#include "tests/apps/program.h"

namespace kvla {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int kArms = 2;

// Drops what is measured with a clock.
void DropTimes(json* node) {
  if (node->is_object()) {
    for (const char* key : {"latency_ms", "decoder_ms_last10", "parts_ms", "decoder_ratio"}) {
      node->erase(key);
    }
  }
  if (node->is_structured()) {
    for (json& child : *node) DropTimes(&child);
  }
}

// Whether none of the processes is left after a moment.
bool Vanish(const std::set<pid_t>& pids) {
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

class EvalTest : public testing::Test {
 protected:
  void SetUp() override { CopyCheckpoint(scratch_ / "checkpoint"); }

  std::vector<std::string> Eval(const std::string& out, int episodes, int workers) {
    const fs::path config = scratch_ / ("run_" + std::to_string(episodes) + ".yaml");
    WriteText(config, RunYaml(scratch_ / "checkpoint", episodes));
    return {"eval",      config.string(),        "--out", (scratch_ / out).string(),
            "--workers", std::to_string(workers)};
  }
  json Report(const std::string& out) {
    const Output output = Kvla({"report", (scratch_ / out).string(), "--json", "--episodes"});
    EXPECT_EQ(output.status, 0) << output.err;
    json report = json::parse(output.out, nullptr, false);
    EXPECT_TRUE(report.is_object()) << output.out;
    DropTimes(&report);
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

TEST_F(EvalTest, TheSameOutcomesAndStatesWithOneWorkerWithTwoAndTwice) {
  constexpr int kEpisodes = 2;
  const Output first = Kvla(Eval("one", kEpisodes, 1));
  ASSERT_EQ(first.status, 0) << first.err;
  EXPECT_NE(first.out.find("pick_place, short"), std::string::npos) << first.out;
  ASSERT_EQ(Kvla(Eval("two", kEpisodes, 2)).status, 0);
  ASSERT_EQ(Kvla(Eval("again", kEpisodes, 1)).status, 0);
  const json one = Report("one");
  ASSERT_EQ(one.at("episodes").size(), size_t{kArms * kEpisodes});
  EXPECT_EQ(Report("two"), one);
  EXPECT_EQ(Report("again"), one);

  // What is compared above says something: every seed ends in a state of its own.
  std::set<std::string> states;
  for (const json& episode : one.at("episodes")) {
    for (const char* key : {"arm", "task", "delay", "seed", "outcome", "success", "progress",
                            "steps", "state_hash"}) {
      EXPECT_TRUE(episode.contains(key)) << key;
    }
    EXPECT_NE(episode.at("outcome"), "error");
    EXPECT_GT(episode.at("steps"), 0);
    if (episode.at("arm") == "full") states.insert(episode.at("state_hash"));
  }
  EXPECT_EQ(states.size(), size_t{kEpisodes});
  for (const json& row : one.at("rows")) {
    EXPECT_EQ(row.at("episodes"), kEpisodes);
    EXPECT_EQ(row.at("errors"), 0);
    for (const char* key : {"success", "decisive", "progress", "kv_bytes", "flops"}) {
      EXPECT_TRUE(row.contains(key)) << key;
    }
  }
  // Another seed is another run.
  std::vector<std::string> other = Eval("other", kEpisodes, 1);
  other.insert(other.end(), {"--set", "seed=1"});
  ASSERT_EQ(Kvla(other).status, 0);
  for (const json& episode : Report("other").at("episodes")) {
    EXPECT_FALSE(states.contains(episode.at("state_hash")));
  }
}

TEST_F(EvalTest, ReportKeepsMeasuredTimes) {
  ASSERT_EQ(Kvla(Eval("run", 1, 1)).status, 0);
  const json report =
      json::parse(Kvla({"report", (scratch_ / "run").string(), "--json"}).out, nullptr, false);
  EXPECT_FALSE(report.contains("episodes"));
  for (const json& row : report.at("rows")) {
    EXPECT_GT(row.at("latency_ms").at("p50"), 0);
    EXPECT_GE(row.at("latency_ms").at("max"), row.at("latency_ms").at("p99"));
    EXPECT_GT(row.at("decoder_ms_last10").at("p50"), 0);
  }
}

TEST_F(EvalTest, KilledFiveTimesAndResumedIsTheSameTable) {
  constexpr int kEpisodes = 8;
  ASSERT_EQ(Kvla(Eval("whole", kEpisodes, 1)).status, 0);
  int killed = 0;
  for (int round = 0; round < 5; ++round) {
    const int before = Done("killed");
    Program program(Eval("killed", kEpisodes, 1 + round % 2));
    AwaitEpisodes(program, "killed", before + 1 + round % 3);
    // Somewhere within the next episode or its write.
    std::this_thread::sleep_for(std::chrono::milliseconds(13 * round));
    const std::set<pid_t> workers = program.Children();
    EXPECT_EQ(workers.size(), size_t{1} + round % 2);
    program.Signal(SIGKILL);
    killed += program.Wait().status == 128 + SIGKILL ? 1 : 0;
    EXPECT_TRUE(Vanish(workers)) << "workers outlived the program";
    EXPECT_GT(Done("killed"), before) << "nothing was kept of round " << round;
  }
  EXPECT_EQ(killed, 5);
  const int left = Done("killed");
  ASSERT_LT(left, kArms * kEpisodes) << "it was done before it was killed for the last time";
  const Output last = Kvla(Eval("killed", kEpisodes, 2));
  ASSERT_EQ(last.status, 0) << last.err;
  // No episode is run twice.
  EXPECT_NE(last.err.find(std::to_string(left) + " there already"), std::string::npos) << last.err;
  EXPECT_EQ(Report("killed"), Report("whole"));
  // A finished run has nothing left to do.
  const Output finished = Kvla(Eval("killed", kEpisodes, 1));
  EXPECT_EQ(finished.status, 0);
  EXPECT_NE(finished.err.find(std::to_string(kArms * kEpisodes) + " there already"),
            std::string::npos)
      << finished.err;
}

TEST_F(EvalTest, AnInterruptEndsWith130AndIsResumed) {
  constexpr int kEpisodes = 6;
  for (const int signal : {SIGINT, SIGTERM}) {
    const std::string out = "out" + std::to_string(signal);
    Program program(Eval(out, kEpisodes, 1));
    AwaitEpisodes(program, out, 1);
    program.Signal(signal);
    const Output stopped = program.Wait();
    EXPECT_EQ(stopped.status, 130) << stopped.err;
    EXPECT_NE(stopped.err.find("goes on from there"), std::string::npos) << stopped.err;
    const int kept = Done(out);
    EXPECT_GE(kept, 1);
    ASSERT_LT(kept, kArms * kEpisodes);
    const Output resumed = Kvla(Eval(out, kEpisodes, 1));
    EXPECT_EQ(resumed.status, 0) << resumed.err;
    EXPECT_EQ(Done(out), kArms * kEpisodes);
  }
  EXPECT_EQ(Report("out" + std::to_string(SIGINT)), Report("out" + std::to_string(SIGTERM)));
}

TEST_F(EvalTest, AnotherConfigOrCheckpointInTheSameFolderIsRefused) {
  ASSERT_EQ(Kvla(Eval("run", 1, 1)).status, 0);
  const json before = Report("run");
  const auto refuse = [&](const std::vector<std::string>& extra, const std::string& part) {
    std::vector<std::string> arguments = Eval("run", 1, 1);
    arguments.insert(arguments.end(), extra.begin(), extra.end());
    const Output output = Kvla(arguments);
    EXPECT_EQ(output.status, 2) << output.err;
    EXPECT_NE(output.err.find(part), std::string::npos) << output.err;
    EXPECT_EQ(Report("run"), before);
  };
  refuse({"--set", "seed=7"}, "seed is '0' in the run, '7' now");
  refuse({"--set", "arms.window.cache.window_blocks=8"}, "window_blocks");
  refuse({"--set", "episodes=2", "--dry-run"}, "episodes is '1' in the run, '2' now");
  // The same settings with other weights: one byte of the last tensor.
  const fs::path weights = scratch_ / "checkpoint/model.safetensors";
  std::string bytes = ReadText(weights);
  bytes[bytes.size() - 4] = static_cast<char>(bytes[bytes.size() - 4] ^ 1);
  WriteText(weights, bytes);
  refuse({}, "checkpoint_hash");
}

TEST_F(EvalTest, TwoAtOnceInOneFolderAreRefused) {
  constexpr int kEpisodes = 12;
  Program first(Eval("run", kEpisodes, 1));
  AwaitEpisodes(first, "run", 1);
  const Output second = Kvla(Eval("run", kEpisodes, 1));
  EXPECT_EQ(second.status, 2) << second.err;
  EXPECT_NE(second.err.find((scratch_ / "run").string()), std::string::npos) << second.err;
  first.Signal(SIGKILL);
  EXPECT_EQ(first.Wait().status, 128 + SIGKILL) << "it ended before the second one was tried";
}

}  // namespace
}  // namespace kvla
