// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>

#include "base/files.h"
#include "base/hash.h"
#include "base/rng.h"
#include "base/status.h"
#include "base/text.h"

namespace kvla {
namespace {

namespace fs = std::filesystem;

TEST(Status, CarriesContext) {
  EXPECT_TRUE(Status().In("x").ok());
  const Status status = BadInput("no such arm").In("run.yaml");
  EXPECT_EQ(status.code(), StatusCode::kBadInput);
  EXPECT_EQ(status.message(), "run.yaml: no such arm");
  const Result<int> result = status;
  EXPECT_FALSE(result.ok());
  EXPECT_EQ(*Result<int>(5), 5);
}

TEST(Text, EditDistance) {
  EXPECT_EQ(EditDistance("", ""), 0);
  EXPECT_EQ(EditDistance("abc", ""), 3);
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3);
  EXPECT_EQ(EditDistance("sede", "seed"), 1);  // neighbours swapped
  EXPECT_EQ(NearestName("windw", {"random", "window", "full"}), "window");
  EXPECT_EQ(NearestName("window", {"windows", "window_blocks", "widow"}), "windows");
  EXPECT_EQ(DidYouMean("x", {}), "");
}

TEST(Text, Utf8) {
  for (const char* good : {"", "a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\xa4\x96"}) {
    EXPECT_TRUE(IsUtf8(good)) << good;
  }
  for (const char* bad : {"\xff", "\xc3", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80",
                          "\xf4\x90\x80\x80", "\x80", "\xe2\x82"}) {
    EXPECT_FALSE(IsUtf8(bad));
  }
}

TEST(Text, WhatATerminalObeysIsEscaped) {
  EXPECT_EQ(Printable("plain \xc3\xa9 \xf0\x9f\xa4\x96\n"), "plain \xc3\xa9 \xf0\x9f\xa4\x96\n");
  EXPECT_EQ(Printable("\x1b[31m\t\r\x7f"), "\\x1b[31m\\x09\\x0d\\x7f");
  EXPECT_EQ(Printable(std::string_view("a\0b", 3)), "a\\x00b");
  EXPECT_EQ(Printable("\xc2\x9b"), "\\x9b");        // a control character of Latin 1
  EXPECT_EQ(Printable("\xe2\x80\xae"), "\\u202e");  // right to left from here
  EXPECT_EQ(Printable("caf\xe9 \xe2\x82"), "caf\\xe9 \\xe2\\x82");  // not UTF-8
  EXPECT_EQ(PrintableLine("a\nb"), "a\\nb");
}

TEST(Text, IsCutBetweenCharacters) {
  EXPECT_EQ(CutText("abc", 3), "abc");
  EXPECT_EQ(CutText("abc", 2), "ab");
  const std::string_view robot = "a\xf0\x9f\xa4\x96z";
  EXPECT_EQ(CutText(robot, 5), "a\xf0\x9f\xa4\x96");
  for (size_t bytes = 1; bytes < 5; ++bytes) EXPECT_EQ(CutText(robot, bytes), "a") << bytes;
  EXPECT_EQ(CutText("\x80\x80\x80\x80\x80\x80", 5).size(), 5u);
}

// Reference values of xxHash64 with seed 0, from the algorithm's specification.
TEST(Hash, MatchesTheSpecification) {
  EXPECT_EQ(HashHex(""), "ef46db3751d8e999");
  EXPECT_EQ(HashHex("a"), "d24ec4f1a98c6e5b");
  EXPECT_EQ(HashHex("abc"), "44bc2cf5ad770999");
}

class FilesTest : public testing::Test {
 protected:
  FilesTest() : dir_(fs::path(testing::TempDir()) / "kvla_files_test") {
    fs::remove_all(dir_);
    fs::create_directories(dir_);
  }
  ~FilesTest() override { fs::remove_all(dir_); }
  fs::path dir_;
};

TEST_F(FilesTest, WritesWholeFilesAndHashesThem) {
  const std::string bytes = std::string(3 << 20, 'x') + std::string("\0y", 2);
  ASSERT_TRUE(WriteFileAtomic(dir_ / "a", "old").ok());
  ASSERT_TRUE(WriteFileAtomic(dir_ / "a", bytes).ok());
  EXPECT_EQ(*ReadFile(dir_ / "a"), bytes);
  EXPECT_EQ(*HashFileHex(dir_ / "a"), HashHex(bytes));
  EXPECT_EQ(std::distance(fs::directory_iterator(dir_), fs::directory_iterator()), 1);
}

TEST_F(FilesTest, AFailedWriteLeavesTheOldFileAndNoOther) {
  fs::create_directories(dir_ / "folder" / "inside");
  EXPECT_FALSE(WriteFileAtomic(dir_ / "folder", "x").ok());  // the rename must fail
  EXPECT_FALSE(WriteFileAtomic(dir_ / "missing" / "a", "x").ok());
  EXPECT_EQ(std::distance(fs::directory_iterator(dir_), fs::directory_iterator()), 1);
}

TEST_F(FilesTest, ErrorsNameThePath) {
  EXPECT_EQ(ReadFile(dir_ / "none").status().code(), StatusCode::kBadInput);
  EXPECT_NE(ReadFile(dir_ / "none").status().message().find("none"), std::string::npos);
  EXPECT_FALSE(ReadFile(dir_).ok());
  EXPECT_FALSE(HashFileHex(dir_ / "none").ok());
  ASSERT_TRUE(WriteFileAtomic(dir_ / "a", "12345").ok());
  EXPECT_FALSE(ReadFile(dir_ / "a", 4).ok());
  EXPECT_TRUE(ReadFile(dir_ / "a", 5).ok());
}

TEST_F(FilesTest, ChecksFoldersWithoutATrace) {
  EXPECT_TRUE(CheckFolderWritable(dir_).ok());
  EXPECT_TRUE(CheckFolderWritable(dir_ / "to" / "be" / "made").ok());
  EXPECT_TRUE(CheckFolderWritable(dir_.string() + "/").ok());
  EXPECT_TRUE(fs::is_empty(dir_));
  ASSERT_TRUE(WriteFileAtomic(dir_ / "file", "x").ok());
  EXPECT_EQ(CheckFolderWritable(dir_ / "file").code(), StatusCode::kBadInput);
  const Status below = CheckFolderWritable(dir_ / "file" / "run");
  EXPECT_EQ(below.code(), StatusCode::kBadInput);
  EXPECT_NE(below.message().find("is not a folder"), std::string::npos);
  EXPECT_EQ(CheckFolderWritable("/proc/run").code(), StatusCode::kBadInput);  // even for root
  EXPECT_FALSE(CheckFolderWritable("").ok());
}

EpisodeKey Key(Split split, uint64_t seed, uint64_t episode) {
  return {split, seed, "recall_color", "long", episode};
}

TEST(Text, AListHoldsAValueOnce) {
  EXPECT_EQ(WithListed("", "1"), "1");
  EXPECT_EQ(WithListed("1", "1"), "1");
  EXPECT_EQ(WithListed("1", "2"), "1 | 2");
  EXPECT_EQ(WithListed("1 | 12", "2"), "1 | 12 | 2");
  EXPECT_EQ(WithListed("1 | 12", "12"), "1 | 12");
  EXPECT_EQ(WithListed("1", ""), "1");
}

TEST(Rng, StreamsOfDifferentKeysDiffer) {
  std::set<uint64_t> first;
  int streams = 0;
  for (const Split split : {Split::kTrain, Split::kValidation, Split::kEvaluation}) {
    for (uint64_t seed = 0; seed < 20; ++seed) {
      for (uint64_t episode = 0; episode < 20; ++episode) {
        for (const char* purpose : {"placement", "noise"}) {
          first.insert(Rng(Key(split, seed, episode), purpose).NextU64());
          ++streams;
        }
      }
    }
  }
  EXPECT_EQ(first.size(), static_cast<size_t>(streams));
  EpisodeKey moved = Key(Split::kTrain, 0, 0);
  moved.task = "recall_colorlong";
  moved.delay = "";
  EXPECT_NE(Rng(moved, "noise").NextU64(), Rng(Key(Split::kTrain, 0, 0), "noise").NextU64());
}

// The numbers behind every published table: a change here changes every episode.
TEST(Rng, IsStable) {
  Rng a(Key(Split::kEvaluation, 1, 2), "placement"), b = a;
  EXPECT_EQ(a.NextU64(), b.NextU64());
  EXPECT_EQ(Rng(0).NextU64(), 0xe220a8397b1dcdafULL);  // SplitMix64's published first value
  EXPECT_EQ(StableHash("a"), 0xaf63dc4c8601ec8cULL);   // FNV-1a's published value
}

TEST(Rng, DistributionsHaveTheirMoments) {
  Rng rng(7);
  const int n = 200000;
  double mean = 0, square = 0, uniform = 0;
  std::vector<int> counts(5);
  for (int i = 0; i < n; ++i) {
    const double x = rng.Normal();
    mean += x / n;
    square += x * x / n;
    const double u = rng.Uniform(2, 4);
    ASSERT_GE(u, 2);
    ASSERT_LT(u, 4);
    uniform += u / n;
    ++counts[static_cast<size_t>(rng.UniformInt(5))];
  }
  EXPECT_NEAR(mean, 0, 0.01);
  EXPECT_NEAR(square, 1, 0.02);
  EXPECT_NEAR(uniform, 3, 0.01);
  for (const int count : counts) EXPECT_NEAR(count, n / 5.0, 800);
  std::vector<int> order(50);
  for (int i = 0; i < 50; ++i) order[static_cast<size_t>(i)] = i;
  std::vector<int> shuffled = order;
  rng.Shuffle(shuffled);
  EXPECT_NE(shuffled, order);
  std::sort(shuffled.begin(), shuffled.end());
  EXPECT_EQ(shuffled, order);
}

}  // namespace
}  // namespace kvla
