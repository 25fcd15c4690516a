// SPDX-License-Identifier: Apache-2.0
// Bad input of every kind: exit status 2, a message that names it, nothing written.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/apps/program.h"

namespace kvla {
namespace {

namespace fs = std::filesystem;

class BadInputTest : public testing::Test {
 protected:
  void SetUp() override {
    CopyCheckpoint(scratch_ / "checkpoint");
    WriteText(Config(), RunYaml(scratch_ / "checkpoint", 2));
  }
  fs::path Config() const { return scratch_ / "run.yaml"; }

  void Replace(const fs::path& file, const std::string& from, const std::string& to) {
    std::string text = ReadText(file);
    const size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    WriteText(file, text.replace(at, from.size(), to));
  }

  // An evaluation that must be refused with each of `parts` in the message.
  void ExpectRefused(const std::vector<std::string>& parts,
                     const std::vector<std::string>& extra = {}, const std::string& out = "out",
                     const std::vector<std::string>& before = {}) {
    const std::set<std::string> listing = Listing(scratch_.path());
    std::vector<std::string> arguments = before;
    arguments.insert(arguments.end(),
                     {"eval", Config().string(), "--out", (scratch_ / out).string()});
    arguments.insert(arguments.end(), extra.begin(), extra.end());
    const Output output = Kvla(arguments);
    EXPECT_EQ(output.status, 2) << output.err;
    EXPECT_EQ(output.out, "");
    for (const std::string& part : parts) {
      EXPECT_NE(output.err.find(part), std::string::npos)
          << "'" << part << "' is not in: " << output.err;
    }
    EXPECT_EQ(Listing(scratch_.path()), listing);
  }

  ScratchDir scratch_;
};

TEST_F(BadInputTest, TheConfigItselfIsGood) {
  const Output output =
      Kvla({"eval", Config().string(), "--out", (scratch_ / "out").string(), "--dry-run"});
  EXPECT_EQ(output.status, 0) << output.err;
  EXPECT_NE(output.out.find("= 4 episodes, 0 there already"), std::string::npos) << output.out;
  // Two episodes a cell show next to nothing, and it says so.
  EXPECT_NE(output.out.find("found with 80% power: no difference"), std::string::npos)
      << output.out;
  EXPECT_FALSE(fs::exists(scratch_ / "out"));
}

TEST_F(BadInputTest, UnknownKey) {
  Replace(Config(), "{policy: window}", "{policy: window, windw_blocks: 3}");
  ExpectRefused({"run.yaml:10", "unknown key 'windw_blocks'", "did you mean 'window_blocks'?"});
}

TEST_F(BadInputTest, UnknownKeyInAnOverride) {
  ExpectRefused({"--set episods=3", "did you mean 'episodes'?"}, {"--set", "episods=3"});
}

TEST_F(BadInputTest, WrongType) {
  Replace(Config(), "episodes: 2", "episodes: many");
  ExpectRefused({"run.yaml:3", "'episodes'", "many"});
}

TEST_F(BadInputTest, OutOfRange) { ExpectRefused({"'episodes'", "0"}, {"--set", "episodes=0"}); }

TEST_F(BadInputTest, NotYaml) {
  WriteText(Config(), "arms: [{name: full\n");
  ExpectRefused({"run.yaml"});
}

TEST_F(BadInputTest, MissingConfig) {
  fs::remove(Config());
  ExpectRefused({"run.yaml", "No such file"});
}

TEST_F(BadInputTest, MissingCheckpoint) {
  fs::remove_all(scratch_ / "checkpoint");
  ExpectRefused({(scratch_ / "checkpoint").string(), "no such folder"});
}

TEST_F(BadInputTest, CheckpointWithoutWeights) {
  fs::remove(scratch_ / "checkpoint/model.safetensors");
  ExpectRefused({(scratch_ / "checkpoint/model.safetensors").string()});
}

TEST_F(BadInputTest, TruncatedWeights) {
  const fs::path weights = scratch_ / "checkpoint/model.safetensors";
  const auto size = fs::file_size(weights);
  for (const auto left : {size - 1, size / 2, decltype(size){100}, decltype(size){3}}) {
    fs::resize_file(weights, left);
    ExpectRefused({weights.string(), "truncated"});
  }
}

TEST_F(BadInputTest, WeightsOfAnotherShape) {
  Replace(scratch_ / "checkpoint/config.yaml", "num_layers: 2", "num_layers: 3");
  ExpectRefused({"model.safetensors"});
}

TEST_F(BadInputTest, SceneWithAnError) {
  const fs::path root = KVLA_ASSET_ROOT;
  fs::create_directories(scratch_ / "assets/sim");
  fs::copy(root / "sim/models", scratch_ / "assets/sim/models", fs::copy_options::recursive);
  fs::copy(root / "tasks", scratch_ / "assets/tasks", fs::copy_options::recursive);
  const std::vector<std::string> assets = {"--assets", (scratch_ / "assets").string()};
  // As copied it is good: what is refused below is the error alone.
  EXPECT_EQ(Kvla({"--assets", assets[1], "eval", Config().string(), "--out",
                  (scratch_ / "out").string(), "--dry-run"})
                .status,
            0);
  const fs::path scene = scratch_ / "assets/tasks/pick_place/scene.xml";
  const std::string good = ReadText(scene);
  WriteText(scene, good.substr(0, good.size() / 2));
  ExpectRefused({"pick_place/scene.xml"}, {}, "out", assets);
  Replace(scratch_ / "assets/sim/models/panda.xml", "<joint ", "<jiont ");
  WriteText(scene, good);
  ExpectRefused({"jiont"}, {}, "out", assets);
}

TEST_F(BadInputTest, UnknownTask) {
  Replace(Config(), "pick_place", "pick_plaice");
  ExpectRefused({"tasks[0]", "pick_plaice", "did you mean 'pick_place'?"});
}

TEST_F(BadInputTest, MissingGate) {
  Replace(Config(), "{policy: window}", "{policy: gated, gate: no/gate.safetensors}");
  ExpectRefused({"'window'", "no/gate.safetensors"});
}

TEST_F(BadInputTest, OutputFolderThatIsAFile) {
  WriteText(scratch_ / "file", "kept");
  ExpectRefused({"cannot write to", "is not a folder"}, {}, "file");
  ExpectRefused({"cannot write to", "is not a folder"}, {}, "file/deeper");
  EXPECT_EQ(ReadText(scratch_ / "file"), "kept");
}

TEST_F(BadInputTest, OutputFolderWithADatabaseThatIsNone) {
  fs::create_directories(scratch_ / "out");
  WriteText(scratch_ / "out/run.db", "this is no database, it is a text of some length");
  ExpectRefused({"run.db"});
}

TEST_F(BadInputTest, CommandLine) {
  ExpectRefused({"--workers"}, {"--workers", "0"});
  ExpectRefused({"--no-such-flag"}, {"--no-such-flag"});
  EXPECT_EQ(Kvla({}).status, 2);
  EXPECT_EQ(Kvla({"eval", Config().string()}).status, 2);
  EXPECT_EQ(Kvla({"--assets", (scratch_ / "nothing").string(), "list", "tasks"}).status, 2);
  EXPECT_EQ(Kvla({"worker"}).status, 2);
}

TEST_F(BadInputTest, ReportOfWhatIsNoRun) {
  for (const fs::path& folder : {Config(), scratch_.path(), scratch_ / "nothing"}) {
    const std::set<std::string> listing = Listing(scratch_.path());
    const Output output = Kvla({"report", folder.string(), "--json"});
    EXPECT_EQ(output.status, 2) << folder;
    EXPECT_EQ(output.out, "");
    EXPECT_NE(output.err.find("no run in " + folder.string()), std::string::npos) << output.err;
    EXPECT_EQ(Listing(scratch_.path()), listing);
  }
}

TEST_F(BadInputTest, Demos) {
  const std::string good =
      "sets:\n  - {task: pick_place, delay: short, split: train, episodes: 1}\n";
  const std::vector<std::pair<std::string, std::string>> bad = {
      {"{task: pick_place, delay: short, split: evaluation}", "evaluation"},
      {"{task: pick_plaice, delay: short}", "did you mean 'pick_place'?"},
      {"{task: recall_color, delay: shirt}", "shirt"},
      {"{task: pick_place, delay: short, episodes: no}", "'sets.0.episodes': expected int"}};
  for (const auto& [set, part] : bad) {
    WriteText(Config(), "sets:\n  - " + set + "\n");
    const std::set<std::string> listing = Listing(scratch_.path());
    const Output output =
        Kvla({"demos", Config().string(), "--out", (scratch_ / "demos").string()});
    EXPECT_EQ(output.status, 2) << set;
    EXPECT_NE(output.err.find(part), std::string::npos) << output.err;
    EXPECT_EQ(Listing(scratch_.path()), listing);
  }
  WriteText(Config(), good);
  WriteText(scratch_ / "file", "");
  EXPECT_EQ(Kvla({"demos", Config().string(), "--out", (scratch_ / "file").string()}).status, 2);
}

TEST(ListTest, JsonParsesAndTextNamesTheSame) {
  const std::vector<std::pair<std::string, std::set<std::string>>> wanted = {
      {"tasks", {"pick_place", "recall_color"}},
      {"caches",
       {"full", "window", "recompute", "sink_window", "random", "mean_pool", "oracle", "gated"}},
      {"policies", {}}};
  for (const auto& [what, names] : wanted) {
    const Output json = Kvla({"list", what, "--json"});
    EXPECT_EQ(json.status, 0) << json.err;
    const auto parsed = nlohmann::json::parse(json.out, nullptr, false);
    ASSERT_TRUE(parsed.is_object()) << json.out;
    const Output text = Kvla({"list", what});
    EXPECT_EQ(text.status, 0);
    std::set<std::string> listed;
    for (const auto& row : parsed.at("rows")) {
      listed.insert(row.at("name"));
      EXPECT_NE(text.out.find(row.at("name").get<std::string>()), std::string::npos) << text.out;
    }
    for (const std::string& name : names) EXPECT_TRUE(listed.contains(name)) << what << " " << name;
  }
  EXPECT_EQ(Kvla({"list", "things"}).status, 2);
}

TEST(ListTest, PoliciesAreFoundWhereTheRepositoryKeepsThem) {
  ScratchDir assets;
  CopyCheckpoint(assets / "policy/weights/mine");
  const Output output = Kvla({"--assets", assets.path().string(), "list", "policies", "--json"});
  EXPECT_EQ(output.status, 0) << output.err;
  const auto rows = nlohmann::json::parse(output.out, nullptr, false).at("rows");
  ASSERT_EQ(rows.size(), 1u) << output.out;
  EXPECT_EQ(rows[0].at("name"), "policy/weights/mine");
  EXPECT_EQ(rows[0].at("layers"), 2);
}

}  // namespace
}  // namespace kvla
