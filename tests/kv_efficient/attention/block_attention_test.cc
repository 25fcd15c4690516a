// SPDX-License-Identifier: Apache-2.0
// What a block of a CUDA device computes, run on the host, against softmax attention in double.
#include "kv_efficient/attention/block_attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "tests/kv_efficient/attention/host_blocks.h"

namespace kvla {
namespace {

void Check(const PagedCase& a, const std::vector<HostAnswer>& answers) {
  for (size_t lane = 0; lane < answers.size(); ++lane) {
    const Attended want = a.Oracle(static_cast<int>(lane));
    const double tolerance = Tolerance(want);
    double worst = 0;
    for (size_t i = 0; i < want.out.size(); ++i) {
      const double error = std::abs(answers[lane].out[i] - want.out[i]);
      worst = error <= worst ? worst : error;  // NaN counts
    }
    for (size_t i = 0; i < want.log_sum_exp.size(); ++i) {
      if (std::isinf(want.log_sum_exp[i])) {
        EXPECT_EQ(answers[lane].log_sum_exp[i], want.log_sum_exp[i]);
      } else {
        EXPECT_NEAR(answers[lane].log_sum_exp[i], want.log_sum_exp[i], tolerance);
      }
    }
    EXPECT_LE(worst, tolerance) << "lane " << lane << ": " << a.shape.rows << " rows, "
                                << a.shape.head_dim << " wide, pages of " << a.shape.page_tokens;
  }
}

TEST(BlockAttentionTest, IsSoftmaxOverBothRegionsAtEveryEdge) {
  int cases = 0;
  ForEachPagedCase([&](const PagedCase& a) {
    ++cases;
    const int pages_per_split = 1 + cases % 5;  // one split to as many as pages
    switch (cases % 3) {
      case 0:
        return Check(a, AttendOnHost<128, 8>(a, pages_per_split, cases % 2 == 0));
      case 1:
        return Check(a, AttendOnHost<128, 16>(a, pages_per_split, cases % 2 == 0));
      default:
        return Check(a, AttendOnHost<64, 1>(a, pages_per_split, cases % 2 == 0));
    }
  });
  EXPECT_GT(cases, 300);
}

TEST(BlockAttentionTest, ThreadsMayRunInAnyOrderBetweenBarriers) {
  const std::vector<PageKind> pages = {{KvFormat::kF32, 40, true},
                                       {KvFormat::kInt8, 40},
                                       {KvFormat::kInt4, 17},
                                       {KvFormat::kBf16, 33, true},
                                       {KvFormat::kInt8, 1, true}};
  for (const int pages_per_split : {1, 2, 9}) {
    const PagedCase a(64, 40, 7, {{pages, pages}, {pages, {}}}, 3);
    EXPECT_EQ((AttendOnHost<128, 8>(a, pages_per_split, false)),
              (AttendOnHost<128, 8>(a, pages_per_split, true)));
  }
}

TEST(BlockAttentionTest, EveryTileOfRowsAgrees) {
  const std::vector<PageKind> pages(6, {KvFormat::kInt8, 24, true});
  const PagedCase a(128, 24, 13, {{pages, pages}}, 4);
  Check(a, AttendOnHost<128, 1>(a, 4, false));
  Check(a, AttendOnHost<128, 2>(a, 4, false));
  Check(a, AttendOnHost<128, 4>(a, 4, false));
  Check(a, AttendOnHost<128, 8>(a, 4, false));
  Check(a, AttendOnHost<128, 16>(a, 4, false));
}

TEST(BlockAttentionTest, MoreSplitsThanABlockHasThreads) {
  const PagedCase a(32, 4, 2, {{std::vector<PageKind>(150, {KvFormat::kF32, 4}), {}}}, 5);
  Check(a, AttendOnHost<64, 2>(a, 1, false));
}

TEST(BlockAttentionTest, ScoresOfAnySize) {
  PagedCase a(64, 16, 4, {{std::vector<PageKind>(4, {KvFormat::kF32, 16}), {}}}, 6);
  TestPage& last = a.lanes[0].pages[3];  // the largest come late, and far apart
  for (float& key : last.keys) key *= 200;
  EncodePage({KvFormat::kF32, 64, 16}, last.keys, last.values, 16,
             std::as_writable_bytes(std::span(last.data)));
  for (const int pages_per_split : {1, 4}) {
    Check(a, AttendOnHost<128, 4>(a, pages_per_split, false));
  }
}

TEST(BlockAttentionTest, WhatIsNoNumberStaysNone) {
  for (const KvFormat format : kKvFormats) {
    for (const bool in_key : {true, false}) {
      for (const int pages_per_split : {1, 8}) {
        PagedCase a(64, 16, 4, {{{}, std::vector<PageKind>(3, {format, 16})}}, 7);
        TestPage& page = a.lanes[0].pages[1];
        (in_key ? page.keys : page.values)[100] = std::numeric_limits<float>::quiet_NaN();
        EncodePage({format, 64, 16}, page.keys, page.values, 16,
                   std::as_writable_bytes(std::span(page.data)));
        const HostAnswer answer = AttendOnHost<128, 4>(a, pages_per_split, false)[0];
        for (int row = 0; row < 4; ++row) {
          EXPECT_TRUE(std::isnan(answer.out[row * 64 + 100 % 64])) << KvFormatName(format);
        }
      }
    }
  }
}

TEST(BlockAttentionTest, AMaskedTokenHasNoWeight) {
  PagedCase a(32, 8, 2, {{{{KvFormat::kF32, 8, true}}, {{KvFormat::kF32, 5}}}}, 8);
  a.lanes[0].pages[0].bias.assign(8, -std::numeric_limits<float>::infinity());
  Check(a, AttendOnHost<128, 2>(a, 1, false));
  Check(a, AttendOnHost<128, 2>(a, 2, false));
}

TEST(BlockJobTest, SplitsFillTheDeviceAndNoMore) {
  EXPECT_EQ(PagesPerSplit(10, 1, 600), 1);      // little to share out
  EXPECT_EQ(PagesPerSplit(24000, 1, 600), 10);  // 2400 blocks
  EXPECT_EQ(PagesPerSplit(24000, 2, 600), 20);  // the rows make twice as many of each
  EXPECT_EQ(PagesPerSplit(0, 1, 600), 1);
  const PagedLane lane{.far_pages = 7, .near_pages = 4};
  EXPECT_EQ(SplitsOf(lane, 5), 3);
  EXPECT_EQ(SplitsOf(PagedLane{}, 5), 0);
}

TEST(BlockJobTest, ABlockFitsTheSmallestDevice) {
  for (const int head_dim : {32, 64, 128, 256}) {
    for (const int page_tokens : {1, 16, 64, 1000}) {
      for (const KvFormat widest : kKvFormats) {
        const PagedShape shape{head_dim, page_tokens, 1, widest};
        // sm_80 has 163 KB for a block; five blocks of the common case share sm_90's 228 KB.
        EXPECT_LE(BlockSpace(shape, kMaxBlockRows, 128).bytes, 163 * 1024);
        for (const KvFormat format : kKvFormats) {
          const int tokens = BlockSpace::TileTokens(format, shape, 128);
          EXPECT_GE(tokens, 4);
          EXPECT_EQ(tokens & (tokens - 1), 0);
          EXPECT_LE(tokens * BlockSpace::Stride(format, head_dim), BlockSpace::kTileBytes);
        }
      }
    }
  }
  EXPECT_LE(5 * (BlockSpace({64, 64, 8, KvFormat::kF32}, 8, 128).bytes + 1024), 228 * 1024);
}

}  // namespace
}  // namespace kvla
