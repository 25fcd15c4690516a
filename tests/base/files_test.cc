// SPDX-License-Identifier: Apache-2.0
// Paths of every kind, and files under temporary names.
#include "base/files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <regex>
#include <set>

#include "base/hash.h"
#include "base/temporary_file.h"
#include "tests/scratch_dir.h"

namespace kvla {
namespace {

namespace fs = std::filesystem;

std::set<std::string> Names(const fs::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    names.insert(entry.path().filename().string());
  }
  return names;
}

class PathsTest : public testing::Test {
 protected:
  PathsTest() {
    mkfifo((scratch_ / "pipe").c_str(), 0600);
    fs::create_symlink("loop", scratch_ / "loop");
    fs::create_directory(scratch_ / "folder");
    EXPECT_TRUE(WriteFileAtomic(scratch_ / "file", "text").ok());
  }
  ScratchDir scratch_;
};

// A pipe without a writer must not be waited for.
TEST_F(PathsTest, OnlyARegularFileIsRead) {
  const std::string far(5000, 'x');
  for (const fs::path& path :
       {scratch_ / "pipe", scratch_ / "loop", scratch_ / "folder", scratch_ / "absent",
        scratch_ / far, scratch_ / "file/below", fs::path("/dev/null"), fs::path()}) {
    EXPECT_EQ(ReadFile(path).status().code(), StatusCode::kBadInput) << path;
    EXPECT_EQ(HashFileHex(path).status().code(), StatusCode::kBadInput) << path;
    EXPECT_FALSE(IsFile(path)) << path;
  }
  EXPECT_EQ(*ReadFile(scratch_.path().string() + "//file"), "text");
}

TEST_F(PathsTest, QuestionsAboutPathsDoNotThrow) {
  for (const fs::path& path :
       {scratch_ / "loop", scratch_ / std::string(5000, 'x'), scratch_ / "caf\xe9", fs::path()}) {
    EXPECT_FALSE(Exists(path));
    EXPECT_FALSE(IsFolder(path));
    (void)AbsolutePath(path);
    (void)CanonicalPath(path);
    EXPECT_TRUE(Exists(NearestExisting(path))) << path;
  }
  EXPECT_EQ(NearestExisting(scratch_ / "a/b/c"), scratch_.path());
}

TEST_F(PathsTest, WritingReplacesNothingButFiles) {
  for (const char* name : {"pipe", "folder"}) {
    EXPECT_EQ(WriteFileAtomic(scratch_ / name, "x").code(), StatusCode::kBadInput) << name;
  }
  struct stat info {};
  ASSERT_EQ(lstat((scratch_ / "pipe").c_str(), &info), 0);
  EXPECT_TRUE(S_ISFIFO(info.st_mode));
  // A link stays one.
  fs::create_symlink("file", scratch_ / "link");
  ASSERT_TRUE(WriteFileAtomic(scratch_ / "link", "new").ok());
  EXPECT_TRUE(fs::is_symlink(scratch_ / "link"));
  EXPECT_EQ(*ReadFile(scratch_ / "file"), "new");
}

// Whoever knows the name beforehand could have put a link there.
TEST_F(PathsTest, ATemporaryFileIsNeverOneThatIsThere) {
  const std::string taken = (scratch_ / "file").string() + ".tmp." + std::to_string(getpid());
  ASSERT_TRUE(WriteFileAtomic(scratch_ / "victim", "safe").ok());
  fs::create_symlink(scratch_ / "victim", taken + ".0");
  ASSERT_TRUE(WriteFileAtomic(scratch_ / "file", "new").ok());
  EXPECT_EQ(*ReadFile(scratch_ / "file"), "new");
  EXPECT_EQ(*ReadFile(scratch_ / "victim"), "safe");
}

TEST_F(PathsTest, ATemporaryFileThatIsNotKeptIsGone) {
  const auto before = Names(scratch_.path());
  {
    const Result<TemporaryFile> file = TemporaryFile::Beside(scratch_ / "file");
    ASSERT_TRUE(file.ok());
    EXPECT_EQ(file->path().parent_path(), scratch_.path());
    EXPECT_EQ(Names(scratch_.path()).size(), before.size() + 1);
  }
  EXPECT_EQ(Names(scratch_.path()), before);
  fs::path folder;
  {
    const Result<TemporaryFolder> made = TemporaryFolder::Make();
    ASSERT_TRUE(made.ok());
    folder = made->path();
    ASSERT_TRUE(WriteFileAtomic(folder / "x", "y").ok());
  }
  EXPECT_FALSE(fs::exists(folder));
}

// The kind, not the case: a call that throws is an "internal error" where a path is odd.
TEST(SourcesTest, NoFileSystemCallThrows) {
  const std::regex call(
      "(exists|is_directory|is_regular_file|is_empty|file_size|absolute|canonical|relative|space|"
      "equivalent|remove|remove_all|rename|temp_directory_path|current_path|"
      "directory_iterator [a-z]+)\\((.*)");
  const std::regex filesystem("(fs|filesystem)::(recursive_)?$");
  int calls = 0;
  for (const char* folder :
       {"apps", "base", "harness", "kv_efficient", "policy", "results", "sim", "tasks", "viewer"}) {
    for (const auto& entry : fs::recursive_directory_iterator(fs::path(KVLA_ASSET_ROOT) / folder)) {
      if (entry.path().extension() != ".cc") continue;
      std::ifstream file(entry.path());
      for (std::string line; std::getline(file, line);) {
        std::smatch match;
        if (!std::regex_search(line, match, call)) continue;
        const std::string before = match.prefix();
        if (!std::regex_search(before, filesystem)) continue;
        ++calls;
        std::string rest = match[2];
        if (rest.find(';') == std::string::npos && rest.find('{') == std::string::npos) {
          std::string more;
          std::getline(file, more);
          rest += more;
        }
        const bool told = rest.find("error") != std::string::npos ||
                          rest.find("ignored") != std::string::npos ||
                          rest.find("gone") != std::string::npos;
        EXPECT_TRUE(told) << entry.path() << ": " << line << ": give it a std::error_code";
      }
    }
  }
  EXPECT_GT(calls, 10);  // the pattern still finds what it is about
}

}  // namespace
}  // namespace kvla
