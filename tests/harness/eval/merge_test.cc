// SPDX-License-Identifier: Apache-2.0
// The parts of a run in one folder: what is refused, and what happens to videos.
#include "harness/eval/merge.h"

#include <gtest/gtest.h>

#include "base/config_io.h"
#include "base/files.h"
#include "harness/eval/run_config.h"
#include "results/video/video_rule.h"
#include "tests/results/record_util.h"

namespace kvla {
namespace {

namespace fs = std::filesystem;

class MergeTest : public testing::Test {
 protected:
  // A part with the seeds from `first` on; its episodes end as `success` says.
  RunStore Part(const std::string& name, int64_t first, bool success, RunMeta meta = {}) {
    RunConfig config;
    config.arms.resize(1);
    config.arms[0].name = "full";
    meta.insert({{"config", PrintConfig(config)}, {"planned", "4"}, {"workers", "1"}});
    Result<RunStore> store = RunStore::Create(scratch_.path() / name, meta);
    EXPECT_TRUE(store.ok()) << store.status().message();
    for (int64_t seed = first; seed < first + 2; ++seed) {
      EXPECT_TRUE(store->WriteEpisode(MakeRecord({"full", "task", "long", seed}, 5, success)).ok());
    }
    return *std::move(store);
  }
  Result<MergeSummary> Merge(const std::vector<std::string>& names) {
    std::vector<fs::path> folders;
    for (const std::string& name : names) folders.push_back(scratch_.path() / name);
    return MergeRuns(scratch_.path() / "out", folders);
  }

  ScratchDir scratch_;
};

TEST_F(MergeTest, GathersWhatDiffersBetweenTheParts) {
  Part("a", 0, true, {{"cpu", "x"}});
  Part("b", 2, false, {{"cpu", "y"}, {"workers", "2"}});
  const Result<MergeSummary> merged = Merge({"a", "b"});
  ASSERT_TRUE(merged.ok()) << merged.status().message();
  EXPECT_EQ(merged->episodes, 4);
  EXPECT_EQ(merged->planned, 4);
  const Result<RunStore> out = RunStore::Open(scratch_.path() / "out", RunStore::Mode::kReadOnly);
  EXPECT_EQ(out->Meta()->at("cpu"), "x | y");
  EXPECT_EQ(out->Meta()->at("workers"), "1 | 2");
}

// Which CPU kernels ran decides what a policy guesses.
TEST_F(MergeTest, SaysWhereThePartsDiffer) {
  Part("a", 0, true, {{"cpu", "x"}, {"cpu_kernels", "AVX2"}, {"pinned", "yes"}});
  Part("b", 2, true, {{"cpu", "x"}, {"cpu_kernels", "AVX512"}, {"pinned", "no"}});
  Part("c", 4, true, {{"cpu", "x"}, {"cpu_kernels", "AVX2"}, {"pinned", "yes"}});
  const std::vector<std::string> differ = {"the parts differ in cpu_kernels: AVX2 | AVX512",
                                           "the parts differ in pinned: yes | no"};
  // One by one as well as at once.
  EXPECT_TRUE(Merge({"a"})->notes.empty());
  EXPECT_EQ(Merge({"b"})->notes, differ);
  EXPECT_EQ(Merge({"c"})->notes, differ);
  const Result<RunStore> out = RunStore::Open(scratch_.path() / "out", RunStore::Mode::kReadOnly);
  EXPECT_EQ(out->Meta()->at("cpu_kernels"), "AVX2 | AVX512");
  EXPECT_EQ(out->Meta()->at("pinned"), "yes | no");
}

TEST_F(MergeTest, VideosComeAlongWholeAndStayInside) {
  const EpisodeId id{"full", "task", "long", 1};
  {
    RunStore part = Part("a", 0, true);
    fs::create_directories(part.folder() / kVideoFolder);
    ASSERT_TRUE(WriteFileAtomic(part.folder() / VideoFile(id), "film").ok());
    ASSERT_TRUE(part.SetVideo(id, VideoFile(id)).ok());
    ASSERT_TRUE(part.SetVideo({"full", "task", "long", 0}, "videos/was_deleted.mp4").ok());
  }
  // What a merge left that was killed while it copied.
  fs::create_directories(scratch_.path() / "out" / kVideoFolder);
  ASSERT_TRUE(WriteFileAtomic(scratch_.path() / "out" / VideoFile(id), "fi").ok());
  const Result<MergeSummary> merged = Merge({"a"});
  ASSERT_TRUE(merged.ok()) << merged.status().message();
  EXPECT_EQ(*ReadFile(scratch_.path() / "out" / VideoFile(id)), "film");

  RunStore part = Part("b", 2, true);
  ASSERT_TRUE(WriteFileAtomic(scratch_.path() / "escaped.mp4", "film").ok());
  ASSERT_TRUE(part.SetVideo({"full", "task", "long", 2}, "../escaped.mp4").ok());
  const Status refused = Merge({"b"}).status();
  EXPECT_EQ(refused.code(), StatusCode::kBadInput);
  EXPECT_NE(refused.message().find("outside of its folder videos"), std::string::npos)
      << refused.message();
}

TEST_F(MergeTest, OneEpisodeWithTwoOutcomesIsRefused) {
  Part("a", 0, true);
  Part("b", 1, false);  // seed 1 again
  const Status parts = Merge({"a", "b"}).status();
  EXPECT_EQ(parts.code(), StatusCode::kBadInput);
  EXPECT_FALSE(fs::exists(scratch_.path() / "out/run.db"));
  // The same where an earlier merge brought the first.
  ASSERT_TRUE(Merge({"a"}).ok());
  const Status earlier = Merge({"b"}).status();
  EXPECT_EQ(earlier.code(), StatusCode::kBadInput);
  EXPECT_NE(earlier.message().find("seed 1 ended as failure"), std::string::npos)
      << earlier.message();
  // The same outcome from another state is another episode.
  {
    RunStore part = Part("d", 6, true);
    EpisodeRecord other = MakeRecord({"full", "task", "long", 1}, 5, true);
    other.end.state_hash = "0123456789abcdef";
    ASSERT_TRUE(part.WriteEpisode(other).ok());
  }
  EXPECT_NE(Merge({"d"}).status().message().find("(state 0123456789abcdef)"), std::string::npos);
  // And a part of another run.
  Part("c", 2, true, {{"checkpoint_hash", "other"}});
  EXPECT_NE(Merge({"c"}).status().message().find("checkpoint_hash"), std::string::npos);
}

TEST_F(MergeTest, InRealTimeAnEpisodeMayEndInTwoWays) {
  RunConfig config;
  config.arms.resize(1);
  config.arms[0].name = "full";
  config.arms[0].clock.kind = "wall";
  const RunMeta meta = {{"config", PrintConfig(config)}};
  Part("a", 0, true, meta);
  Part("b", 1, false, meta);  // seed 1 again
  const Result<MergeSummary> merged = Merge({"a", "b"});
  ASSERT_TRUE(merged.ok()) << merged.status().message();
  EXPECT_EQ(merged->episodes, 3);
  const Result<RunStore> out = RunStore::Open(scratch_.path() / "out", RunStore::Mode::kReadOnly);
  EXPECT_TRUE(out->Episodes()->at(1).success);  // the part that was named first
}

}  // namespace
}  // namespace kvla
