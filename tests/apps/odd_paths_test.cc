// SPDX-License-Identifier: Apache-2.0
// Every option that takes a path, given every kind of path that is none of those it wants: status 2
// and a message, never "internal error", and nothing that waits for ever.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "results/store/run_store.h"
#include "tests/apps/program.h"
#include "tests/results/record_util.h"

namespace kvla {
namespace {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;

class OddPathsTest : public testing::Test {
 protected:
  void SetUp() override {
    CopyCheckpoint(scratch_ / "checkpoint");
    WriteText(scratch_ / "run.yaml", RunYaml(scratch_ / "checkpoint", 1));
    WriteText(scratch_ / "demos.yaml", "sets:\n  - {task: pick_place, delay: short}\n");
    WriteText(scratch_ / "cache.yaml", "policy: window\n");
    WriteText(scratch_ / "a_file", "some text: [that is no config\n");
    RunStore run = std::move(*RunStore::Create(scratch_ / "run", {}));
    for (int seed = 0; seed < 2; ++seed) {
      ASSERT_TRUE(run.WriteEpisode(MakeRecord({"full", "pick_place", "short", seed})).ok());
    }
    ASSERT_EQ(mkfifo((scratch_ / "pipe").c_str(), 0600), 0);
    fs::create_symlink("loop", scratch_ / "loop");
    fs::create_directories(scratch_ / "pipe_inside");
    ASSERT_EQ(mkfifo((scratch_ / "pipe_inside/run.db").c_str(), 0600), 0);
    ASSERT_EQ(mkfifo((scratch_ / "pipe_inside/config.yaml").c_str(), 0600), 0);
    fs::create_directories(scratch_ / "empty");
  }

  // Ends one that hangs.
  Output Within(const Words& arguments) {
    Program program(arguments);
    for (int i = 0; i < 6000 && !program.Ended(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    EXPECT_TRUE(program.Ended()) << "it waits";
    if (!program.Ended()) program.Signal(SIGKILL);
    return program.Wait();
  }

  void ExpectRefused(const Words& arguments) {
    const Output output = Within(arguments);
    std::string line;
    for (const std::string& argument : arguments) line += argument.substr(0, 80) + " ";
    EXPECT_EQ(output.status, 2) << line << "\n" << output.err;
    EXPECT_NE(output.err, "") << line;
    EXPECT_EQ(output.err.find("internal error"), std::string::npos) << line << output.err;
  }

  std::string At(const std::string& name) const { return (scratch_ / name).string(); }
  // What is neither a config, nor a run, nor a folder of demonstrations.
  Words Unreadable() const {
    return {At("pipe"),
            At("loop"),
            At("absent"),
            At("a_file/below"),
            "/dev/null",
            At("caf\xe9"),
            At("pipe_inside"),
            At("empty"),
            "",
            "/" + std::string(300, 'x'),
            "/" + std::string(5000, 'x')};
  }

  ScratchDir scratch_;
};

TEST_F(OddPathsTest, Configs) {
  Words paths = Unreadable();
  paths.push_back(At("a_file"));
  for (const std::string& path : paths) {
    ExpectRefused({"eval", path, "--out", At("out"), "--check"});
    ExpectRefused({"demos", path, "--out", At("out"), "--dry-run"});
    ExpectRefused({"train", path, "--dry-run"});
    ExpectRefused({"train-gate", path, "--dry-run"});
    ExpectRefused({"train-write-gate", path, "--dry-run"});
    ExpectRefused({"analyze", At("a_file"), "--cache", path});
    ExpectRefused({"analyze", path, "--cache", At("cache.yaml")});
#ifdef KVLA_WITH_VIEWER
    ExpectRefused({"view", path, "--screenshot", At("p.png")});
#endif
  }
}

TEST_F(OddPathsTest, Runs) {
  Words paths = Unreadable();
  paths.push_back(At("a_file"));
  for (const std::string& path : paths) {
    ExpectRefused({"report", path});
    ExpectRefused({"compare", path, At("run")});
    ExpectRefused({"merge", At("merged"), path});
  }
  for (const std::string& path :
       {At("pipe"), At("absent"), At("a_file"), std::string("/dev/null")}) {
    ExpectRefused({"runs", path});
    ExpectRefused({"--assets", path, "list", "tasks"});
    ExpectRefused({"card", "pick_place", "--out", At("cards"), "--certify", path});
  }
  EXPECT_EQ(Within({"runs", scratch_.path().string()}).status, 0);
}

TEST_F(OddPathsTest, PathsInsideAConfig) {
  for (const std::string& path : Unreadable()) {
    ExpectRefused({"eval", At("run.yaml"), "--out", At("out"), "--check", "--set",
                   "checkpoint=\"" + path + "\""});
    if (path.empty()) continue;
    ExpectRefused({"eval", At("run.yaml"), "--out", At("out"), "--check", "--set",
                   "arms.window.cache={policy: gated, gate: \"" + path + "\"}"});
    WriteText(scratch_ / "includes.yaml", "include: \"" + path + "\"\n");
    ExpectRefused({"eval", At("includes.yaml"), "--out", At("out"), "--check"});
    WriteText(scratch_ / "train.yaml", "demos: \"" + path + "\"\nvalidation: \"" + path +
                                           "\"\nout: " + At("trained") + "\n");
    ExpectRefused({"train", At("train.yaml"), "--dry-run"});
  }
}

TEST_F(OddPathsTest, Outputs) {
  const Words paths = {At("pipe"),
                       At("loop"),
                       At("a_file"),
                       At("a_file/below"),
                       "/dev/null",
                       "",
                       "/" + std::string(300, 'x')};
  for (const std::string& path : paths) {
    ExpectRefused({"eval", At("run.yaml"), "--out", path});
    ExpectRefused({"demos", At("demos.yaml"), "--out", path});
    ExpectRefused({"merge", path, At("run")});
    ExpectRefused({"card", "pick_place", "--out", path});
    if (!path.empty()) ExpectRefused({"report", At("run"), "--html", path});
  }
  for (const std::string& path : {At("pipe"), At("empty"), At("a_file/below"),
                                  std::string("/dev/null"), "/" + std::string(300, 'x')}) {
    ExpectRefused({"certify", "pick_place", "--delay", "short", "--episodes", "1", "--out", path});
  }
  EXPECT_TRUE(fs::is_fifo(scratch_ / "pipe"));
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
}

// What is odd and right: it works.
TEST_F(OddPathsTest, ADoubledSlashALinkAndANameThatIsNotUtf8) {
  fs::create_directory_symlink("run", scratch_ / "link");
  fs::copy(scratch_ / "run", scratch_ / "caf\xe9");
  for (const std::string& path : {scratch_.path().string() + "//run/", At("link"), At("caf\xe9")}) {
    EXPECT_EQ(Within({"report", path, "--json"}).status, 0) << path;
  }
  const Output output = Within({"compare", At("run"), At("caf\xe9"), "--json"});
  EXPECT_EQ(output.status, 0) << output.err;
  EXPECT_NE(output.out.find("full@caf\xef\xbf\xbd"), std::string::npos) << output.out;
  EXPECT_TRUE(nlohmann::json::accept(output.out));
}

// EGL is looked for in files that this variable names.
TEST_F(OddPathsTest, WithoutRenderingItIsTheMachineThatIsNamed) {
  setenv("__EGL_VENDOR_LIBRARY_FILENAMES", "/none.json", 1);
  const Output output = Within({"eval", At("run.yaml"), "--out", At("out")});
  unsetenv("__EGL_VENDOR_LIBRARY_FILENAMES");
  EXPECT_EQ(output.status, 2) << output.err;
  EXPECT_EQ(output.err.find("internal error"), std::string::npos) << output.err;
  EXPECT_NE(output.err.find("libegl-mesa0"), std::string::npos) << output.err;
}

}  // namespace
}  // namespace kvla
