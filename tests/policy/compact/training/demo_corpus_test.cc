// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/training/demo_corpus.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "tests/policy/tiny_policy.h"

namespace kvla {
namespace {

DemoEpisode Episode(const std::string& task, const std::string& instruction, int blocks) {
  DemoEpisode episode = TinyEpisode(TinyConfig(), blocks, 0, 0);
  episode.task = task;
  episode.instruction = instruction;
  return episode;
}

// Task "a": 3 episodes of 100 blocks in one phrasing, 1 in another; "b": 1 of 100; "c": 1 of 16.
DemoCorpus Corpus(DemoCorpus::Mix mix) {
  TinySource source({Episode("a", "do a", 100), Episode("b", "do b", 100),
                     Episode("a", "do a", 100), Episode("a", "a, please", 100),
                     Episode("a", "do a", 100), Episode("c", "do c", 16)});
  Result<DemoCorpus> corpus = DemoCorpus::Read(source, TinyConfig(), nullptr);
  EXPECT_TRUE(corpus.ok()) << corpus.status().message();
  corpus->GroupBy(mix);
  return *std::move(corpus);
}

TEST(DemoCorpus, AStepOfOneInstructionHasOne) {
  const DemoCorpus corpus = Corpus(DemoCorpus::Mix::kOneInstruction);
  Rng rng(1);
  std::set<std::string> seen;
  for (int step = 0; step < 200; ++step) {
    const std::vector<std::string> groups = corpus.DrawGroups(4, rng);
    ASSERT_EQ(groups.size(), 4U);
    for (const std::string& group : groups) {
      EXPECT_EQ(group, groups.front());
      EXPECT_EQ(corpus.DrawEpisode(group, rng).instruction, group);
    }
    seen.insert(groups.front());
  }
  EXPECT_EQ(seen.size(), 4U);
}

TEST(DemoCorpus, AStepOverTasksMixesThem) {
  const DemoCorpus corpus = Corpus(DemoCorpus::Mix::kTasks);
  Rng rng(2);
  std::map<std::string, double> share;
  constexpr int kSteps = 300, kSamples = 12;
  for (int step = 0; step < kSteps; ++step) {
    std::set<std::string> tasks;
    for (const std::string& task : corpus.DrawGroups(kSamples, rng)) {
      tasks.insert(task);
      share[task] += 1.0 / (kSteps * kSamples);
    }
    EXPECT_EQ(tasks.size(), 3U) << "step " << step;
  }
  // Square roots of 400, 100 and 16 blocks: 20, 10 and 4.
  EXPECT_NEAR(share["a"], 20.0 / 34, 0.02);
  EXPECT_NEAR(share["b"], 10.0 / 34, 0.02);
  EXPECT_NEAR(share["c"], 4.0 / 34, 0.02);
}

TEST(DemoCorpus, EmphasisDoublesEachTimeThatATaskIsNamed) {
  DemoCorpus corpus = Corpus(DemoCorpus::Mix::kTasks);
  corpus.GroupBy(DemoCorpus::Mix::kTasks, {"b", "c", "c"});
  Rng rng(2);
  std::map<std::string, double> share;
  constexpr int kSteps = 300, kSamples = 12;
  for (int step = 0; step < kSteps; ++step) {
    for (const std::string& task : corpus.DrawGroups(kSamples, rng)) {
      share[task] += 1.0 / (kSteps * kSamples);
    }
  }
  EXPECT_NEAR(share["a"], 20.0 / 56, 0.02);
  EXPECT_NEAR(share["b"], 20.0 / 56, 0.02);
  EXPECT_NEAR(share["c"], 16.0 / 56, 0.02);
}

TEST(DemoCorpus, PhrasingsAreAllAlike) {
  const DemoCorpus corpus = Corpus(DemoCorpus::Mix::kTasks);
  Rng rng(3);
  int polite = 0;
  for (int i = 0; i < 1000; ++i) polite += corpus.DrawEpisode("a", rng).instruction == "a, please";
  EXPECT_NEAR(polite, 500, 60);
}

TEST(DemoCorpus, AnEpisodeOfAnotherPolicyIsRefused) {
  PolicyConfig other = TinyConfig();
  other.image_size = 64;
  TinySource source({TinyEpisode(TinyConfig(), 20, 3, 1)});
  int kept = 0;
  const auto count = [&kept](DemoEpisode&) { ++kept; };
  EXPECT_EQ(DemoCorpus::Read(source, other, nullptr, count).status().code(), StatusCode::kBadInput);
  EXPECT_EQ(kept, 0);
}

TEST(DemoCorpus, NoneIsBadInput) {
  TinySource none({});
  EXPECT_EQ(DemoCorpus::Read(none, TinyConfig(), nullptr).status().code(), StatusCode::kBadInput);
}

}  // namespace
}  // namespace kvla
