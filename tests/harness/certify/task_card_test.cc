// SPDX-License-Identifier: Apache-2.0
#include "harness/certify/task_card.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tasks/task_list.h"
#include "tests/scratch_dir.h"

namespace kvla {
namespace {

namespace fs = std::filesystem;

std::unique_ptr<Task> Make(const std::string& name) {
  Result<std::unique_ptr<Task>> task = MakeTask(name, KVLA_ASSET_ROOT);
  EXPECT_TRUE(task.ok()) << task.status().message();
  return *std::move(task);
}

TEST(TaskCard, ShowsTheMomentsOfAMemoryTask) {
  const std::unique_ptr<Task> task = Make("recall_color");
  const Result<std::vector<CardFrame>> frames = DrawCardFrames(*task, 64);
  ASSERT_TRUE(frames.ok()) << frames.status().message();
  std::string captions;
  for (size_t i = 0; i < frames->size(); ++i) {
    captions += (*frames)[i].caption + " ";
    const double before = i == 0 ? -1 : (*frames)[i - 1].time_s;
    EXPECT_GT((*frames)[i].time_s, before);
  }
  EXPECT_EQ(captions, "start cue delay decision end ");
  // The lamp is lit at the cue and white at the decision: the pictures differ.
  EXPECT_NE((*frames)[1].image.rgb, (*frames)[0].image.rgb);
  EXPECT_NE((*frames)[3].image.rgb, (*frames)[2].image.rgb);
}

TEST(TaskCard, SaysWhatTheTaskIs) {
  const ScratchDir scratch;
  const std::unique_ptr<Task> task = Make("recall_color");
  const std::string certificates =
      R"({"tasks": [{"task": "recall_color", "delay": "short", "chance": 0.25, "passed": true,
          "expert": {"rate": 0.99, "low": 0.95, "high": 1.0},
          "blind": {"rate": 0.24, "low": 0.17, "high": 0.33}},
         {"task": "other", "delay": "nowhere", "passed": true}]})";
  const Status status = WriteTaskCard(*task, certificates, scratch.path());
  ASSERT_TRUE(status.ok()) << status.message();
  std::ifstream file(scratch / "recall_color.md");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const TaskInfo& info = task->info();
  for (const std::string& part :
       {info.instruction, info.held_out_instructions.back(), info.success_rule, info.family,
        info.stages.back().name, info.delays.back(), std::string("0.99 (0.95 to 1.00)"),
        std::string("0.24 (0.17 to 0.33)"), std::string("passed")}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << " is not in\n" << text;
  }
  EXPECT_EQ(text.find("nowhere"), std::string::npos);
  EXPECT_GT(fs::file_size(scratch / "recall_color.png"), 10000U);
}

// A task that says how much is to be remembered.
class BitsTask : public Task {
 public:
  BitsTask(const Task& told, std::vector<double> bits) : told_(told), info_(told.info()) {
    info_.bits = std::move(bits);
  }
  const TaskInfo& info() const override { return info_; }
  const TaskOptions& options() const override { return told_.options(); }
  fs::path scene() const override { return told_.scene(); }
  Result<Scenario> Draw(const EpisodeKey& key) const override { return told_.Draw(key); }
  Result<Scenario> Place(World& world, const EpisodeKey& key) const override {
    return told_.Place(world, key);
  }
  void Update(World& world, const Scenario& s) const override { told_.Update(world, s); }
  Progress Evaluate(const World& world, const Scenario& s) const override {
    return told_.Evaluate(world, s);
  }
  std::unique_ptr<Expert> MakeExpert(const Scenario& s, bool blind, Rng rng) const override {
    return told_.MakeExpert(s, blind, rng);
  }

 private:
  const Task& told_;
  TaskInfo info_;
};

TEST(TaskCard, SaysTheBitsAndWhatRulesHold) {
  const std::string certificates =
      R"({"tasks": [{"task": "recall_color", "delay": "long", "passed": false, "verdict": "refuted",
          "probe_window": {"rate": 0.24, "low": 0.2, "high": 0.29},
          "rules": {"expected": 0.05, "rules": [
            {"rule": "band", "keeps": "chunks 8 to 9", "rate": 0.51, "low": 0.44, "high": 0.58,
             "verdict": "refuted"},
            {"rule": "novelty", "keeps": "most changed", "rate": 0.18, "low": 0.11, "high": 0.3,
             "verdict": "cannot_tell", "more_episodes": 77}]}}]})";
  const std::unique_ptr<Task> told = Make("recall_color");
  const Result<std::string> text = CardText(BitsTask(*told, {2, 2, 4.32}), {}, certificates);
  ASSERT_TRUE(text.ok()) << text.status().message();
  for (const char* part :
       {"**Bits to be remembered:** 2 (short), 2 (medium), 4.32 (long).",
        "| 0.24 (0.20 to 0.29) | REFUTED |",
        "| long | `band`: chunks 8 to 9 | 0.51 (0.44 to 0.58) | 0.05 | REFUTED |",
        "| long | `novelty`: most changed | 0.18 (0.11 to 0.30) | 0.05 | cannot tell (77 more "
        "episodes) |"}) {
    EXPECT_NE(text->find(part), std::string::npos) << part << " is not in\n" << *text;
  }
  const Result<std::string> silent = CardText(BitsTask(*told, {}), {}, "");
  ASSERT_TRUE(silent.ok());
  EXPECT_EQ(silent->find("Bits"), std::string::npos);
  EXPECT_EQ(silent->find("its bytes explain"), std::string::npos);
}

// Certificates of one suite say nothing of another.
TEST(TaskCard, NamesItsSuiteAndTakesItsCertificatesAlone) {
  const std::string certificates =
      R"({"tasks": [{"task": "recall_color", "delay": "old", "passed": true},
          {"task": "recall_color", "delay": "new", "passed": true,
           "suite": {"cues": "anywhere", "decoys": "true", "layout": "seen"}}]})";
  const TaskOptions suite{.cues = "anywhere", .decoys = true, .layout = "seen"};
  const auto second = *MakeTask("recall_color", KVLA_ASSET_ROOT, suite);
  const std::string now = *CardText(*second, {}, certificates);
  EXPECT_NE(now.find("**Suite:** cues anywhere, decoys true, layout seen."), std::string::npos);
  EXPECT_NE(now.find("| new | "), std::string::npos) << now;
  EXPECT_EQ(now.find("| old | "), std::string::npos) << now;
  EXPECT_NE(now.find("| longer | "), std::string::npos) << now;
  const std::string was = *CardText(*Make("recall_color"), {}, certificates);
  EXPECT_NE(was.find("**Suite:** cues early, decoys false, layout seen."), std::string::npos);
  EXPECT_NE(was.find("| old | "), std::string::npos) << was;
  EXPECT_EQ(was.find("| new | "), std::string::npos) << was;
}

TEST(TaskCard, AnotherFileThanACertificateIsBadInput) {
  const std::unique_ptr<Task> task = Make("pick_place");
  for (const char* text :
       {"nonsense", "{}", "[1]", R"({"tasks": [1]})", R"({"tasks": [{"task": 1}]})",
        R"({"tasks": [{"task": "pick_place", "rules": 3}]})"}) {
    EXPECT_EQ(CardText(*task, {}, text).status().code(), StatusCode::kBadInput) << text;
  }
}

}  // namespace
}  // namespace kvla
