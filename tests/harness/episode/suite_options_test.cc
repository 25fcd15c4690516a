// SPDX-License-Identifier: Apache-2.0
#include "harness/episode/suite_options.h"

#include <gtest/gtest.h>

namespace kvla {
namespace {

EpisodeBegin Begin() {
  EpisodeBegin begin;
  begin.id = {"full", "recall_color", "short", 3};
  begin.split = "evaluation";
  begin.run_seed = 5;
  return begin;
}

TEST(SuiteOptions, GoIntoAnEpisodeAndBack) {
  const TaskOptions options{.cues = "anywhere", .decoys = true, .layout = "held_out"};
  EXPECT_EQ(SuiteText(options), "cues anywhere, decoys true, layout held_out");
  EpisodeBegin begin = Begin();
  begin.suite = SuiteMembers(options);
  EXPECT_EQ(*SuiteOf(begin), options);
  const auto task = MakeTaskOf(begin, KVLA_ASSET_ROOT);
  ASSERT_TRUE(task.ok()) << task.status().message();
  EXPECT_EQ((*task)->options(), options);
  EXPECT_TRUE(IsTaskOf(task->get(), begin));
  EXPECT_FALSE(IsTaskOf(task->get(), Begin()));
  EXPECT_FALSE(IsTaskOf(nullptr, begin));
  begin.id.task = "put_back";
  EXPECT_FALSE(IsTaskOf(task->get(), begin));
}

TEST(SuiteOptions, OfAnOlderRunAreTheDefaults) { EXPECT_EQ(*SuiteOf(Begin()), TaskOptions()); }

TEST(SuiteOptions, OneThatIsNotKnownIsBadInput) {
  EpisodeBegin begin = Begin();
  begin.suite = {{"cues", "sometimes"}};
  const Status status = MakeTaskOf(begin, KVLA_ASSET_ROOT).status();
  EXPECT_EQ(status.code(), StatusCode::kBadInput);
  EXPECT_NE(status.message().find("sometimes"), std::string::npos) << status.message();
  begin.suite = {{"smell", "on"}};
  EXPECT_EQ(SuiteOf(begin).status().code(), StatusCode::kBadInput);
}

TEST(SuiteOptions, TheKeyIsTheEpisodes) {
  EpisodeBegin begin = Begin();
  begin.twin = true;
  const EpisodeKey key = *KeyOf(begin);
  EXPECT_EQ(key.split, Split::kEvaluation);
  EXPECT_EQ(key.run_seed, 5u);
  EXPECT_EQ(key.task, "recall_color");
  EXPECT_EQ(key.delay, "short");
  EXPECT_EQ(key.episode, 3u);
  EXPECT_TRUE(key.twin);
  begin.split = "no split";
  EXPECT_EQ(KeyOf(begin).status().code(), StatusCode::kBadInput);
}

}  // namespace
}  // namespace kvla
