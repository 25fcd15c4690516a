// SPDX-License-Identifier: Apache-2.0
// A chain of two trainings with a round at the wheel between them.
#include "harness/train/chain.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <map>

#include "base/config_io.h"
#include "base/files.h"
#include "harness/demos/demo_reader.h"
#include "harness/demos/demos.h"
#include "tests/harness/test_worker.h"
#include "tests/policy/tiny_policy.h"

namespace kvla {
namespace {

namespace fs = std::filesystem;

DemoSet Set(const std::string& split, int episodes, int first = 0) {
  DemoSet set;
  set.task = "pick_place";
  set.delay = "short";
  set.split = split;
  set.episodes = episodes;
  set.first = first;
  return set;
}

// The tensors of a checkpoint, as they lie in its file.
std::string Weights(const fs::path& folder) {
  const Result<std::string> file = ReadFile(folder / "model.safetensors");
  EXPECT_TRUE(file.ok()) << file.status().message();
  if (!file.ok()) return "";
  uint64_t header = 0;
  std::memcpy(&header, file->data(), sizeof(header));
  return file->substr(sizeof(header) + header);
}

int Lines(const fs::path& file) {
  const Result<std::string> text = ReadFile(file);
  return text.ok() ? static_cast<int>(std::count(text->begin(), text->end(), '\n')) : 0;
}

class ChainTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    scratch_ = new ScratchDir;
    DemosConfig config;
    config.image_size = TinyConfig().image_size;
    config.sets = {Set("train", 3), Set("validation", 2)};
    DemosOptions options;
    options.out = *scratch_ / "demos";
    options.asset_root = KVLA_ASSET_ROOT;
    options.progress = ProgressStyle::kNone;
    options.command = TestWorker("real");
    const Result<DemosSummary> made = GenerateDemos(config, options);
    ASSERT_TRUE(made.ok()) << made.status().message();
  }
  static void TearDownTestSuite() {
    delete scratch_;
    scratch_ = nullptr;
  }

  ChainConfig Config(const std::string& out) {
    ChainConfig config;
    config.demos = (*scratch_ / "demos" / "train").string();
    config.validation = (*scratch_ / "demos" / "validation").string();
    config.out = (*scratch_ / out).string();
    config.policy = TinyConfig();
    config.policy.vocabulary.clear();
    config.bf16 = "off";
    config.threads = config.workers = 1;
    ChainStage see;
    see.name = "see";
    see.steps = 3;
    see.batch = 2;
    see.sample_blocks = 8;
    see.full_history_share = 0;
    see.shows = "cues";
    see.checkpoint_every = 1;
    see.validate_every = 3;
    ChainStage wheel;
    wheel.name = "wheel";
    wheel.wheel.share = 1;
    wheel.wheel.keep_failed = true;
    wheel.wheel.sets = {Set("train", 2, 1000)};
    ChainStage correct = see;
    correct.name = "correct";
    correct.shows = "anywhere";
    correct.compression_share = 0.5;
    correct.learns = "decoder";
    config.stages = {see, wheel, correct};
    return config;
  }
  ChainOptions Options() {
    ChainOptions options;
    options.asset_root = KVLA_ASSET_ROOT;
    options.progress = ProgressStyle::kNone;
    options.command = TestWorker("real");
    return options;
  }
  // Stops once `stage` has done `step` steps.
  static void RunUntil(const ChainConfig& config, ChainOptions options, const std::string& stage,
                       int step) {
    std::atomic<bool> stop = false;
    options.cancel = &stop;
    options.on_progress = [&](const std::string& at, const TrainProgress& p) {
      stop = stop || (at == stage && p.seconds_per_step > 0 && p.step == step);
    };
    EXPECT_EQ(RunChain(config, options).code(), StatusCode::kCancelled) << stage << " " << step;
  }
  static void ExpectRefused(const ChainConfig& config, const std::vector<std::string>& parts) {
    const Result<ChainLook> look = LookAtChain(config);
    EXPECT_EQ(look.status().code(), StatusCode::kBadInput);
    for (const std::string& part : parts) {
      EXPECT_NE(look.status().message().find(part), std::string::npos) << look.status().message();
    }
  }

  static ScratchDir* scratch_;
};

ScratchDir* ChainTest::scratch_ = nullptr;

TEST_F(ChainTest, StoppedAnywhereItEndsWithTheSameWeights) {
  const ChainConfig straight = Config("straight");
  const Status ran = RunChain(straight, Options());
  ASSERT_TRUE(ran.ok()) << ran.message();
  const fs::path out = straight.out;
  EXPECT_EQ(Weights(out), Weights(out / "stages" / "correct"));
  EXPECT_NE(Weights(out), Weights(out / "stages" / "see"));
  for (const char* curve : {"loss_see.csv", "loss_correct.csv"}) EXPECT_EQ(Lines(out / curve), 4);
  EXPECT_EQ(Lines(out / "stages.csv"), 4);
  const auto round = DemoReader::Open(out / "stages" / "wheel" / "train");
  ASSERT_TRUE(round.ok()) << round.status().message();
  EXPECT_EQ((*round)->size(), 2);

  const ChainConfig broken = Config("broken");
  RunUntil(broken, Options(), "see", 2);
  RunUntil(broken, Options(), "see", 3);
  RunUntil(broken, Options(), "correct", 1);
  const Result<ChainLook> look = LookAtChain(broken);
  ASSERT_TRUE(look.ok()) << look.status().message();
  EXPECT_EQ(look->done, (std::vector<std::string>{"see", "wheel"}));
  ASSERT_TRUE(RunChain(broken, Options()).ok());
  EXPECT_EQ(Weights(broken.out), Weights(out));
  EXPECT_EQ(Lines(fs::path(broken.out) / "loss_correct.csv"), 4);

  // What is done is not done again.
  int steps = 0;
  ChainOptions options = Options();
  options.on_progress = [&](const std::string&, const TrainProgress&) { ++steps; };
  ASSERT_TRUE(RunChain(broken, options).ok());
  EXPECT_EQ(steps, 0);

  // Of what is done nothing may differ; what a stage starts from counts.
  ChainConfig other = broken;
  other.stages[0].learning_rate = 0.5;
  ExpectRefused(other, {"stages/see holds another training", "learning_rate is '0.001'", "'0.5'"});
  other = broken;
  other.stages[1].wheel.share = 0.5;
  ExpectRefused(other, {"stages/wheel holds another round", "driver.share is '1' in", "'0.5' now"});
  other = broken;
  other.stages[0].steps = 5;
  ExpectRefused(other, {"stages/wheel is there", "'see' before it is not done"});
  other = broken;
  other.stages.erase(other.stages.begin() + 1);
  EXPECT_EQ(RunChain(other, Options()).code(), StatusCode::kBadInput);
  fs::copy(out / "stages" / "correct" / "model.safetensors",
           fs::path(broken.out) / "stages" / "see" / "model.safetensors",
           fs::copy_options::overwrite_existing);
  EXPECT_EQ(LookAtChain(broken).status().code(), StatusCode::kBadInput);
}

TEST_F(ChainTest, AnotherChainsStageIsAStart) {
  ChainConfig first = Config("first");
  first.stages.resize(1);
  ASSERT_TRUE(RunChain(first, Options()).ok());
  ChainConfig plain = Config("plain");
  plain.init_from = StageFolder(first, 0);
  plain.stages = {plain.stages[2]};
  plain.stages[0].history = "plain";
  plain.stages[0].compression_share = 0;
  const Status ran = RunChain(plain, Options());
  ASSERT_TRUE(ran.ok()) << ran.message();
  // Its tokens keep their distance, whatever those of the start did.
  const Result<std::string> sizes = ReadFile(fs::path(plain.out) / "config.yaml");
  ASSERT_TRUE(sizes.ok());
  EXPECT_NE(sizes->find("age_clamp_blocks: 0\n"), std::string::npos) << *sizes;
  EXPECT_TRUE(LookAtChain(plain).ok());
}

TEST_F(ChainTest, CueLabelsDecideWhatTheFirstStageShowsAndNothingElse) {
  const auto refused = [](const ChainConfig& config, const std::vector<std::string>& parts) {
    const Status status = CheckChain(config);
    EXPECT_EQ(status.code(), StatusCode::kBadInput);
    for (const std::string& part : parts) {
      EXPECT_NE(status.message().find(part), std::string::npos) << status.message();
    }
  };
  const ChainConfig good = Config("labels");
  EXPECT_TRUE(CheckChain(good).ok());
  ChainConfig bad = good;
  bad.stages[2].shows = "cues";
  refused(bad, {"stages.correct", "shows: cues"});
  bad = good;
  bad.init_from = "another";
  refused(bad, {"stages.see", "shows: cues"});
  for (const auto& [set, name] :
       std::initializer_list<std::pair<std::function<void(ChainStage*)>, const char*>>{
           {[](ChainStage* s) { s->history = "by_cues"; }, "history: by_cues"},
           {[](ChainStage* s) { s->unsure_weight = 0.5; }, "unsure_weight"},
           {[](ChainStage* s) { s->order_weight = 0.5; }, "order_weight"}}) {
    bad = good;
    set(&bad.stages[0]);
    refused(bad, {"stages.see", name, "cue labels"});
  }
  bad = good;
  bad.policy.cue_orders = 2;
  refused(bad, {"cue_orders"});
  bad = good;
  bad.stages[1].steps = 7;
  refused(bad, {"stages.wheel", "take 'steps' out"});
  bad = good;
  bad.stages.pop_back();
  refused(bad, {"stages.wheel", "nothing is trained on what it records"});
  bad = good;
  bad.stages.erase(bad.stages.begin());
  refused(bad, {"stages.wheel", "no policy is at the wheel"});
  bad = good;
  bad.stages[2].name = "see";
  refused(bad, {"stages.see", "another has this name"});
}

TEST(SuiteConfigs, AreGoodChains) {
  const fs::path folder = fs::path(KVLA_ASSET_ROOT) / "configs" / "suite";
  const auto load = [&](const char* name) {
    ChainConfig config;
    const Status loaded = LoadConfigFile(folder / name, {}, &config);
    EXPECT_TRUE(loaded.ok()) << loaded.message();
    const Status good = CheckChain(config);
    EXPECT_TRUE(good.ok()) << name << ": " << good.message();
    return config;
  };
  const ChainConfig robust = load("train.yaml");
  std::vector<std::string> names;
  for (const ChainStage& stage : robust.stages) names.push_back(stage.name);
  EXPECT_EQ(names, (std::vector<std::string>{"see", "remember", "wheel", "correct", "wheel_again",
                                             "correct_again"}));
  EXPECT_EQ(robust.stages[3].steps, 540);
  EXPECT_EQ(robust.stages[3].places_weight, robust.stages[1].places_weight) << "extends remember";
  // The others begin behind its encoders.
  for (const auto& [name, history] : {std::pair{"train_plain.yaml", "plain"},
                                      {"train_window.yaml", "window"},
                                      {"train_seed.yaml", "robust"},
                                      {"train_recurrent.yaml", "plain"}}) {
    const ChainConfig other = load(name);
    const std::string& start = other.policy.recurrent() ? other.warm_from : other.init_from;
    EXPECT_EQ(start, StageFolder(robust, 0)) << name;
    ASSERT_EQ(other.stages.size(), 5U) << name;
    for (const ChainStage& stage : other.stages) {
      if (!stage.Trains()) continue;
      EXPECT_EQ(stage.history, history) << name;
      EXPECT_EQ(stage.learns, "decoder") << name;
    }
    for (const size_t round : {1, 3}) {
      const ChainStage& wheel = other.stages[round];
      EXPECT_FALSE(wheel.Trains()) << name;
      EXPECT_EQ(wheel.wheel.cache, std::string(history) == "window" ? "window" : "full") << name;
    }
  }
  DemosConfig demos;
  const Status loaded = LoadConfigFile(folder / "demos.yaml", {}, &demos);
  ASSERT_TRUE(loaded.ok()) << loaded.message();
  EXPECT_TRUE(demos.suite.CuesAnywhere() && demos.suite.decoys && !demos.suite.HeldOut());
  std::map<std::string, int> episodes;
  for (const DemoSet& set : demos.sets) {
    EXPECT_NE(set.delay, "longer");
    episodes[set.split] += set.episodes;
    if (set.split == "train") episodes[set.disturbance] += set.episodes;
  }
  EXPECT_NEAR(episodes["train"], 4500, 50);
  EXPECT_NEAR(episodes["validation"], 300, 5);
  EXPECT_EQ(episodes["mild"], episodes["train"] / 2);
  EXPECT_NEAR(episodes["strong"], episodes["train"] / 10.0, 1);
}

}  // namespace
}  // namespace kvla
