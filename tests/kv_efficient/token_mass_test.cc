// SPDX-License-Identifier: Apache-2.0
#include "kv_efficient/token_mass.h"

#include <gtest/gtest.h>

#include <cmath>

namespace kvla {
namespace {

using Masses = std::vector<float>;

void Give(TokenMass& mass, int first, const Masses& values) {
  mass.BeginBlock();
  mass.Add(0, first, values);
}

TEST(TokenMass, SumsOverTheBlocksThatCount) {
  TokenMass ever(2, 0), recent(2, 2);
  for (TokenMass* mass : {&ever, &recent}) {
    Give(*mass, 0, {1, 2});
    Give(*mass, 0, {10, 20, 30, 40});
    mass->Add(0, 1, Masses{5});  // far and near tokens come apart
    Give(*mass, 2, {100});
  }
  EXPECT_EQ(ever.Of(0, 5), (Masses{11, 27, 130, 40, 0}));
  EXPECT_EQ(recent.Of(0, 5), (Masses{10, 25, 130, 40, 0}));
  EXPECT_EQ(ever.Of(0, 1), Masses{11});
  EXPECT_EQ(ever.Of(1, 2), (Masses{0, 0}));
  EXPECT_EQ(ever.bytes(), 4 * 4);
  EXPECT_EQ(recent.bytes(), 4 * (4 + 3));
  recent.Truncate(0, 2);
  EXPECT_EQ(recent.Of(0, 4), (Masses{10, 25, 0, 0}));
  recent.Reset();
  EXPECT_EQ(recent.bytes(), 0);
}

// Two tokens of instruction, chunk 0 whole, chunk 1 leaves with two slots in a block; of chunk 0
// one token stays, chunk 1 becomes two summaries, and near tokens follow.
TEST(TokenMass, StaysWithItsTokensWhenAChunkLeaves) {
  const std::vector<FarToken> before = {{.chunk = -1, .offset = 0}, {.chunk = -1, .offset = 1},
                                        {.chunk = 0, .offset = 0},  {.chunk = 0, .offset = 1},
                                        {.chunk = 0, .offset = 2},  {.chunk = 0, .offset = 3}};
  const std::vector<FarToken> after = {
      {.chunk = -1, .offset = 0},
      {.chunk = -1, .offset = 1},
      {.chunk = 0, .offset = 2},
      {.chunk = 1, .offset = 0, .count = 2, .summary = SummaryKind::kSlots},
      {.chunk = 1, .offset = 1, .count = 2, .summary = SummaryKind::kSlots}};
  TokenMass mass(1, 0);
  Give(mass, 0, {1, 2, 10, 11, 12, 13, 100, 101, 102, 103, 7});
  mass.Leave(0, before, after, 1, 4, 2);
  EXPECT_EQ(mass.Of(0, 7), (Masses{1, 2, 12, 202, 204, 7, 0}));
  // What is a summary already keeps its own.
  const std::vector<FarToken> last = {after[0], after[1], after[4]};
  mass.Leave(0, after, last, 2, 0, 2);
  EXPECT_EQ(mass.Of(0, 4), (Masses{1, 2, 204, 7}));
}

TEST(TokenMass, TakesBackOnlyListsThatItCouldHave) {
  TokenMass mass(1, 2);
  const int tokens[] = {3};
  EXPECT_TRUE(mass.Restore({{1, 2}, {1, 2, 3}}, 1, tokens));
  EXPECT_EQ(mass.Of(0, 3), (Masses{2, 4, 3}));
  EXPECT_FALSE(mass.Restore({{1}}, 0, tokens));
  EXPECT_FALSE(mass.Restore({{1}, {1, 2, 3, 4}}, 0, tokens));
  EXPECT_FALSE(mass.Restore({{1}, {-1}}, 0, tokens));
  EXPECT_FALSE(mass.Restore({{1}, {NAN}}, 0, tokens));
  EXPECT_FALSE(mass.Restore({{1}, {1}}, 2, tokens));
  EXPECT_FALSE(mass.Restore({{1}, {1}}, -1, tokens));
  EXPECT_EQ(mass.Of(0, 3), (Masses{2, 4, 3}));
}

}  // namespace
}  // namespace kvla
