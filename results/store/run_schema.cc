// SPDX-License-Identifier: Apache-2.0
#include "results/store/run_schema.h"

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <fstream>
#include <iterator>

#include "results/store/run_store.h"

namespace kvla {
namespace {

constexpr int64_t kApplicationId = 0x6b766c61;  // "kvla"
// The first schema; kMigrations bring it to today's. Both a new run and an old one go through them.
constexpr char kSchema[] = R"(
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE episodes(
  id INTEGER PRIMARY KEY,
  arm TEXT NOT NULL, task TEXT NOT NULL, delay TEXT NOT NULL, seed INTEGER NOT NULL,
  outcome TEXT NOT NULL, success INTEGER NOT NULL, progress REAL,
  decisive_reached INTEGER NOT NULL, decisive_right INTEGER NOT NULL, motor_ok INTEGER NOT NULL,
  steps INTEGER NOT NULL, state_hash TEXT NOT NULL,
  stages TEXT NOT NULL,    -- JSON: [{"name", "decisive", "reached"}]
  chance REAL, wall_s REAL, error TEXT NOT NULL,
  warnings TEXT NOT NULL,  -- JSON: ["text"]
  inferences INTEGER NOT NULL, trace_bytes INTEGER NOT NULL,
  UNIQUE(arm, task, delay, seed));
CREATE TABLE traces(
  episode INTEGER PRIMARY KEY REFERENCES episodes(id),
  level INTEGER NOT NULL,
  begin TEXT NOT NULL,       -- JSON
  inferences BLOB NOT NULL,  -- packed, see record_codec.h
  steps BLOB NOT NULL);
)";

// From each version to the next.
constexpr const char* kMigrations[] = {
    // 1 -> 2. Stages gain "step", which an older run does not know.
    R"(
ALTER TABLE episodes ADD COLUMN horizon_steps INTEGER NOT NULL DEFAULT 0;
ALTER TABLE episodes ADD COLUMN control_rate_hz REAL NOT NULL DEFAULT 20;
ALTER TABLE episodes ADD COLUMN video TEXT NOT NULL DEFAULT '';
ALTER TABLE episodes ADD COLUMN "end" TEXT NOT NULL DEFAULT '{}';   -- JSON
ALTER TABLE traces ADD COLUMN commands TEXT NOT NULL DEFAULT '[]';  -- JSON
UPDATE episodes SET
  horizon_steps = coalesce((SELECT json_extract(t.begin, '$.horizon_steps') FROM traces t
                            WHERE t.episode = episodes.id), 0),
  control_rate_hz = coalesce((SELECT json_extract(t.begin, '$.control_rate_hz') FROM traces t
                              WHERE t.episode = episodes.id), 20);
)",
    // 2 -> 3. Older episodes did not say.
    R"(
ALTER TABLE episodes ADD COLUMN onset_s REAL;
ALTER TABLE episodes ADD COLUMN wait_s REAL;
)"};
static_assert(std::size(kMigrations) == kRunSchemaVersion - 1);

// Of every schema; what came later follows.
constexpr char kColumns[] =
    "SELECT arm, task, delay, seed, outcome, success, progress, decisive_reached, decisive_right, "
    "motor_ok, steps, state_hash, stages, chance, wall_s, error, warnings, trace_bytes, ";
constexpr char kColumns2[] = "horizon_steps, control_rate_hz, video, \"end\"";
// The same of a run of schema 1 that is only read.
constexpr char kColumns1[] =
    "coalesce((SELECT json_extract(t.begin, '$.horizon_steps') FROM traces t "
    "WHERE t.episode = episodes.id), 0), "
    "coalesce((SELECT json_extract(t.begin, '$.control_rate_hz') FROM traces t "
    "WHERE t.episode = episodes.id), 20), '', '{}'";

}  // namespace

Result<int> RunVersion(const SqliteDb& db) {
  const Result<int64_t> tables = db.QueryInt("SELECT count(*) FROM sqlite_master");
  if (!tables.ok()) return tables.status();
  const Result<int64_t> application = db.QueryInt("PRAGMA application_id");
  if (!application.ok()) return application.status();
  const Result<int64_t> version = db.QueryInt("PRAGMA user_version");
  if (!version.ok()) return version.status();
  if (*tables == 0 && *application == 0 && *version == 0) return 0;
  if (*application != kApplicationId) {
    return BadInput(db.path().string() + " is another program's database, not a run of kvla");
  }
  if (*version < 1 || *version > kRunSchemaVersion) {
    return BadInput(fmt::format("{} has schema version {}; this program knows 1 to {} ({})",
                                db.path().string(), *version, kRunSchemaVersion,
                                *version > kRunSchemaVersion ? "it was written by a newer kvla"
                                                             : "it is not as kvla writes it"));
  }
  return static_cast<int>(*version);
}

Status MakeRunSchema(const SqliteDb& db) {
  const std::string sql = fmt::format("{} PRAGMA application_id={};", kSchema, kApplicationId);
  if (Status s = db.Execute(sql.c_str()); !s.ok()) return s;
  return MigrateRun(db, 1);
}

Status MigrateRun(const SqliteDb& db, int from) {
  for (int version = from; version < kRunSchemaVersion; ++version) {
    if (Status s = db.Execute(kMigrations[version - 1]); !s.ok()) return s;
  }
  return db.Execute(fmt::format("PRAGMA user_version={}", kRunSchemaVersion).c_str());
}

std::string EpisodeColumns(int version) {
  return fmt::format("{}{}{} FROM episodes ", kColumns, version == 1 ? kColumns1 : kColumns2,
                     version < 3 ? ", NULL, NULL" : ", onset_s, wait_s");
}

namespace {

// Without a log beside it the file must hold every page that its header counts.
Status CheckSizeOnce(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::array<unsigned char, 32> header{};
  if (!file.read(reinterpret_cast<char*>(header.data()), header.size())) {
    return {};  // SQLite judges
  }
  const uint64_t page =
      header[16] == 0 && header[17] == 1 ? 65536 : (uint64_t{header[16]} << 8 | header[17]);
  const uint64_t pages = uint64_t{header[28]} << 24 | uint64_t{header[29]} << 16 |
                         uint64_t{header[30]} << 8 | header[31];
  std::error_code error;
  const uint64_t size = std::filesystem::file_size(path, error);
  // Asked last: a writer that came meanwhile has left its log.
  const uint64_t log = std::filesystem::file_size(path.string() + "-wal", error);
  if ((!error && log > 0) || size >= page * pages) return {};
  return BadInput(fmt::format("{} is damaged or was cut short: it has {} bytes of {}",
                              path.string(), size, page * pages));
}

}  // namespace

Status CheckRunSize(const std::filesystem::path& path) {
  // A writer that leaves moves its log into the file and takes it away: a reader that looked at the
  // file before and at the log after that sees neither, but not twice.
  const Status first = CheckSizeOnce(path);
  return first.ok() ? first : CheckSizeOnce(path);
}

}  // namespace kvla
