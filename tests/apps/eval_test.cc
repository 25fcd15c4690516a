// SPDX-License-Identifier: Apache-2.0
// Whole evaluations with the real program: determinism over workers, kill and resume.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>
#include <thread>

#include "base/rng.h"
#include "tests/apps/eval_fixture.h"

namespace kvla {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

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
  const json report = Report("other");
  EXPECT_FALSE(report.at("episodes").empty());
  for (const json& episode : report.at("episodes")) {
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
    EXPECT_GT(row.at("decoder_ms_last10").at("mean"), 0);
  }
}

// Every look at the evaluation split is written down, and no other.
TEST_F(EvalTest, TheLedgerHoldsEveryLookAtTheEvaluationSplit) {
  const fs::path ledger = scratch_ / "ledger.jsonl";
  const auto eval = [&](const std::string& out, int episodes, std::vector<std::string> more) {
    std::vector<std::string> arguments = Eval(out, episodes, 1);
    arguments.insert(arguments.end(), {"--ledger", ledger.string()});
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Kvla(arguments);
  };
  ASSERT_EQ(eval("checked", 1, {"--check"}).status, 0);
  ASSERT_EQ(eval("other", 1, {"--set", "split=validation"}).status, 0);
  EXPECT_FALSE(fs::exists(ledger));
  ASSERT_EQ(eval("run", 2, {"--set", "seed=3"}).status, 0);
  ASSERT_EQ(eval("run", 2, {"--set", "seed=3"}).status, 0);  // nothing left to do
  std::vector<json> lines;
  std::istringstream text(ReadText(ledger));
  for (std::string line; std::getline(text, line);) {
    lines.push_back(json::parse(line, nullptr, false));
  }
  ASSERT_EQ(lines.size(), 2u) << ReadText(ledger);  // before and after
  EXPECT_EQ(lines[0]["run"], lines[1]["run"]);
  EXPECT_NE(lines[0]["run"], "");
  EXPECT_EQ(lines[0]["ended"], 0);
  EXPECT_EQ(lines[0]["finished"], false);
  EXPECT_EQ(lines[1]["seed"], 3);
  EXPECT_EQ(lines[1]["ended"], kArms * 2);
  EXPECT_EQ(lines[1]["finished"], true);
  // A ledger that cannot be written costs a warning and no run.
  const Output warned = Kvla([&] {
    std::vector<std::string> arguments = Eval("unledgered", 1, 1);
    arguments.insert(arguments.end(), {"--ledger", (scratch_ / "absent/l.jsonl").string()});
    return arguments;
  }());
  EXPECT_EQ(warned.status, 0);
  EXPECT_NE(warned.err.find("warning: the ledger was not written"), std::string::npos)
      << warned.err;
}

// The kernels that LibTorch chose decide guesses: a run says which, and when it goes on with
// others.
TEST_F(EvalTest, TheCpuKernelsAreKeptAndAChangeIsSaid) {
  ASSERT_EQ(Kvla(Eval("run", 1, 1)).status, 0);
  const std::string kernels =
      RunStore::Open(scratch_ / "run", RunStore::Mode::kReadOnly)->Meta()->at("cpu_kernels");
  EXPECT_FALSE(kernels.empty());
  {
    // As if its first half had been run under others.
    Result<RunStore> store = RunStore::Open(scratch_ / "run", RunStore::Mode::kReadWrite);
    ASSERT_TRUE(store->PutMeta("cpu_kernels", "OTHER").ok());
    ASSERT_TRUE(store->DropFrom(0).ok());
    ASSERT_TRUE(store
                    ->WriteEpisode([] {
                      EpisodeRecord record;
                      record.begin.id = record.end.id = {"full", "pick_place", "short", 0};
                      record.end.outcome = "failure";
                      return record;
                    }())
                    .ok());
  }
  const Output output = Kvla(Eval("run", 1, 1));
  EXPECT_EQ(output.status, 0) << output.err;
  EXPECT_NE(output.err.find("warning: the run goes on with other cpu_kernels: OTHER | " + kernels),
            std::string::npos)
      << output.err;
  const RunMeta meta = *RunStore::Open(scratch_ / "run", RunStore::Mode::kReadOnly)->Meta();
  EXPECT_EQ(meta.at("cpu_kernels"), "OTHER | " + kernels);
  EXPECT_NE(meta.at("protocol").find("OTHER | " + kernels), std::string::npos);
  EXPECT_NE(output.out.find("several sets of CPU kernels"), std::string::npos) << output.out;
}

// Episodes that a run found done when it started, as it said; 0 where it came to say nothing.
int ThereAlready(const std::string& said) {
  std::smatch match;
  return std::regex_search(said, match, std::regex(R"((\d+) there already)")) ? std::stoi(match[1])
                                                                              : 0;
}

// kill -9 at twenty random moments, start-up and writes included; some of them are power cuts,
// which take the end of the log with them.
TEST_F(EvalTest, KilledTwentyTimesAndResumedIsTheSameTable) {
  constexpr int kEpisodes = 24;
  const auto seconds = [this](const std::string& out, int episodes) {
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_EQ(Kvla(Eval(out, episodes, 2)).status, 0);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  };
  // Twenty rounds must get somewhere but not to the end, however fast the machine is and whatever
  // else it does meanwhile: shorter ones while they are ahead of their pace, longer ones behind it.
  const double whole = seconds("whole", kEpisodes), start = seconds("start", 1);
  double longest = start + (whole - start) / 8;
  Rng rng(20);
  int killed = 0, with_log = 0;
  for (int round = 0; round < 20; ++round) {
    Program program(Eval("killed", kEpisodes, 1 + round % 2));
    std::this_thread::sleep_for(std::chrono::duration<double>(rng.Uniform(0.02, longest)));
    const std::set<pid_t> workers = program.Children();
    program.Signal(SIGKILL);
    const Output output = program.Wait();
    killed += output.status == 128 + SIGKILL ? 1 : 0;
    const bool ahead = ThereAlready(output.err) * 25 > kArms * kEpisodes * round;
    longest = std::min(longest * (ahead ? 0.7 : 1.3), start + (whole - start) / 6);
    ASSERT_TRUE(Vanish(workers)) << "workers outlived the program";
    const fs::path log = scratch_ / "killed/run.db-wal";
    std::error_code error;
    const auto size = fs::file_size(log, error);
    if (error || size == 0 || round % 4 != 3) continue;
    ++with_log;
    fs::resize_file(log, size - std::min<uint64_t>(size, 1 + rng.NextU64() % 6000));
  }
  EXPECT_EQ(killed, 20);
  EXPECT_GT(with_log, 0) << "no round was a power cut";
  const int left = Done("killed");
  EXPECT_GT(left, 0) << "nothing was kept of twenty rounds";
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

TEST_F(EvalTest, AFullDiskStopsTheRunAndItGoesOn) {
  constexpr int kEpisodes = 6;
  ASSERT_EQ(Kvla(Eval("whole", kEpisodes, 1)).status, 0);
  // No file may grow beyond this; what would is refused instead of killing the writer.
  struct rlimit before {};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto old_action = std::signal(SIGXFSZ, SIG_IGN);
  int kept = 0;
  for (const rlim_t limit : {rlim_t{90'000}, rlim_t{110'000}}) {
    const struct rlimit full { limit, before.rlim_max };
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &full), 0);
    const Output stopped = Kvla(Eval("full", kEpisodes, 1));
    setrlimit(RLIMIT_FSIZE, &before);
    EXPECT_EQ(stopped.status, 2) << stopped.err;
    EXPECT_NE(stopped.err.find("run.db"), std::string::npos) << stopped.err;
    EXPECT_NE(stopped.err.find("goes on from there"), std::string::npos) << stopped.err;
    kept = Done("full");
  }
  std::signal(SIGXFSZ, old_action);
  EXPECT_GT(kept, 0);
  ASSERT_LT(kept, kArms * kEpisodes) << "the disk was not full";
  const Output resumed = Kvla(Eval("full", kEpisodes, 1));
  EXPECT_EQ(resumed.status, 0) << resumed.err;
  EXPECT_EQ(Report("full"), Report("whole"));
}

TEST_F(EvalTest, WorkersThatDieOrHangAreReplaced) {
  constexpr int kEpisodes = 5;
  const auto eval = [&](const std::string& out) {
    std::vector<std::string> arguments = Eval(out, kEpisodes, 2);
    // A stopped worker counts as hung after this long.
    arguments.insert(arguments.end(), {"--set", "episode_limit_s=8"});
    return arguments;
  };
  ASSERT_EQ(Kvla(eval("whole")).status, 0);
  const json whole = Report("whole");
  for (const int signal : {SIGKILL, SIGSTOP}) {
    const std::string out = "out" + std::to_string(signal);
    Program program(eval(out));
    AwaitEpisodes(program, out, 4);  // by then both are set up
    const std::set<pid_t> workers = program.Children();
    ASSERT_EQ(workers.size(), 2u);
    for (const pid_t worker : workers) kill(worker, signal);
    const Output output = program.Wait();
    EXPECT_EQ(output.status, 0) << output.err;
    EXPECT_TRUE(Vanish(workers));
    EXPECT_EQ(Report(out), whole) << signal;
  }
}

TEST_F(EvalTest, ShardsMergeIntoTheSameTable) {
  constexpr int kEpisodes = 5;
  ASSERT_EQ(Kvla(Eval("whole", kEpisodes, 1)).status, 0);
  const auto shard = [&](int i, const std::string& out) {
    std::vector<std::string> arguments = Eval(out, kEpisodes, 1);
    arguments.insert(arguments.end(), {"--shard", std::to_string(i) + "/3"});
    return arguments;
  };
  const std::string merged = (scratch_ / "merged").string();
  std::vector<std::string> merge = {"merge", merged};
  for (int i = 1; i <= 2; ++i) {
    const std::string out = "part" + std::to_string(i);
    merge.push_back((scratch_ / out).string());
    if (i == 2) {  // this one is killed on its way
      Program program(shard(i, out));
      AwaitEpisodes(program, out, 1);
      program.Signal(SIGKILL);
      program.Wait();
    }
    ASSERT_EQ(Kvla(shard(i, out)).status, 0);
  }
  const Output partial = Kvla(merge);
  EXPECT_EQ(partial.status, 1) << partial.err;
  EXPECT_NE(partial.err.find("2 episodes are missing"), std::string::npos) << partial.err;
  ASSERT_EQ(Kvla(shard(3, "part3")).status, 0);
  merge.push_back((scratch_ / "part3").string());
  const Output output = Kvla(merge);
  EXPECT_EQ(output.status, 0) << output.err;
  EXPECT_NE(output.err.find("(2 added, 10 planned)"), std::string::npos) << output.err;
  EXPECT_EQ(Report("merged"), Report("whole"));
  // The merged run is a whole one.
  const Output on = Kvla(Eval("merged", kEpisodes, 1));
  EXPECT_EQ(on.status, 0) << on.err;
  EXPECT_NE(on.err.find("10 there already"), std::string::npos) << on.err;

  // A part of another run, one that is none, and the folder itself are refused.
  std::vector<std::string> other = shard(1, "other");
  other.insert(other.end(), {"--set", "seed=3"});
  ASSERT_EQ(Kvla(other).status, 0);
  const std::string part = (scratch_ / "part1").string();
  for (const auto& [folder, text] : std::vector<std::pair<std::string, std::string>>{
           {(scratch_ / "other").string(), "seed is '3' in the run, '0' now"},
           {(scratch_ / "nothing").string(), "no run in"},
           {part + "/../merged", "folder to merge into"}}) {
    const Output refused = Kvla({"merge", merged, part, folder});
    EXPECT_EQ(refused.status, 2) << refused.err;
    EXPECT_NE(refused.err.find(text), std::string::npos) << refused.err;
  }
  for (const std::string bad : {"3", "0/3", "4/3", "1/3x", "a/b"}) {
    std::vector<std::string> arguments = Eval("bad", kEpisodes, 1);
    arguments.insert(arguments.end(), {"--shard", bad});
    EXPECT_EQ(Kvla(arguments).status, 2) << bad;
  }
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
