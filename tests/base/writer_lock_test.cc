// SPDX-License-Identifier: Apache-2.0
#include "base/writer_lock.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <optional>

#include "tests/scratch_dir.h"

namespace kvla {
namespace {

namespace fs = std::filesystem;

std::string Refusal(const fs::path& folder) {
  const Result<WriterLock> lock = WriterLock::OfFolder(folder);
  return lock.ok() ? "" : lock.status().message();
}

TEST(WriterLock, IsHeldByOneAndSaysByWhom) {
  const ScratchDir dir;
  const fs::path folder = dir / "made/for/it";
  {
    const Result<WriterLock> lock = WriterLock::OfFolder(folder);
    ASSERT_TRUE(lock.ok()) << lock.status().message();
    const std::string why = Refusal(folder);
    EXPECT_TRUE(why.starts_with("another kvla process is writing to " + folder.string() +
                                ": process " + std::to_string(getpid()) + " on "))
        << why;
    EXPECT_NE(why.find(" UTC: "), std::string::npos) << why;
    EXPECT_NE(why.find("kvla_base_test"), std::string::npos) << why;
    // Another folder, and a file of the same name, are other things.
    EXPECT_TRUE(WriterLock::OfFolder(dir / "other").ok());
    EXPECT_TRUE(WriterLock::OfFile(folder).ok());
  }
  EXPECT_TRUE(fs::is_empty(folder));
  EXPECT_EQ(Refusal(folder), "");
}

TEST(WriterLock, MovesToWhoTakesItOver) {
  const ScratchDir dir;
  std::optional<WriterLock> kept;
  {
    Result<WriterLock> lock = WriterLock::OfFile(dir / "file");
    ASSERT_TRUE(lock.ok());
    kept.emplace(*std::move(lock));
  }
  EXPECT_FALSE(WriterLock::OfFile(dir / "file").ok());
  kept.reset();
  EXPECT_TRUE(WriterLock::OfFile(dir / "file").ok());
}

TEST(WriterLock, OfAKilledProcessLocksNothing) {
  const ScratchDir dir;
  const pid_t child = fork();
  if (child == 0) {
    const Result<WriterLock> lock = WriterLock::OfFolder(dir.path());
    raise(SIGKILL);
  }
  waitpid(child, nullptr, 0);
  EXPECT_TRUE(fs::exists(dir / kFolderLockFile));
  EXPECT_EQ(Refusal(dir.path()), "");
  EXPECT_FALSE(fs::exists(dir / kFolderLockFile));
}

TEST(WriterLock, NamesAFolderThatCannotBeMade) {
  const ScratchDir dir;
  std::ofstream(dir / "file") << "x";
  EXPECT_TRUE(Refusal(dir / "file/folder").starts_with("cannot write to "));
  // A link could lead anywhere, and what it leads to would be overwritten.
  fs::create_symlink(dir / "file", dir / kFolderLockFile);
  EXPECT_TRUE(Refusal(dir.path()).starts_with("cannot write to "));
  EXPECT_EQ(fs::file_size(dir / "file"), 1U);
}

}  // namespace
}  // namespace kvla
