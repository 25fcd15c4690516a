// SPDX-License-Identifier: Apache-2.0
#include "results/store/run_store.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "base/config_differences.h"
#include "base/files.h"
#include "base/json_text.h"
#include "base/text.h"
#include "base/writer_lock.h"
#include "results/store/run_schema.h"
#include "results/store/sqlite_db.h"
#include "results/trace/record_codec.h"
#include "results/video/video_rule.h"

namespace kvla {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// SQLite would wait for a pipe. The file is not opened for this: closing it again would end the
// locks of other connections of this process.
Status CheckKind(const fs::path& database) {
  if (!kvla::Exists(database) || IsFile(database)) return {};
  return BadInput(database.string() + " is a folder, pipe or device; a file is wanted");
}

std::optional<double> Known(double value) {
  return std::isnan(value) ? std::nullopt : std::optional(value);
}

Result<EpisodeRow> ReadRow(const SqliteStatement& s) {
  EpisodeRow row;
  row.id = {s.Text(0), s.Text(1), s.Text(2), s.Int(3)};
  row.outcome = s.Text(4);
  row.success = s.Bool(5);
  row.progress = s.Double(6);
  row.decisive_reached = s.Bool(7);
  row.decisive_right = s.Bool(8);
  row.motor_ok = s.Bool(9);
  row.steps = static_cast<int>(s.Int(10));
  row.state_hash = s.Text(11);
  row.chance = s.Double(13);
  row.wall_s = s.Double(14);
  row.error = s.Text(15);
  row.trace_bytes = s.Int(17);
  row.horizon_steps = static_cast<int>(s.Int(18));
  row.control_rate_hz = s.Double(19);
  row.video = s.Text(20);
  row.onset_s = Known(s.Double(22));
  row.wait_s = Known(s.Double(23));
  try {
    for (const json& stage : json::parse(s.Text(12))) {
      row.stages.push_back({stage.at("name").get<std::string>(), stage.at("decisive").get<bool>()});
      row.stages_reached.push_back(stage.at("reached").get<bool>());
      row.stage_steps.push_back(stage.value("step", -1));
    }
    row.warnings = json::parse(s.Text(16)).get<std::vector<std::string>>();
    row.comparable = json::parse(s.Text(21)).value("comparable", true);
  } catch (const std::exception& e) {
    return BadInput(fmt::format("malformed row of {}: {}", ToString(row.id), e.what()));
  }
  return row;
}

// The end of an episode of schema 1, which kept it in columns alone.
EpisodeEnd EndOf(const EpisodeRow& row) {
  EpisodeEnd end;
  end.id = row.id;
  end.outcome = row.outcome;
  end.success = row.success;
  end.progress = row.progress;
  end.decisive_reached = row.decisive_reached;
  end.decisive_right = row.decisive_right;
  end.motor_ok = row.motor_ok;
  end.steps = row.steps;
  end.state_hash = row.state_hash;
  end.stages = row.stages_reached;
  end.wall_s = row.wall_s;
  end.error = row.error;
  return end;
}

// Control steps until the stage was first reached; -1: never, or the steps were not traced.
int StageStep(const EpisodeRecord& record, size_t stage) {
  for (const StepEvent& step : record.steps) {
    if (stage < step.stages.size() && step.stages[stage]) return step.control_step + 1;
  }
  return -1;
}

SqliteStatement& BindId(SqliteStatement& statement, const EpisodeId& id) {
  return statement.Bind(id.arm).Bind(id.task).Bind(id.delay).Bind(id.seed);
}

}  // namespace

struct RunStore::Impl {
  fs::path path;
  Mode mode;
  int version = 0;                 // of the schema in the file
  std::optional<WriterLock> lock;  // of kReadWrite; outlives the database below
  std::optional<SqliteDb> db;

  // The folder's database, with the writer's lock in kReadWrite. `fresh` says whether it is blank.
  static Result<std::unique_ptr<Impl>> Load(const fs::path& dir, Mode mode, bool create,
                                            bool* fresh) {
    auto impl = std::make_unique<Impl>();
    impl->path = dir / kRunFile;
    impl->mode = mode;
    std::error_code error;
    if (!create && !kvla::Exists(impl->path)) {
      return BadInput(fmt::format("no run in {}: {} is missing", dir.string(), kRunFile));
    }
    if (Status s = CheckKind(impl->path); !s.ok()) return s;
    if (create) {
      if (Status s = CheckFolderWritable(dir); !s.ok()) return s;
    }
    if (mode == Mode::kReadWrite) {
      Result<WriterLock> lock = WriterLock::OfFolder(dir);
      if (!lock.ok()) return lock.status();
      impl->lock.emplace(*std::move(lock));
    }
    const auto sqlite_mode = create                     ? SqliteDb::Mode::kCreate
                             : mode == Mode::kReadWrite ? SqliteDb::Mode::kReadWrite
                                                        : SqliteDb::Mode::kReadOnly;
    Result<SqliteDb> db = SqliteDb::Open(impl->path, sqlite_mode);
    if (!db.ok()) return db.status();
    impl->db.emplace(std::move(*db));
    const Result<int> version = RunVersion(*impl->db);
    if (!version.ok()) return version.status();
    impl->version = *version;
    *fresh = *version == 0;
    if (Status s = CheckRunSize(impl->path); !s.ok()) return s;
    if (*fresh && !create) {
      return BadInput(fmt::format("no run in {}: {} is empty", dir.string(), kRunFile));
    }
    if (mode == Mode::kReadWrite) {
      if (Status s = impl->UseWal(); !s.ok()) return s;
      if (Status s = impl->db->Execute("PRAGMA synchronous=FULL"); !s.ok()) return s;
      if (Status s = *fresh ? Status() : impl->CheckPages(); !s.ok()) return s;
      if (Status s = *fresh ? Status() : impl->Migrate(); !s.ok()) return s;
    }
    return impl;
  }

  // A damaged file is not written to: what is still whole in it would be lost too.
  Status CheckPages() const {
    SqliteStatement check(*db, "PRAGMA quick_check(1)");
    const Result<bool> row = check.Step();
    if (!row.ok()) return row.status();
    if (*row && check.Text(0) == "ok") return {};
    return BadInput(fmt::format("{} is damaged ({}): nothing can be added to it", path.string(),
                                check.Text(0)));
  }

  Status UseWal() const {
    SqliteStatement wal(*db, "PRAGMA journal_mode=WAL");
    const Result<bool> row = wal.Step();
    if (!row.ok()) return row.status();
    if (wal.Text(0) == "wal") return {};
    return IoError(path.string() + ": this file system cannot hold a WAL database");
  }

  Status MakeSchema(const RunMeta& meta) {
    SqliteTransaction transaction(*db);
    if (Status s = transaction.Begin(); !s.ok()) return s;
    if (Status s = MakeRunSchema(*db); !s.ok()) return s;
    for (const auto& [key, value] : meta) {
      if (Status s = PutMeta(key, value); !s.ok()) return s;
    }
    version = kRunSchemaVersion;
    return transaction.Commit();
  }

  Status Migrate() {
    if (version == kRunSchemaVersion) return {};
    SqliteTransaction transaction(*db);
    if (Status s = transaction.Begin(); !s.ok()) return s;
    if (Status s = MigrateRun(*db, version); !s.ok()) return s;
    version = kRunSchemaVersion;
    return transaction.Commit();
  }

  Status PutMeta(const std::string& key, const std::string& value) const {
    SqliteStatement statement(*db, "INSERT OR REPLACE INTO meta VALUES(?, ?)");
    return statement.Bind(key).Bind(value).Run();
  }
};

RunStore::RunStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
RunStore::RunStore(RunStore&&) noexcept = default;
RunStore& RunStore::operator=(RunStore&&) noexcept = default;
RunStore::~RunStore() = default;

const fs::path& RunStore::path() const { return impl_->path; }
int RunStore::schema_version() const { return impl_->version; }

Result<RunStore> RunStore::Create(const fs::path& dir, const RunMeta& meta) {
  bool fresh = false;
  auto impl = Impl::Load(dir, Mode::kReadWrite, true, &fresh);
  if (!impl.ok()) return impl.status();
  if (!fresh) return BadInput(dir.string() + " holds a run already");
  if (Status s = (*impl)->MakeSchema(meta); !s.ok()) return s;
  return RunStore(std::move(*impl));
}

Result<RunStore> RunStore::Open(const fs::path& dir, Mode mode) {
  bool fresh = false;
  auto impl = Impl::Load(dir, mode, false, &fresh);
  if (!impl.ok()) return impl.status();
  return RunStore(std::move(*impl));
}

Result<bool> RunStore::Exists(const fs::path& dir) {
  if (!kvla::Exists(dir / kRunFile)) return false;
  if (Status s = CheckKind(dir / kRunFile); !s.ok()) return s;
  const Result<SqliteDb> db = SqliteDb::Open(dir / kRunFile, SqliteDb::Mode::kReadOnly);
  if (!db.ok()) return db.status();
  const Result<int> version = RunVersion(*db);
  if (!version.ok()) return version.status();
  return *version != 0;
}

Result<RunStore> RunStore::OpenOrCreate(const fs::path& dir, const RunMeta& identity,
                                        const RunMeta& facts) {
  bool fresh = false;
  auto impl = Impl::Load(dir, Mode::kReadWrite, true, &fresh);
  if (!impl.ok()) return impl.status();
  RunStore store(std::move(*impl));
  if (fresh) {
    RunMeta meta = identity;
    meta.insert(facts.begin(), facts.end());
    if (Status s = store.impl_->MakeSchema(meta); !s.ok()) return s;
  } else if (Status s = store.CheckMeta(identity); !s.ok()) {
    return s;
  }
  return store;
}

Status RunStore::CheckMeta(const RunMeta& expected) const {
  const Result<RunMeta> meta = Meta();
  if (!meta.ok()) return meta.status();
  std::vector<std::string> differences;
  bool config_named = false;
  for (const auto& [key, now] : expected) {  // "config" comes before "config_hash"
    const auto found = meta->find(key);
    const std::string was = found == meta->end() ? "" : found->second;
    if (was == now) continue;
    if (key == "config") {
      config_named = true;
      for (std::string& d : ConfigDifferences(was, now, "the run")) {
        differences.push_back(std::move(d));
      }
    } else if (key != "config_hash" || !config_named) {
      differences.push_back(fmt::format("{} is '{}' in the run, '{}' now", key, was, now));
    }
  }
  if (differences.empty()) return {};
  return BadInput(
      fmt::format("{} holds another run:\n  {}\nGive another --out, "
                  "or the settings of that run.",
                  path().parent_path().string(), ListDifferences(differences)));
}

Status RunStore::PutMeta(const std::string& key, const std::string& value) {
  return impl_->PutMeta(key, value);
}

Result<RunMeta> RunStore::Meta() const {
  SqliteStatement statement(*impl_->db, "SELECT key, value FROM meta");
  RunMeta meta;
  for (;;) {
    const Result<bool> row = statement.Step();
    if (!row.ok()) return row.status();
    if (!*row) return meta;
    meta[statement.Text(0)] = statement.Text(1);
  }
}

Status RunStore::SetVideo(const EpisodeId& id, const std::string& file) {
  if (impl_->mode != Mode::kReadWrite) return InternalError(path().string() + " is read-only");
  SqliteStatement statement(
      *impl_->db, "UPDATE episodes SET video=? WHERE arm=? AND task=? AND delay=? AND seed=?");
  return BindId(statement.Bind(file), id).Run();
}

Result<int> RunStore::DropFrom(int64_t seed) { return Drop("seed >= ?", seed); }

Result<int> RunStore::DropErrors() { return Drop("outcome = 'error' AND seed >= ?", INT64_MIN); }

// `which` takes a seed.
Result<int> RunStore::Drop(const std::string& which, int64_t seed) {
  if (impl_->mode != Mode::kReadWrite) return InternalError(path().string() + " is read-only");
  SqliteTransaction transaction(*impl_->db);
  if (Status s = transaction.Begin(); !s.ok()) return s;
  std::vector<std::string> files;
  {
    const std::string sql = "SELECT video FROM episodes WHERE video != '' AND " + which;
    SqliteStatement videos(*impl_->db, sql.c_str());
    videos.Bind(seed);
    for (;;) {
      const Result<bool> row = videos.Step();
      if (!row.ok()) return row.status();
      if (!*row) break;
      files.push_back(videos.Text(0));
    }
  }
  for (const std::string& sql :
       {"DELETE FROM traces WHERE episode IN (SELECT id FROM episodes WHERE " + which + ")",
        "DELETE FROM episodes WHERE " + which}) {
    SqliteStatement drop(*impl_->db, sql.c_str());
    if (Status s = drop.Bind(seed).Run(); !s.ok()) return s;
  }
  const Result<int64_t> dropped = impl_->db->QueryInt("SELECT changes()");
  if (!dropped.ok()) return dropped.status();
  if (Status s = transaction.Commit(); !s.ok()) return s;
  std::error_code error;  // a file that stays is only not used
  for (const std::string& name : files) {
    const Result<fs::path> file = VideoPath(folder(), name);
    if (file.ok()) fs::remove(*file, error);
  }
  return static_cast<int>(*dropped);
}

Status RunStore::WriteEpisode(const EpisodeRecord& record, TraceLevel level) {
  if (impl_->mode != Mode::kReadWrite) return InternalError(path().string() + " is read-only");
  const EpisodeBegin& begin = record.begin;
  const EpisodeEnd& end = record.end;
  const auto inferences = PackInferences(record.inferences, level);
  const auto steps = PackSteps(record.steps, level);
  json stages = json::array();
  for (size_t i = 0; i < begin.stages.size(); ++i) {
    stages.push_back({{"name", begin.stages[i].name},
                      {"decisive", begin.stages[i].decisive},
                      {"reached", i < end.stages.size() && end.stages[i]},
                      {"step", StageStep(record, i)}});
  }

  SqliteTransaction transaction(*impl_->db);
  if (Status s = transaction.Begin(); !s.ok()) return s;
  {
    SqliteStatement exists(*impl_->db,
                           "SELECT 1 FROM episodes WHERE arm=? AND task=? AND delay=? AND seed=?");
    const Result<bool> row = BindId(exists, begin.id).Step();
    if (!row.ok()) return row.status();
    if (*row) return InternalError(ToString(begin.id) + " is recorded already");
  }
  SqliteStatement episode(
      *impl_->db,
      "INSERT INTO episodes(arm, task, delay, seed, outcome, success, progress, "
      "decisive_reached, decisive_right, motor_ok, steps, state_hash, stages, "
      "chance, wall_s, error, warnings, inferences, trace_bytes, horizon_steps, control_rate_hz, "
      "video, \"end\", onset_s, wait_s) "
      "VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");
  BindId(episode, begin.id).Bind(end.outcome).Bind(int64_t{end.success}).Bind(end.progress);
  episode.Bind(int64_t{end.decisive_reached}).Bind(int64_t{end.decisive_right});
  episode.Bind(int64_t{end.motor_ok}).Bind(int64_t{end.steps}).Bind(end.state_hash);
  episode.Bind(JsonText(stages)).Bind(begin.chance).Bind(end.wall_s).Bind(end.error);
  episode.Bind(JsonText(json(begin.warnings))).Bind(static_cast<int64_t>(record.inferences.size()));
  episode.Bind(static_cast<int64_t>(inferences.size() + steps.size()));
  episode.Bind(int64_t{begin.horizon_steps}).Bind(begin.control_rate_hz).Bind(record.video);
  episode.Bind(JsonText(EndToJson(end)));
  episode.Bind(begin.onset_s.value_or(NAN)).Bind(begin.wait_s.value_or(NAN));
  if (Status s = episode.Run(); !s.ok()) return s;
  SqliteStatement trace(*impl_->db,
                        "INSERT INTO traces VALUES(last_insert_rowid(), ?, ?, ?, ?, ?)");
  trace.Bind(static_cast<int64_t>(level)).Bind(JsonText(BeginToJson(begin)));
  trace.BindBlob(inferences).BindBlob(steps).Bind(JsonText(CommandsToJson(record.commands)));
  if (Status s = trace.Run(); !s.ok()) return s;
  return transaction.Commit();
}

Result<std::vector<EpisodeRow>> RunStore::Episodes() const {
  const std::string sql = EpisodeColumns(impl_->version) + "ORDER BY arm, task, delay, seed";
  SqliteStatement statement(*impl_->db, sql.c_str());
  std::vector<EpisodeRow> rows;
  for (;;) {
    const Result<bool> more = statement.Step();
    if (!more.ok()) return more.status();
    if (!*more) return rows;
    Result<EpisodeRow> row = ReadRow(statement);
    if (!row.ok()) return row.status().In(path().string());
    rows.push_back(std::move(*row));
  }
}

Result<std::set<EpisodeId>> RunStore::Done() const {
  SqliteStatement statement(*impl_->db, "SELECT arm, task, delay, seed FROM episodes");
  std::set<EpisodeId> done;
  for (;;) {
    const Result<bool> more = statement.Step();
    if (!more.ok()) return more.status();
    if (!*more) return done;
    done.insert({statement.Text(0), statement.Text(1), statement.Text(2), statement.Int(3)});
  }
}

Result<std::vector<InferenceEvent>> RunStore::Inferences(const EpisodeId& id) const {
  SqliteStatement statement(*impl_->db,
                            "SELECT t.inferences FROM traces t JOIN episodes e ON e.id = t.episode "
                            "WHERE arm=? AND task=? AND delay=? AND seed=?");
  const Result<bool> row = BindId(statement, id).Step();
  if (!row.ok()) return row.status();
  if (!*row) return BadInput(fmt::format("{} has no episode {}", path().string(), ToString(id)));
  auto events = UnpackInferences(statement.Blob(0));
  if (!events.ok()) return events.status().In(path().string() + ": " + ToString(id));
  return events;
}

Status RunStore::ForEachInferences(
    const std::function<void(const EpisodeId&, const std::vector<InferenceEvent>&)>& use) const {
  SqliteStatement statement(*impl_->db,
                            "SELECT arm, task, delay, seed, t.inferences FROM episodes e "
                            "JOIN traces t ON e.id = t.episode ORDER BY arm, task, delay, seed");
  for (;;) {
    const Result<bool> more = statement.Step();
    if (!more.ok()) return more.status();
    if (!*more) return {};
    const EpisodeId id{statement.Text(0), statement.Text(1), statement.Text(2), statement.Int(3)};
    const auto events = UnpackInferences(statement.Blob(4));
    if (!events.ok()) return events.status().In(path().string() + ": " + ToString(id));
    use(id, *events);
  }
}

Result<EpisodeRecord> RunStore::Episode(const EpisodeId& id) const {
  const std::string where = path().string() + ": " + ToString(id);
  const std::string sql =
      EpisodeColumns(impl_->version) + "WHERE arm=? AND task=? AND delay=? AND seed=?";
  SqliteStatement row_statement(*impl_->db, sql.c_str());
  const Result<bool> found = BindId(row_statement, id).Step();
  if (!found.ok()) return found.status();
  if (!*found) return BadInput(fmt::format("{} has no episode {}", path().string(), ToString(id)));
  const Result<EpisodeRow> row = ReadRow(row_statement);
  if (!row.ok()) return row.status().In(where);

  const std::string trace_sql = fmt::format(
      "SELECT t.begin, t.inferences, t.steps, {}, {} FROM traces t JOIN episodes e ON "
      "e.id = t.episode WHERE arm=? AND task=? AND delay=? AND seed=?",
      impl_->version == 1 ? "'[]'" : "t.commands", impl_->version == 1 ? "'{}'" : "e.\"end\"");
  SqliteStatement trace(*impl_->db, trace_sql.c_str());
  const Result<bool> has_trace = BindId(trace, id).Step();
  if (!has_trace.ok()) return has_trace.status();
  if (!*has_trace) return BadInput(where + ": its trace is missing");
  Result<EpisodeBegin> begin = BeginFromJson(json::parse(trace.Text(0), nullptr, false));
  if (!begin.ok()) return begin.status().In(where);
  auto inferences = UnpackInferences(trace.Blob(1));
  if (!inferences.ok()) return inferences.status().In(where);
  auto steps = UnpackSteps(trace.Blob(2));
  if (!steps.ok()) return steps.status().In(where);
  auto commands = CommandsFromJson(json::parse(trace.Text(3), nullptr, false));
  if (!commands.ok()) return commands.status().In(where);
  const json end_json = json::parse(trace.Text(4), nullptr, false);
  Result<EpisodeEnd> end = end_json.empty() ? EndOf(*row) : EndFromJson(end_json);
  if (!end.ok()) return end.status().In(where);
  return EpisodeRecord{std::move(*begin), std::move(*end),      std::move(*inferences),
                       std::move(*steps), std::move(*commands), row->video};
}

}  // namespace kvla
