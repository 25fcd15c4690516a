// SPDX-License-Identifier: Apache-2.0
// Texts of a run on a terminal: nothing in them is obeyed, nothing is cut in half.
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/text.h"
#include "results/report/compare.h"
#include "results/report/report.h"
#include "results/report/run_list.h"
#include "results/report/text_table.h"
#include "tests/results/record_util.h"

namespace kvla {
namespace {

constexpr char kEvil[] = "e\x1b[2J\x07\xc2\x9b\n\xe2\x80\xaexe\xff";

bool IsQuiet(const std::string& text) {
  return IsUtf8(text) && text.find('\x1b') == std::string::npos &&
         text.find('\x07') == std::string::npos && text.find("\xc2\x9b") == std::string::npos &&
         text.find("\xe2\x80\xae") == std::string::npos;
}

TEST(PrintingTest, NamesOfARunAreEscapedInEveryText) {
  ScratchDir scratch;
  RunStore store = std::move(*RunStore::Create(
      scratch.path() / "run", {{"cpu", kEvil}, {"arms", "[\"full\"]"}, {"planned", "4"}}));
  for (const char* arm : {"full", kEvil}) {
    EpisodeRecord record = MakeRecord({arm, kEvil, kEvil, 0});
    record.begin.warnings = {kEvil};
    ASSERT_TRUE(store.WriteEpisode(record).ok());
    EpisodeRecord error = MakeRecord({arm, kEvil, kEvil, 1});
    error.end.outcome = "error";
    error.end.error = kEvil;
    ASSERT_TRUE(store.WriteEpisode(error).ok());
  }
  const Result<Report> report = BuildReport(store);
  ASSERT_TRUE(report.ok()) << report.status().message();
  EXPECT_TRUE(IsQuiet(FormatTable(*report))) << FormatTable(*report);
  EXPECT_NE(FormatTable(*report).find("e\\x1b[2J\\x07"), std::string::npos);
  // A line end in a name must not begin a line.
  EXPECT_TRUE(IsQuiet(FormatEpisodes(*report)));
  const std::string lines = FormatEpisodes(*report);
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 4);

  std::vector<RunStore> runs;
  runs.push_back(std::move(*RunStore::Open(store.folder(), RunStore::Mode::kReadOnly)));
  const Result<Comparison> comparison = CompareRuns(runs, {});
  ASSERT_TRUE(comparison.ok()) << comparison.status().message();
  EXPECT_TRUE(IsQuiet(FormatComparison(*comparison, true)));
  EXPECT_TRUE(IsQuiet(FormatRunList(ListRuns(scratch.path()))));
}

TEST(PrintingTest, TextIsCutBetweenCharacters) {
  EXPECT_EQ(Shorten("abcdef", 6), "abcdef");
  EXPECT_EQ(Shorten("abcdefg", 6), "abcd..");
  const std::string long_name = "ab\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9";  // 10 bytes
  for (size_t width = 3; width < 10; ++width) {
    const std::string cut = Shorten(long_name, width);
    EXPECT_TRUE(IsUtf8(cut)) << width;
    EXPECT_LE(cut.size(), width);
  }
  EXPECT_EQ(Shorten(long_name, 7), "ab\xc3\xa9..");
}

TEST(PrintingTest, TitleGroupAndCellsOfATableAreEscaped) {
  TextTable table(kEvil, {"name"});
  table.Add(kEvil, {kEvil});
  EXPECT_TRUE(IsQuiet(table.Format())) << table.Format();
}

TEST(RunListTest, SaysHowFarARunHasCome) {
  ScratchDir scratch;
  const std::string arms = R"(["full","gated"])";
  {
    RunStore store = std::move(*RunStore::Create(
        scratch.path() / "deep/a",
        {{"config", "name: study\n"}, {"planned", "2"}, {"arms", arms}, {"started", "today"}}));
    ASSERT_TRUE(store.WriteEpisode(MakeRecord({"full", "t", "", 0})).ok());
    EXPECT_TRUE(ListRuns(scratch.path()).at(0).State().starts_with("running, 1 of 2, by process "));
  }
  EXPECT_EQ(ListRuns(scratch.path()).at(0).State(), "unfinished, 1 of 2");
  {
    RunStore store =
        std::move(*RunStore::Open(scratch.path() / "deep/a", RunStore::Mode::kReadWrite));
    EpisodeRecord error = MakeRecord({"full", "t", "", 1});
    error.end.outcome = "error";
    ASSERT_TRUE(store.WriteEpisode(error).ok());
  }
  std::filesystem::create_directories(scratch.path() / "b");
  FILE* file = fopen((scratch.path() / "b/run.db").c_str(), "w");
  ASSERT_NE(file, nullptr);
  fputs("this is a text and no database at all, though a long one", file);
  fclose(file);
  const std::vector<RunListing> runs = ListRuns(scratch.path());
  ASSERT_EQ(runs.size(), 2u);
  EXPECT_EQ(runs[0].folder, scratch.path() / "b");
  EXPECT_TRUE(runs[0].State().starts_with("unreadable: ")) << runs[0].State();
  EXPECT_EQ(runs[0].bytes, 56);
  EXPECT_EQ(runs[1].State(), "complete, 1 error");
  EXPECT_EQ(runs[1].name, "study");
  EXPECT_EQ(runs[1].arms, (std::vector<std::string>{"full", "gated"}));
  const std::string line = FormatRunList({runs[1]});
  EXPECT_NE(line.find(": complete, 1 error; study, arms full, gated; started today; "),
            std::string::npos)
      << line;
  EXPECT_EQ(RunListJson(runs)["rows"][1]["done"], 2);
}

}  // namespace
}  // namespace kvla
