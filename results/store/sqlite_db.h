// SPDX-License-Identifier: Apache-2.0
// SQLite with errors as values; private to results/.
#ifndef KVLA_RESULTS_STORE_SQLITE_DB_H_
#define KVLA_RESULTS_STORE_SQLITE_DB_H_

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"

struct sqlite3;
struct sqlite3_stmt;

namespace kvla {

class SqliteDb;

// One prepared statement. Parameters are bound in order, each call the next one. The first error is
// kept and returned by the next Step.
class SqliteStatement {
 public:
  SqliteStatement(const SqliteDb& db, const char* sql);
  SqliteStatement(const SqliteStatement&) = delete;
  SqliteStatement& operator=(const SqliteStatement&) = delete;
  ~SqliteStatement();

  SqliteStatement& Bind(std::string_view text);
  SqliteStatement& Bind(int64_t value);
  SqliteStatement& Bind(double value);  // NaN becomes NULL
  SqliteStatement& BindBlob(std::span<const uint8_t> bytes);

  Result<bool> Step();  // true: a row is there
  Status Run();         // steps to the end

  std::string Text(int column) const;
  int64_t Int(int column) const;
  bool Bool(int column) const { return Int(column) != 0; }
  double Double(int column) const;
  std::span<const uint8_t> Blob(int column) const;  // valid until the next Step

 private:
  void Keep(int code);

  const SqliteDb& db_;
  sqlite3_stmt* statement_ = nullptr;
  int next_ = 1;
  Status status_;
};

class SqliteDb {
 public:
  enum class Mode { kReadOnly, kReadWrite, kCreate };
  static Result<SqliteDb> Open(const std::filesystem::path& path, Mode mode);

  Status Execute(const char* sql) const;
  Result<int64_t> QueryInt(const char* sql) const;

  // The last error in words, with the path: BadInput where the file is at fault, else IoError.
  Status Error(int code) const;
  sqlite3* get() const { return db_.get(); }
  const std::filesystem::path& path() const { return path_; }

 private:
  struct Close {
    void operator()(sqlite3* db) const;
  };
  SqliteDb() = default;

  std::filesystem::path path_;
  std::unique_ptr<sqlite3, Close> db_;
};

// Rolls back unless Commit was called.
class SqliteTransaction {
 public:
  explicit SqliteTransaction(const SqliteDb& db) : db_(db) {}
  ~SqliteTransaction();
  Status Begin();  // takes the write lock at once
  Status Commit();

 private:
  const SqliteDb& db_;
  bool open_ = false;
};

}  // namespace kvla

#endif  // KVLA_RESULTS_STORE_SQLITE_DB_H_
