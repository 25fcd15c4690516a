// SPDX-License-Identifier: Apache-2.0
// `kvla view` from outside: whoever watches changes nothing.
#include <gtest/gtest.h>

#include "results/store/run_store.h"
#include "tests/apps/program.h"
#include "tests/scratch_dir.h"
#include "tests/viewer/virtual_display.h"

namespace kvla {
namespace {

class ViewProgramTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(display_.error(), "");
    CopyCheckpoint(scratch_ / "policy");
    WriteText(scratch_ / "run.yaml", RunYaml(scratch_ / "policy", 1));
  }
  std::string Path(const std::string& name) const { return (scratch_ / name).string(); }

  EpisodeEnd EndOf(const std::string& run) const {
    const auto store = RunStore::Open(scratch_ / run, RunStore::Mode::kReadOnly);
    EXPECT_TRUE(store.ok()) << store.status().message();
    if (!store.ok()) return {};
    const auto record = store->Episode({"window", "pick_place", "short", 0});
    EXPECT_TRUE(record.ok()) << record.status().message();
    return record.ok() ? record->end : EpisodeEnd{};
  }

  VirtualDisplay display_;
  ScratchDir scratch_;
};

TEST_F(ViewProgramTest, AnEpisodeWhoseWindowBlocksAndIsClosedEndsAsUnwatched) {
  const Output eval = Kvla({"eval", Path("run.yaml"), "--out", Path("plain")});
  ASSERT_EQ(eval.status, 0) << eval.err;
  const EpisodeEnd plain = EndOf("plain");
  ASSERT_FALSE(plain.state_hash.empty());
  // At real time it would last longer than the window does.
  const Output view = Kvla({"view", Path("run.yaml"), "--arm", "window", "--speed", "1",
                            "--measure", "0.4", "--block", "0.5", "--out", Path("watched")});
  ASSERT_EQ(view.status, 0) << view.err;
  EXPECT_NE(view.out.find("blocked for 0.5 s"), std::string::npos) << view.out;
  EXPECT_EQ(view.out.find("ended in state"), std::string::npos) << view.out;
  const EpisodeEnd watched = EndOf("watched");
  EXPECT_EQ(watched.state_hash, plain.state_hash);
  EXPECT_EQ(watched.steps, plain.steps);
  EXPECT_TRUE(watched.comparable);
}

// The file of a run holds the actions; the scene follows from them.
TEST_F(ViewProgramTest, ARunWithoutStatesIsShownWithItsScene) {
  const Output eval = Kvla({"eval", Path("run.yaml"), "--out", Path("plain")});
  ASSERT_EQ(eval.status, 0) << eval.err;
  const Output view = Kvla({"view", Path("plain"), "--arms", "full,window", "--measure", "1"});
  ASSERT_EQ(view.status, 0) << view.err;
  const size_t at = view.out.find(" scene pictures/s");
  ASSERT_NE(at, std::string::npos) << view.out;
  const size_t from = view.out.rfind(' ', at - 1);
  EXPECT_GT(std::stod(view.out.substr(from)), 0) << view.out;
  const Output picture = Kvla({"view", Path("plain"), "--screenshot", Path("shot.png"), "--after",
                               "2", "--panel", "Scene"});
  ASSERT_EQ(picture.status, 0) << picture.err;
  EXPECT_GT(std::filesystem::file_size(scratch_ / "shot.png"), 10000u);
}

}  // namespace
}  // namespace kvla
