// SPDX-License-Identifier: Apache-2.0
#include "results/store/run_store.h"

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <fstream>

#include "base/files.h"
#include "tests/results/record_util.h"

namespace kvla {
namespace {

namespace fs = std::filesystem;

EpisodeId Id(int64_t seed, const std::string& arm = "full") {
  return {arm, "recall_color", "long", seed};
}

void Sql(const fs::path& path, const std::string& sql) {
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &db), SQLITE_OK);
  char* error = nullptr;
  EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, &error), SQLITE_OK) << error;
  sqlite3_close(db);
}

class RunStoreTest : public testing::Test {
 protected:
  RunStoreTest() : dir_(scratch_.path() / "run"), db_(dir_ / kRunFile) {}

  RunStore Make(int episodes = 0) {
    Result<RunStore> store = RunStore::Create(dir_, {{"config_hash", "abc"}});
    EXPECT_TRUE(store.ok()) << store.status().message();
    for (int i = 0; i < episodes; ++i) {
      const Status status = store->WriteEpisode(MakeRecord(Id(i), 50), TraceLevel::kFull);
      EXPECT_TRUE(status.ok()) << status.message();
    }
    return std::move(*store);
  }

  std::string OpenError(RunStore::Mode mode = RunStore::Mode::kReadOnly) {
    const Result<RunStore> store = RunStore::Open(dir_, mode);
    EXPECT_FALSE(store.ok());
    EXPECT_EQ(store.status().code(), StatusCode::kBadInput) << store.status().message();
    EXPECT_NE(store.status().message().find(dir_.string()), std::string::npos);
    return store.status().message();
  }

  ScratchDir scratch_;
  fs::path dir_, db_;
};

TEST_F(RunStoreTest, GivesBackWhatWasWritten) {
  RunStore store = Make();
  EpisodeRecord error = MakeRecord(Id(2), 3, false);
  error.end.outcome = "error";
  error.end.error = "diverged at step 12";
  error.begin.warnings = {"a \"quoted\" warning"};
  ASSERT_TRUE(store.WriteEpisode(error).ok());
  EpisodeRecord full = MakeRecord(Id(1, "gated"), 20);
  full.end.comparable = false;
  full.commands = {{3, "pause", "", {}}};
  ASSERT_TRUE(store.WriteEpisode(full, TraceLevel::kFull).ok());
  ASSERT_TRUE(store.PutMeta("device", "cpu").ok());
  ASSERT_TRUE(store.SetVideo(Id(1, "gated"), "videos/x.mp4").ok());

  // A second connection sees it at once.
  const Result<RunStore> reader = RunStore::Open(dir_, RunStore::Mode::kReadOnly);
  ASSERT_TRUE(reader.ok()) << reader.status().message();
  EXPECT_EQ(*reader->Meta(), (RunMeta{{"config_hash", "abc"}, {"device", "cpu"}}));
  EXPECT_EQ(*reader->Done(), (std::set<EpisodeId>{Id(2), Id(1, "gated")}));
  const auto rows = reader->Episodes();
  ASSERT_TRUE(rows.ok()) << rows.status().message();
  ASSERT_EQ(rows->size(), 2u);
  const EpisodeRow& row = rows->at(0);
  EXPECT_EQ(row.id, Id(2));  // sorted: full before gated
  EXPECT_TRUE(row.is_error());
  EXPECT_EQ(row.error, "diverged at step 12");
  EXPECT_EQ(row.warnings, error.begin.warnings);
  EXPECT_EQ(row.progress, 0.5);
  EXPECT_EQ(row.stages[1].name, "press");
  EXPECT_TRUE(row.stages[1].decisive);
  EXPECT_EQ(row.stages_reached, (std::vector<bool>{true, false}));
  EXPECT_EQ(row.chance, 0.25);
  EXPECT_GT(rows->at(1).trace_bytes, row.trace_bytes);

  const auto episode = reader->Episode(Id(1, "gated"));
  ASSERT_TRUE(episode.ok()) << episode.status().message();
  EXPECT_EQ(episode->begin.instruction, full.begin.instruction);
  EXPECT_EQ(episode->begin.run_seed, full.begin.run_seed);
  EXPECT_EQ(episode->end.state_hash, full.end.state_hash);
  EXPECT_EQ(episode->inferences.size(), 20u);
  EXPECT_EQ(episode->steps.at(79).state, full.steps[79].state);
  EXPECT_EQ(reader->Inferences(Id(2))->size(), 3u);
  EXPECT_EQ(episode->commands.size(), 1u);
  EXPECT_FALSE(episode->end.comparable);
  EXPECT_FALSE(rows->at(1).comparable);
  // Written at kSummary: actions, no states.
  ASSERT_EQ(reader->Episode(Id(2))->steps.size(), 12u);
  EXPECT_EQ(reader->Episode(Id(2))->steps[5].action, error.steps[5].action);
  EXPECT_TRUE(reader->Episode(Id(2))->steps[5].state.empty());
  EXPECT_EQ(row.stage_steps, (std::vector<int>{-1, -1}));
  EXPECT_EQ(rows->at(1).stage_steps, (std::vector<int>{13, -1}));
  EXPECT_EQ(rows->at(1).horizon_steps, 80);
  EXPECT_EQ(rows->at(1).video, "videos/x.mp4");
  EXPECT_EQ(reader->Inferences(Id(99)).status().code(), StatusCode::kBadInput);
  EXPECT_EQ(reader->Episode(Id(99)).status().code(), StatusCode::kBadInput);
}

TEST_F(RunStoreTest, AnEpisodeIsWrittenOnce) {
  RunStore store = Make(1);
  EXPECT_EQ(store.WriteEpisode(MakeRecord(Id(0))).code(), StatusCode::kInternal);
  EXPECT_EQ(store.Inferences(Id(0))->size(), 50u);
  EXPECT_TRUE(store.WriteEpisode(MakeRecord(Id(1))).ok());  // the failure left no transaction open
  Result<RunStore> reader = RunStore::Open(dir_, RunStore::Mode::kReadOnly);
  EXPECT_FALSE(reader->WriteEpisode(MakeRecord(Id(5))).ok());
}

TEST_F(RunStoreTest, KilledItKeepsEveryEpisodeItReturnedFrom) {
  for (int round = 0; round < 3; ++round) {
    int pipe_fds[2];
    ASSERT_EQ(pipe(pipe_fds), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      Result<RunStore> store = RunStore::OpenOrCreate(dir_, {{"config_hash", "abc"}}, {});
      if (!store.ok()) _exit(1);
      for (int i = 0;; ++i) {
        if (!store->WriteEpisode(MakeRecord(Id(round * 100000 + i), 30)).ok()) _exit(1);
        const char byte = 1;
        if (write(pipe_fds[1], &byte, 1) != 1) _exit(1);
      }
    }
    close(pipe_fds[1]);
    char bytes[20];
    int written = 0;
    while (written < 20) {
      const ssize_t n = read(pipe_fds[0], bytes, sizeof(bytes));
      ASSERT_GT(n, 0);
      written += static_cast<int>(n);
    }
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status));
    close(pipe_fds[0]);

    const Result<RunStore> store = RunStore::Open(dir_, RunStore::Mode::kReadWrite);
    ASSERT_TRUE(store.ok()) << store.status().message();
    const auto done = store->Done();
    ASSERT_TRUE(done.ok());
    for (int i = 0; i < written; ++i) EXPECT_TRUE(done->contains(Id(round * 100000 + i))) << i;
    for (const EpisodeId& id : *done) EXPECT_EQ(store->Inferences(id)->size(), 30u);
  }
}

TEST_F(RunStoreTest, WithoutClosingItReopens) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    Result<RunStore> store = RunStore::Create(dir_, {});
    const bool ok = store.ok() && store->WriteEpisode(MakeRecord(Id(0))).ok();
    _exit(ok ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(RunStore::Open(dir_, RunStore::Mode::kReadOnly)->Done()->size(), 1u);
  EXPECT_EQ(RunStore::Open(dir_, RunStore::Mode::kReadWrite)->Done()->size(), 1u);
}

TEST_F(RunStoreTest, OneWriterAtATime) {
  RunStore store = Make(1);
  EXPECT_NE(OpenError(RunStore::Mode::kReadWrite).find("another kvla process is writing"),
            std::string::npos);
  EXPECT_TRUE(RunStore::Open(dir_, RunStore::Mode::kReadOnly).ok());
}

TEST_F(RunStoreTest, ResumesOnlyTheSameRun) {
  const RunMeta identity = {{"config",
                             "seed: 1\narms:\n  - name: gated\n    cache:\n"
                             "      threshold: 0.5\n"},
                            {"config_hash", "a"},
                            {"checkpoint_hash", "c1"}};
  { ASSERT_TRUE(RunStore::OpenOrCreate(dir_, identity, {{"started", "now"}}).ok()); }
  {
    const Result<RunStore> again = RunStore::OpenOrCreate(dir_, identity, {{"started", "later"}});
    ASSERT_TRUE(again.ok()) << again.status().message();
    EXPECT_EQ(again->Meta()->at("started"), "now");
  }
  RunMeta other = identity;
  other["config"] = "seed: 1\narms:\n  - name: gated\n    cache:\n      threshold: 0.6\n";
  other["config_hash"] = "b";
  other["checkpoint_hash"] = "c2";
  const Status status = RunStore::OpenOrCreate(dir_, other, {}).status();
  EXPECT_EQ(status.code(), StatusCode::kBadInput);
  EXPECT_EQ(status.message(), dir_.string() +
                                  " holds another run:\n"
                                  "  checkpoint_hash is 'c1' in the run, 'c2' now\n"
                                  "  arms.gated.cache.threshold is '0.5' in the run, '0.6' now\n"
                                  "Give another --out, or the settings of that run.");
  other = identity;
  other["config_hash"] = "b";
  EXPECT_NE(RunStore::OpenOrCreate(dir_, other, {})
                .status()
                .message()
                .find("config_hash is 'a' in the run, 'b' now"),
            std::string::npos);
  EXPECT_EQ(RunStore::Create(dir_, {}).status().code(), StatusCode::kBadInput);
}

TEST_F(RunStoreTest, OpeningSomethingElseNamesThePath) {
  EXPECT_NE(OpenError().find("no run in"), std::string::npos);
  fs::create_directories(dir_);
  ASSERT_TRUE(WriteFileAtomic(db_, "").ok());
  EXPECT_NE(OpenError().find("is empty"), std::string::npos);
  ASSERT_TRUE(WriteFileAtomic(db_, "just some text, long enough to be no header at all" +
                                       std::string(5000, 'x'))
                  .ok());
  EXPECT_NE(OpenError().find("is not an SQLite database"), std::string::npos);
  EXPECT_NE(OpenError(RunStore::Mode::kReadWrite).find("is not an SQLite database"),
            std::string::npos);
  EXPECT_EQ(RunStore::Create(dir_, {}).status().code(), StatusCode::kBadInput);
  fs::remove(db_);
  Sql(db_, "CREATE TABLE x(y)");
  EXPECT_NE(OpenError().find("another program's database"), std::string::npos);
  EXPECT_EQ(RunStore::OpenOrCreate(dir_, {}, {}).status().code(), StatusCode::kBadInput);
}

TEST_F(RunStoreTest, OtherSchemaVersions) {
  { Make(1); }
  Sql(db_, "PRAGMA user_version=4");
  const std::string before = *ReadFile(db_);
  EXPECT_NE(OpenError().find("has schema version 4; "
                             "this program knows 1 to 3 (it was written by a newer kvla)"),
            std::string::npos);
  OpenError(RunStore::Mode::kReadWrite);
  EXPECT_EQ(*ReadFile(db_), before);
  Sql(db_, "PRAGMA user_version=2; DROP TABLE traces");
  const Result<RunStore> store = RunStore::Open(dir_, RunStore::Mode::kReadOnly);
  ASSERT_TRUE(store.ok());
  EXPECT_EQ(store->Inferences(Id(0)).status().code(), StatusCode::kBadInput);
}

// run_v1.sqlite was written by kvla 0.1.0 at commit 23fdced: pick_place/short, arms full and
// window, one episode each at trace level summary, 43 control steps of at most 160.
TEST_F(RunStoreTest, ARunOfSchemaOneIsReadAsItIsAndMigratedWhenWritten) {
  fs::create_directories(dir_);
  fs::copy_file(KVLA_ASSET_ROOT "/tests/results/data/run_v1.sqlite", db_);
  const std::string before = *ReadFile(db_);
  const auto check = [&](const RunStore& store) {
    const auto rows = store.Episodes();
    ASSERT_TRUE(rows.ok()) << rows.status().message();
    ASSERT_EQ(rows->size(), 2u);
    for (const EpisodeRow& row : *rows) {
      EXPECT_EQ(row.steps, 43);
      EXPECT_EQ(row.horizon_steps, 160);
      EXPECT_EQ(row.control_rate_hz, 20);
      EXPECT_EQ(row.stage_steps.at(0), -1);
      EXPECT_EQ(row.video, "");
      EXPECT_TRUE(row.comparable);
      EXPECT_FALSE(row.onset_s.has_value());
      const auto episode = store.Episode(row.id);
      ASSERT_TRUE(episode.ok()) << episode.status().message();
      EXPECT_EQ(episode->inferences.size(), 11u);
      EXPECT_TRUE(episode->end.success);
      EXPECT_EQ(episode->end.state_hash, row.state_hash);
      EXPECT_TRUE(episode->commands.empty());
    }
  };
  {
    const Result<RunStore> reader = RunStore::Open(dir_, RunStore::Mode::kReadOnly);
    ASSERT_TRUE(reader.ok()) << reader.status().message();
    EXPECT_EQ(reader->schema_version(), 1);
    check(*reader);
  }
  EXPECT_EQ(*ReadFile(db_), before);
  {
    Result<RunStore> writer = RunStore::Open(dir_, RunStore::Mode::kReadWrite);
    ASSERT_TRUE(writer.ok()) << writer.status().message();
    EXPECT_EQ(writer->schema_version(), kRunSchemaVersion);
    check(*writer);
    EXPECT_TRUE(writer->WriteEpisode(MakeRecord(Id(3))).ok());
  }
  const Result<RunStore> again = RunStore::Open(dir_, RunStore::Mode::kReadOnly);
  EXPECT_EQ(again->schema_version(), kRunSchemaVersion);
  EXPECT_EQ(again->Done()->size(), 3u);
  EXPECT_EQ(again->Meta()->at("device"), "cpu");
}

TEST_F(RunStoreTest, ARunOfSchemaTwoDoesNotSayWhenCuesWereShown) {
  EpisodeRecord record = MakeRecord(Id(0));
  record.begin.onset_s = 4.25;
  {
    RunStore store = Make();
    ASSERT_TRUE(store.WriteEpisode(record).ok());
    EXPECT_EQ(store.Episodes()->at(0).onset_s, 4.25);
    EXPECT_FALSE(store.Episodes()->at(0).wait_s.has_value());
  }
  Sql(db_,
      "ALTER TABLE episodes DROP COLUMN onset_s; ALTER TABLE episodes DROP COLUMN wait_s; "
      "PRAGMA user_version=2");
  {
    const Result<RunStore> reader = RunStore::Open(dir_, RunStore::Mode::kReadOnly);
    ASSERT_TRUE(reader.ok()) << reader.status().message();
    EXPECT_FALSE(reader->Episodes()->at(0).onset_s.has_value());
  }
  Result<RunStore> writer = RunStore::Open(dir_, RunStore::Mode::kReadWrite);
  ASSERT_TRUE(writer.ok()) << writer.status().message();
  EXPECT_FALSE(writer->Episodes()->at(0).onset_s.has_value());
  record.begin.id = record.end.id = Id(1);
  ASSERT_TRUE(writer->WriteEpisode(record).ok());
  EXPECT_EQ(writer->Episodes()->at(1).onset_s, 4.25);
}

// A writer that dies in the middle of a migration leaves the old run.
TEST_F(RunStoreTest, AMigrationThatFailsLosesNothing) {
  fs::create_directories(dir_);
  fs::copy_file(KVLA_ASSET_ROOT "/tests/results/data/run_v1.sqlite", db_);
  Sql(db_, "ALTER TABLE traces ADD COLUMN commands TEXT");  // in the migration's way
  EXPECT_FALSE(RunStore::Open(dir_, RunStore::Mode::kReadWrite).ok());
  const Result<RunStore> reader = RunStore::Open(dir_, RunStore::Mode::kReadOnly);
  ASSERT_TRUE(reader.ok());
  EXPECT_EQ(reader->schema_version(), 1);
  EXPECT_EQ(reader->Episodes()->size(), 2u);
}

TEST_F(RunStoreTest, DropsLaterSeeds) {
  RunStore store = Make(6);
  fs::create_directories(dir_ / "videos");
  for (const char* name : {"videos/kept.mp4", "videos/gone.mp4", "../not_its_own.mp4"}) {
    ASSERT_TRUE(WriteFileAtomic(dir_ / name, "film").ok());
  }
  ASSERT_TRUE(store.SetVideo(Id(3), "videos/kept.mp4").ok());
  ASSERT_TRUE(store.SetVideo(Id(4), "videos/gone.mp4").ok());
  ASSERT_TRUE(store.SetVideo(Id(5), "../not_its_own.mp4").ok());
  EXPECT_EQ(*store.DropFrom(4), 2);
  EXPECT_TRUE(fs::exists(dir_ / "videos/kept.mp4"));
  EXPECT_FALSE(fs::exists(dir_ / "videos/gone.mp4"));
  EXPECT_TRUE(fs::exists(dir_ / "../not_its_own.mp4"));
  EXPECT_EQ(*store.DropFrom(4), 0);
  EXPECT_EQ(store.Done()->size(), 4u);
  EXPECT_TRUE(store.WriteEpisode(MakeRecord(Id(5))).ok());
}

// A reader in the middle of its work neither blocks a writer, which would be told that another
// program holds the file, nor sees half of what it writes.
TEST_F(RunStoreTest, AReaderDoesNotDisturbTheWriter) {
  RunStore store = Make(3);
  const Result<RunStore> reader = RunStore::Open(dir_, RunStore::Mode::kReadOnly);
  int seen = 0;
  const Status status = reader->ForEachInferences([&](const EpisodeId&, const auto& events) {
    EXPECT_EQ(events.size(), 50u);
    ++seen;
    for (int i = 0; i < 10; ++i) {
      const Status written = store.WriteEpisode(MakeRecord(Id(100 * seen + i)));
      EXPECT_TRUE(written.ok()) << written.message();
    }
  });
  EXPECT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(seen, 3);  // those that were there when it began
  EXPECT_EQ(reader->Done()->size(), 33u);
}

TEST_F(RunStoreTest, TruncationAndDamageAreErrors) {
  { Make(20); }
  const std::string whole = *ReadFile(db_);
  ASSERT_GT(whole.size(), size_t{100000});
  for (const double part : {0.01, 0.3, 0.5, 0.9, 0.999}) {
    fs::resize_file(db_, static_cast<uintmax_t>(part * static_cast<double>(whole.size())));
    const std::string message = OpenError();
    EXPECT_TRUE(message.find("cut short") != std::string::npos ||
                message.find("not an SQLite database") != std::string::npos)
        << message;
    const std::string cut = *ReadFile(db_);
    OpenError(RunStore::Mode::kReadWrite);
    EXPECT_EQ(*ReadFile(db_), cut);  // an attempt to write made it no worse
    ASSERT_TRUE(WriteFileAtomic(db_, whole).ok());
  }
  // Bytes overwritten in the middle: an error or the value, never a crash.
  Rng rng(3);
  for (int round = 0; round < 60; ++round) {
    std::string bad = whole;
    for (int i = 0; i < 20; ++i) {
      bad[static_cast<size_t>(rng.UniformInt(static_cast<int>(bad.size())))] =
          static_cast<char>(rng.UniformInt(256));
    }
    ASSERT_TRUE(WriteFileAtomic(db_, bad).ok());
    const Result<RunStore> store = RunStore::Open(dir_, RunStore::Mode::kReadOnly);
    if (!store.ok()) continue;
    for (int i = 0; i < 20; ++i) static_cast<void>(store->Episode(Id(i)));
    static_cast<void>(store->Episodes());
  }
}

// SQLite would go on writing beside a lost page until it meets it.
TEST_F(RunStoreTest, ADamagedRunIsNotGoneOnWith) {
  { Make(20); }
  std::string bytes = *ReadFile(db_);
  constexpr size_t kPage = 4096;
  std::fill(bytes.begin() + 9 * kPage, bytes.begin() + 12 * kPage, '\xee');
  ASSERT_TRUE(WriteFileAtomic(db_, bytes).ok());
  const std::string message = OpenError(RunStore::Mode::kReadWrite);
  EXPECT_NE(message.find("nothing can be added"), std::string::npos) << message;
  EXPECT_NE(message.find(db_.string()), std::string::npos) << message;
  EXPECT_EQ(*ReadFile(db_), bytes);
}

TEST_F(RunStoreTest, AFolderThatCannotBeWritten) {
  EXPECT_EQ(RunStore::Create("/proc/run", {}).status().code(), StatusCode::kBadInput);
  ASSERT_TRUE(WriteFileAtomic(scratch_.path() / "file", "x").ok());
  const Status status = RunStore::Create(scratch_.path() / "file" / "run", {}).status();
  EXPECT_EQ(status.code(), StatusCode::kBadInput);
  EXPECT_NE(status.message().find("file"), std::string::npos);
}

TEST(TraceLevels, AreNamed) {
  EXPECT_EQ(*ParseTraceLevel("full"), TraceLevel::kFull);
  EXPECT_EQ(ParseTraceLevel("sumary").status().message(),
            "no trace level 'sumary': one of [off, summary, full]; did you mean 'summary'?");
}

}  // namespace
}  // namespace kvla
