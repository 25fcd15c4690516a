// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/gate/needed_chunks.h"

#include <gtest/gtest.h>

#include <numeric>

namespace kvla {
namespace {

using Needed = std::map<int, double>;

std::vector<int> Chunks(int count) {
  std::vector<int> chunks(static_cast<size_t>(count));
  std::iota(chunks.begin(), chunks.end(), 0);
  return chunks;
}

// A count is wrong by as much as is missing: no chunk alone makes it right.
TEST(NeededChunksTest, FindsThoseThatOnlyTogetherSuffice) {
  const auto loss = [](const std::set<int>& held) {
    const bool whole = held.contains(3) && held.contains(9) && held.contains(40);
    return whole ? 0.25 : 2.25;
  };
  EXPECT_EQ(NeededChunks(Chunks(50), loss, 1.0), (Needed{{3, 2.0}, {9, 2.0}, {40, 2.0}}));
}

TEST(NeededChunksTest, KeepsOneOfTwoThatSayTheSame) {
  const auto loss = [](const std::set<int>& held) {
    return held.contains(5) || held.contains(6) ? 0.0 : 3.0;
  };
  EXPECT_EQ(NeededChunks(Chunks(11), loss, 0.5), (Needed{{6, 3.0}}));
}

// What was read into a later chunk came from the first, which a cache meets before it.
TEST(NeededChunksTest, KeepsTheFirstOfTwoFarApart) {
  const auto loss = [](const std::set<int>& held) {
    return held.contains(5) || held.contains(90) ? 0.0 : 3.0;
  };
  EXPECT_EQ(NeededChunks(Chunks(100), loss, 0.5), (Needed{{5, 3.0}}));
}

TEST(NeededChunksTest, KeepsNothingWhereNothingHelps) {
  EXPECT_TRUE(NeededChunks(
                  Chunks(8), [](const std::set<int>&) { return 1.0; }, 0.1)
                  .empty());
  EXPECT_TRUE(NeededChunks(
                  {}, [](const std::set<int>&) { return 1.0; }, 0.1)
                  .empty());
  // All of them help, but less than is asked for.
  const auto little = [](const std::set<int>& held) { return 1.0 - 0.01 * held.size(); };
  EXPECT_TRUE(NeededChunks(Chunks(8), little, 0.1).empty());
}

TEST(NeededChunksTest, TriesFarFewerSetsThanThereAreChunks) {
  int tried = 0;
  const auto loss = [&tried](const std::set<int>& held) {
    ++tried;
    return held.contains(77) ? 0.0 : 1.0;
  };
  EXPECT_EQ(NeededChunks(Chunks(256), loss, 0.5), (Needed{{77, 1.0}}));
  EXPECT_LT(tried, 24);
}

}  // namespace
}  // namespace kvla
