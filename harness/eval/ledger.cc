// SPDX-License-Identifier: Apache-2.0
#include "harness/eval/ledger.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <utility>

#include "base/fd.h"
#include "base/files.h"
#include "base/utc.h"
#include "results/report/no_success.h"

namespace kvla {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr char kLedgerFile[] = "ledger.jsonl";

}  // namespace

fs::path DefaultLedger(const fs::path& asset_root, const fs::path& run) {
  const bool source_tree = Exists(asset_root / "CMakeLists.txt");
  if (source_tree && access((asset_root / "results").c_str(), W_OK) == 0) {
    return asset_root / "results" / kLedgerFile;
  }
  // A trailing slash is no folder of its own.
  const fs::path folder = AbsolutePath(run / "").lexically_normal().parent_path();
  return folder.parent_path() / kLedgerFile;
}

Result<json> LedgerLine(const RunPlan& plan, const RunStore& store, bool finished) {
  Result<RunMeta> meta = store.Meta();
  if (!meta.ok()) return meta.status();
  const Result<std::vector<EpisodeRow>> rows = store.Episodes();
  if (!rows.ok()) return rows.status();
  std::map<std::string, int> outcomes = {{"success", 0}, {"failure", 0}, {"error", 0}};
  for (const EpisodeRow& row : *rows) ++outcomes[row.outcome];
  if (plan.random_weights) {
    outcomes = {{kEnded, outcomes["success"] + outcomes["failure"]}, {"error", outcomes["error"]}};
  }
  const RunConfig& config = plan.config;
  json line = {{"date", UtcNow()},
               {"run", (*meta)["run_id"]},
               {"name", config.name},
               {"seed", config.seed},
               {"first_episode", config.first_episode},
               {"episodes", config.episodes},
               {"shard", plan.shard},
               {"planned", plan.jobs.size()},
               {"ended", rows->size()},
               {"outcomes", outcomes},
               {"finished", finished}};
  for (const char* key : {"config_hash", "checkpoint_hash", "version", "commit"}) {
    line[key] = (*meta)[key];
  }
  return line;
}

Status AppendLedger(const fs::path& ledger, const json& line) {
  const auto failed = [&] {
    return IoError(fmt::format("{}: {}", ledger.string(), std::strerror(errno)));
  };
  const Fd file(open(ledger.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666));
  if (file.get() < 0 || flock(file.get(), LOCK_EX) != 0) return failed();
  const std::string text = line.dump(-1, ' ', true, json::error_handler_t::replace) + "\n";
  const off_t end = lseek(file.get(), 0, SEEK_END);
  const ssize_t written = write(file.get(), text.data(), text.size());
  if (written == static_cast<ssize_t>(text.size())) return {};
  if (written >= 0) errno = ENOSPC;
  const Status status = failed();
  // No half a line stays before the next one.
  if (written > 0 && ftruncate(file.get(), end) != 0) return failed();
  return status;
}

}  // namespace kvla
