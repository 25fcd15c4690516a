// SPDX-License-Identifier: Apache-2.0
// The tables of a run's database and how older ones become today's; private to results/.
#ifndef KVLA_RESULTS_STORE_RUN_SCHEMA_H_
#define KVLA_RESULTS_STORE_RUN_SCHEMA_H_

#include <filesystem>
#include <string>

#include "base/status.h"
#include "results/store/sqlite_db.h"

namespace kvla {

// The schema version of a run's database; 0: nothing in it yet. BadInput: another program's, or a
// newer one.
Result<int> RunVersion(const SqliteDb& db);

// Both want an open transaction.
Status MakeRunSchema(const SqliteDb& db);
Status MigrateRun(const SqliteDb& db, int from);

// "SELECT ... FROM episodes " with the columns that ReadRow() of run_store.cc takes.
std::string EpisodeColumns(int version);

// SQLite notices missing pages, but not a last page that was cut: BadInput.
Status CheckRunSize(const std::filesystem::path& path);

}  // namespace kvla

#endif  // KVLA_RESULTS_STORE_RUN_SCHEMA_H_
