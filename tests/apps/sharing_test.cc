// SPDX-License-Identifier: Apache-2.0
// Folders, files and cores that two programs want at once; from outside.
#include <gtest/gtest.h>
#include <sched.h>

#include <cstdlib>

#include "tests/apps/eval_fixture.h"

namespace kvla {
namespace {

// Waits until the file is there and not empty, or the program has ended.
void AwaitFile(const Program& program, const std::filesystem::path& file) {
  while (!program.Ended() && ReadText(file).empty()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

void ExpectRefused(const Program& holder, const std::vector<std::string>& arguments) {
  const Output second = Kvla(arguments);
  EXPECT_EQ(second.status, 2);
  EXPECT_NE(second.err.find("another kvla process is writing to"), std::string::npos) << second.err;
  EXPECT_NE(second.err.find("process " + std::to_string(holder.pid()) + " on "), std::string::npos)
      << second.err;
}

TEST(Sharing, ASecondRecordingIsRefusedAndTheFirstGoesOn) {
  const ScratchDir scratch;
  WriteText(scratch / "demos.yaml",
            "image_size: 32\nsets:\n  - {task: pick_place, delay: short, episodes: 6}\n");
  const std::filesystem::path out = scratch / "demos";
  const std::vector<std::string> demos = {"demos", (scratch / "demos.yaml").string(), "--out",
                                          out.string()};
  setenv("HDF5_USE_FILE_LOCKING", "FALSE", 1);  // as on file systems where locks do not work
  Program first(demos);
  AwaitFile(first, out / "kvla.lock");
  ExpectRefused(first, demos);
  const Output output = first.Wait();
  unsetenv("HDF5_USE_FILE_LOCKING");
  EXPECT_EQ(output.status, 0) << output.err;
  EXPECT_EQ(Listing(out), (std::set<std::string>{"train", "train/pick_place_short_00000.hdf5"}));
}

TEST(Sharing, ASecondCertificateIntoTheSameFileIsRefused) {
  const ScratchDir scratch;
  const std::string file = (scratch / "certificates.json").string();
  Program first({"certify", "pick_place", "--episodes", "100000", "--out", file});
  AwaitFile(first, file + ".lock");
  ExpectRefused(first, {"certify", "press_named", "--episodes", "2", "--out", file});
  first.Signal(SIGINT);
  EXPECT_EQ(first.Wait().status, 130);
  EXPECT_TRUE(std::filesystem::is_empty(scratch.path()));
  EXPECT_EQ(Kvla({"certify", "pick_place", "--episodes", "2", "--out", file}).status, 0);
}

class TwoRuns : public EvalTest {};

// The cores of a run's one worker, and whether it is set up for good.
std::set<int> CoresOfWorker(const Program& program) {
  std::set<int> cores;
  for (const pid_t worker : program.Children()) {
    cpu_set_t set;
    if (sched_getaffinity(worker, sizeof(set), &set) != 0) continue;
    for (int core = 0; core < CPU_SETSIZE; ++core) {
      if (CPU_ISSET(core, &set)) cores.insert(core);
    }
  }
  return cores;
}

TEST_F(TwoRuns, AtATimeAreNeverTiedToOneCore) {
  constexpr int kEpisodes = 4;
  Program first(Eval("first", kEpisodes, 1)), second(Eval("second", kEpisodes, 1));
  AwaitEpisodes(first, "first", 1);
  AwaitEpisodes(second, "second", 1);
  const std::set<int> one = CoresOfWorker(first), other = CoresOfWorker(second);
  ASSERT_EQ(first.Wait().status, 0);
  ASSERT_EQ(second.Wait().status, 0);
  const auto pinned = [&](const std::string& out) {
    return RunStore::Open(scratch_ / out, RunStore::Mode::kReadOnly)->Meta()->at("pinned");
  };
  if (one.size() == 1 && other.size() == 1 && sysconf(_SC_NPROCESSORS_ONLN) > 1) {
    EXPECT_NE(one, other);
  }
  for (const auto& [out, cores] : {std::pair{"first", one}, {"second", other}}) {
    if (!cores.empty()) {
      EXPECT_EQ(pinned(out), cores.size() == 1 ? "yes" : "no");
    }
  }
}

}  // namespace
}  // namespace kvla
