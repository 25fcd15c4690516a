// A run's database: one SQLite file in WAL mode, a row an episode as soon as it ends.
//
// Every write is one transaction with synchronous=FULL, so that neither kill -9 nor a power cut
// loses an episode that WriteEpisode returned from. One process writes (it holds a lock file);
// readers never disturb it. A RunStore is used by one thread at a time.
#ifndef KVLA_RESULTS_RUN_STORE_H_
#define KVLA_RESULTS_RUN_STORE_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/status.h"
#include "results/trace.h"

namespace kvla {

inline constexpr char kRunFile[] = "run.db";
inline constexpr int kRunSchemaVersion = 1;

// Costs (latency, bytes, FLOPs) are always stored. kSummary adds cache decisions; kFull adds the
// policy's action chunks, and per control step the action, the stages and the state if it was
// given.
enum class TraceLevel { kOff, kSummary, kFull };
Result<TraceLevel> ParseTraceLevel(const std::string& name);  // "off", "summary", "full"

// An episode's row, without its trace.
struct EpisodeRow {
  EpisodeId id;
  std::string outcome;
  bool success = false;
  double progress = 0;
  bool decisive_reached = false, decisive_right = false, motor_ok = false;
  int steps = 0;
  std::string state_hash;
  std::vector<TraceStage> stages;
  std::vector<bool> stages_reached;
  double chance = 0;
  double wall_s = 0;
  std::string error;
  std::vector<std::string> warnings;
  int64_t trace_bytes = 0;  // what its trace takes in the file

  bool is_error() const { return outcome == "error"; }
};

// Text by key. Keys in use: "config" (resolved YAML), "config_hash", "checkpoint_hash", "version",
// "commit", "cpu", "gl_renderer", "device", "started", "arms" (JSON list: the order of the table).
using RunMeta = std::map<std::string, std::string>;

class RunStore {
 public:
  enum class Mode { kReadOnly, kReadWrite };

  // A new run in `dir` (made if needed); schema and `meta` are one transaction. BadInput: a run is
  // there already, the folder cannot be written, or another process writes there.
  static Result<RunStore> Create(const std::filesystem::path& dir, const RunMeta& meta);

  // BadInput, naming the path: no run there, not a database, truncated, another program's database,
  // another schema version, another writer (kReadWrite).
  static Result<RunStore> Open(const std::filesystem::path& dir, Mode mode);

  // Starts the run, or resumes the one in `dir` if CheckMeta(identity) allows; `facts` are meta
  // that may differ between the two and are written at the start only.
  static Result<RunStore> OpenOrCreate(const std::filesystem::path& dir, const RunMeta& identity,
                                       const RunMeta& facts);

  RunStore(RunStore&&) noexcept;
  RunStore& operator=(RunStore&&) noexcept;
  ~RunStore();

  // BadInput naming each key of `expected` that the run holds another value for; for "config" the
  // lines that differ.
  Status CheckMeta(const RunMeta& expected) const;

  Status PutMeta(const std::string& key, const std::string& value);
  Result<RunMeta> Meta() const;

  // Row and trace, in one transaction. InternalError if the episode is there already.
  Status WriteEpisode(const EpisodeRecord& record, TraceLevel level = TraceLevel::kSummary);

  // Sorted by id: the order in which episodes ended does not show.
  Result<std::vector<EpisodeRow>> Episodes() const;
  Result<std::set<EpisodeId>> Done() const;
  Result<std::vector<InferenceEvent>> Inferences(const EpisodeId& id) const;
  // The whole record, for replay; `steps` is empty unless it was written at kFull.
  Result<EpisodeRecord> Episode(const EpisodeId& id) const;
  // Calls `use` with each episode's inferences, in the order of Episodes(), one in memory at a
  // time.
  Status ForEachInferences(
      const std::function<void(const EpisodeId&, const std::vector<InferenceEvent>&)>& use) const;

  const std::filesystem::path& path() const;

 private:
  struct Impl;
  explicit RunStore(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace kvla

#endif  // KVLA_RESULTS_RUN_STORE_H_
