// SPDX-License-Identifier: Apache-2.0
// A run's database: one SQLite file in WAL mode, a row an episode as soon as it ends. Its videos
// lie beside it.
//
// Every write is one transaction with synchronous=FULL, so that neither kill -9 nor a power cut
// loses an episode that WriteEpisode returned from. One process writes (see base/writer_lock.h);
// readers never disturb it. A RunStore is used by one thread at a time.
#ifndef KVLA_RESULTS_STORE_RUN_STORE_H_
#define KVLA_RESULTS_STORE_RUN_STORE_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/status.h"
#include "results/trace/trace.h"

namespace kvla {

inline constexpr char kRunFile[] = "run.db";
// 1: the first. 2: when stages were reached, the horizon, commands, videos, whole ends. 3: when the
// first cue began, and how long it had to be remembered.
inline constexpr int kRunSchemaVersion = 3;

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
  std::vector<int> stage_steps;  // control steps until each; -1: never, or not known
  double chance = 0;
  int horizon_steps = 0;  // control steps at most
  double control_rate_hz = 20;
  std::optional<double> onset_s, wait_s;  // see EpisodeBegin
  double wall_s = 0;
  std::string error;
  std::vector<std::string> warnings;
  int64_t trace_bytes = 0;  // what its trace takes in the file
  std::string video;        // file, relative to the run's folder; empty without one
  bool comparable = true;   // no person intervened

  bool is_error() const { return outcome == "error"; }
};

// Text by key. Keys in use: "config" (resolved YAML), "config_hash", "checkpoint_hash", "version",
// "commit", "cpu", "gl_renderer", "device", "started", "arms" (JSON list: the order of the table),
// "workers", "pinned" ("yes": one worker with a core of its own; both list what the run went on
// with, as in "1 | 2").
using RunMeta = std::map<std::string, std::string>;

class RunStore {
 public:
  enum class Mode { kReadOnly, kReadWrite };

  // A new run in `dir` (made if needed); schema and `meta` are one transaction. BadInput: a run is
  // there already, the folder cannot be written, or another process writes there.
  static Result<RunStore> Create(const std::filesystem::path& dir, const RunMeta& meta);

  // BadInput, naming the path: no run there, not a database, truncated, another program's database,
  // a newer schema version, another writer (kReadWrite). A run of an older schema is read as it is;
  // kReadWrite first brings it to the schema of today, in one transaction that loses nothing.
  static Result<RunStore> Open(const std::filesystem::path& dir, Mode mode);

  // Whether there is a run in `dir`. One that was killed while it began has left none: its database
  // is empty. BadInput as for Open.
  static Result<bool> Exists(const std::filesystem::path& dir);

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

  // The file that shows an episode, relative to the run's folder.
  Status SetVideo(const EpisodeId& id, const std::string& file);
  // Takes out every episode with this seed or a later one, its video too. Returns how many there
  // were.
  Result<int> DropFrom(int64_t seed);
  // The same for every episode that ended in an error.
  Result<int> DropErrors();

  // Row and trace, in one transaction. InternalError if the episode is there already.
  Status WriteEpisode(const EpisodeRecord& record, TraceLevel level = TraceLevel::kSummary);

  // Sorted by id: the order in which episodes ended does not show.
  Result<std::vector<EpisodeRow>> Episodes() const;
  Result<std::set<EpisodeId>> Done() const;
  Result<std::vector<InferenceEvent>> Inferences(const EpisodeId& id) const;
  // The whole record, for replay; `steps` is empty at kOff, and without states at kSummary.
  Result<EpisodeRecord> Episode(const EpisodeId& id) const;
  // Calls `use` with each episode's inferences, in the order of Episodes(), one in memory at a
  // time.
  Status ForEachInferences(
      const std::function<void(const EpisodeId&, const std::vector<InferenceEvent>&)>& use) const;

  const std::filesystem::path& path() const;
  std::filesystem::path folder() const { return path().parent_path(); }
  // Of the file: older than kRunSchemaVersion only when it was opened to be read.
  int schema_version() const;

 private:
  Result<int> Drop(const std::string& which, int64_t seed);

  struct Impl;
  explicit RunStore(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace kvla

#endif  // KVLA_RESULTS_STORE_RUN_STORE_H_
