// SPDX-License-Identifier: Apache-2.0
#include "results/store/sqlite_db.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <cmath>

namespace kvla {
namespace {

constexpr int kBusyTimeoutMs = 20'000;

// A file: URI of a path; immutable, for a run on a medium that cannot be written.
std::string ImmutableUri(const std::filesystem::path& path) {
  std::string uri = "file:";
  for (const char c : path.string()) {
    if (c == '?' || c == '#' || c == '%') {
      uri += fmt::format("%{:02x}", static_cast<unsigned char>(c));
    } else {
      uri += c;
    }
  }
  return uri + "?immutable=1";
}

}  // namespace

void SqliteDb::Close::operator()(sqlite3* db) const { sqlite3_close_v2(db); }

Result<SqliteDb> SqliteDb::Open(const std::filesystem::path& path, Mode mode) {
  const auto open = [&](const std::string& name, int flags) -> Result<SqliteDb> {
    SqliteDb db;
    db.path_ = path;
    sqlite3* handle = nullptr;
    const int code = sqlite3_open_v2(name.c_str(), &handle, flags | SQLITE_OPEN_NOMUTEX, nullptr);
    db.db_.reset(handle);
    if (code != SQLITE_OK) return db.Error(code);
    sqlite3_busy_timeout(handle, kBusyTimeoutMs);
    // The file may come from anywhere: its schema is not trusted to call functions.
    sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
    sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
    return db;
  };
  if (mode == Mode::kReadWrite) return open(path.string(), SQLITE_OPEN_READWRITE);
  if (mode == Mode::kCreate) {
    return open(path.string(), SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  }
  Result<SqliteDb> db = open(path.string(), SQLITE_OPEN_READONLY);
  if (!db.ok()) return db;
  // A reader of a WAL file needs its shared-memory file, which a read-only folder cannot hold.
  const int code = sqlite3_exec(db->get(), "PRAGMA schema_version", nullptr, nullptr, nullptr);
  std::error_code error;
  const auto wal_size = std::filesystem::file_size(path.string() + "-wal", error);
  const bool no_wal = error || wal_size == 0;
  const bool no_shared_memory =
      (code & 0xff) == SQLITE_CANTOPEN || (code & 0xff) == SQLITE_READONLY;
  if (no_shared_memory && no_wal) {
    return open(ImmutableUri(path), SQLITE_OPEN_READONLY | SQLITE_OPEN_URI);
  }
  if (no_shared_memory) {
    return BadInput(
        fmt::format("{}: its writer was killed or is at work, "
                    "and what it wrote last is in {}-wal, which cannot "
                    "be read in a folder that this user cannot write to: copy the folder",
                    path.string(), path.filename().string()));
  }
  return db;
}

Status SqliteDb::Error(int code) const {
  const std::string where = path_.string();
  switch (code & 0xff) {
    case SQLITE_NOTADB:
      return BadInput(where + " is not an SQLite database");
    case SQLITE_CORRUPT:
      return BadInput(where + " is damaged or was cut short (" + sqlite3_errmsg(get()) + ")");
    case SQLITE_ERROR:
      return BadInput(where + ": not as this program writes it: " + sqlite3_errmsg(get()));
    case SQLITE_FULL:
      return IoError(where + ": the disk is full");
    case SQLITE_BUSY:
      return IoError(where + ": another program holds it");
    default:
      return IoError(where + ": " + (db_ ? sqlite3_errmsg(get()) : sqlite3_errstr(code)));
  }
}

Status SqliteDb::Execute(const char* sql) const {
  const int code = sqlite3_exec(get(), sql, nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? Status() : Error(code);
}

Result<int64_t> SqliteDb::QueryInt(const char* sql) const {
  SqliteStatement statement(*this, sql);
  const Result<bool> row = statement.Step();
  if (!row.ok()) return row.status();
  return *row ? statement.Int(0) : 0;
}

SqliteStatement::SqliteStatement(const SqliteDb& db, const char* sql) : db_(db) {
  Keep(sqlite3_prepare_v2(db.get(), sql, -1, &statement_, nullptr));
}

SqliteStatement::~SqliteStatement() { sqlite3_finalize(statement_); }

void SqliteStatement::Keep(int code) {
  if (status_.ok() && code != SQLITE_OK) status_ = db_.Error(code);
}

SqliteStatement& SqliteStatement::Bind(std::string_view text) {
  if (status_.ok()) {
    Keep(sqlite3_bind_text64(statement_, next_++, text.data() == nullptr ? "" : text.data(),
                             text.size(), SQLITE_TRANSIENT, SQLITE_UTF8));
  }
  return *this;
}

SqliteStatement& SqliteStatement::Bind(int64_t value) {
  if (status_.ok()) Keep(sqlite3_bind_int64(statement_, next_++, value));
  return *this;
}

SqliteStatement& SqliteStatement::Bind(double value) {
  if (status_.ok()) Keep(sqlite3_bind_double(statement_, next_++, value));
  return *this;
}

SqliteStatement& SqliteStatement::BindBlob(std::span<const uint8_t> bytes) {
  if (status_.ok()) {
    static constexpr uint8_t kNone = 0;
    Keep(sqlite3_bind_blob64(statement_, next_++, bytes.empty() ? &kNone : bytes.data(),
                             bytes.size(), SQLITE_TRANSIENT));
  }
  return *this;
}

Result<bool> SqliteStatement::Step() {
  if (!status_.ok()) return status_;
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  Keep(code);
  return status_;
}

Status SqliteStatement::Run() {
  for (;;) {
    const Result<bool> row = Step();
    if (!row.ok()) return row.status();
    if (!*row) return {};
  }
}

std::string SqliteStatement::Text(int column) const {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  const int bytes = sqlite3_column_bytes(statement_, column);
  return text == nullptr ? std::string() : std::string(text, static_cast<size_t>(bytes));
}

int64_t SqliteStatement::Int(int column) const { return sqlite3_column_int64(statement_, column); }

double SqliteStatement::Double(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL
             ? std::nan("")
             : sqlite3_column_double(statement_, column);
}

std::span<const uint8_t> SqliteStatement::Blob(int column) const {
  const auto* bytes = static_cast<const uint8_t*>(sqlite3_column_blob(statement_, column));
  const int size = sqlite3_column_bytes(statement_, column);
  if (bytes == nullptr) return {};
  return {bytes, static_cast<size_t>(size)};
}

SqliteTransaction::~SqliteTransaction() {
  if (open_) static_cast<void>(db_.Execute("ROLLBACK"));
}

Status SqliteTransaction::Begin() {
  Status status = db_.Execute("BEGIN IMMEDIATE");
  open_ = status.ok();
  return status;
}

Status SqliteTransaction::Commit() {
  Status status = db_.Execute("COMMIT");
  if (status.ok()) open_ = false;
  return status;
}

}  // namespace kvla
