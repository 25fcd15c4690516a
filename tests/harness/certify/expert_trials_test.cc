// SPDX-License-Identifier: Apache-2.0
#include "harness/certify/expert_trials.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tasks/task_list.h"

namespace kvla {
namespace {

TEST(Certify, CountsExpertAndBlindEpisodes) {
  auto task = *MakeTask("recall_color", KVLA_ASSET_ROOT);
  const int n = 8;
  int calls = 0;
  CertifyOptions options;
  options.episodes = options.blind_episodes = n;
  options.run_seed = 3;
  auto r = Certify(*task, "short", options, [&calls](int, int total) {
    EXPECT_EQ(total, 16);
    return ++calls > 0;
  });
  ASSERT_TRUE(r.ok()) << r.status().message();
  EXPECT_EQ(calls, 2 * n + 1);
  EXPECT_EQ(r->episodes, n);
  EXPECT_EQ(r->errors, 0);
  EXPECT_EQ(r->expert_success, n);
  EXPECT_GT(r->expert_steps, 200 * n);
  EXPECT_EQ(r->blind_decided, n);
  EXPECT_LE(r->blind_right, n / 2);
  options.threads = 3;
  auto again = Certify(*task, "short", options);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->expert_steps, r->expert_steps);
  EXPECT_EQ(again->blind_right, r->blind_right);
  auto stopped = Certify(*task, "short", options, [](int done, int) { return done < 1; });
  EXPECT_EQ(stopped.status().code(), StatusCode::kCancelled);
}

TEST(Certify, EnoughBlindEpisodesToTellChance) {
  for (const double chance : {1.0 / 60, 0.25, 1.0 / 3, 0.5}) {
    const int n = BlindEpisodesFor(chance, 20);
    EXPECT_GE(n, 100);
    const double bound = 1.96 * std::sqrt(chance * (1 - chance) / n);
    const double luck = 3 * std::sqrt(chance * (1 - chance) / n);
    EXPECT_LT(bound + luck, kAboveChance + 1e-9) << chance;
  }
  EXPECT_EQ(BlindEpisodesFor(0.25, 5000), 5000);
}

}  // namespace
}  // namespace kvla
